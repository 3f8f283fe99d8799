"""Measures how well single latents stand for single factors of variation, on data whose factors are known.

Every score compares codes `[n, latents]`, with at least two latents, with the values of the factors
`[n, factors]`, which count from 0; factors that have one value in all examples are left out. The protocol is
disentanglement_lib's (Locatello et al. 2019), with two departures: examples that share a factor are drawn from the
given ones, and codes are standardised, so that no score depends on the order, signs or scales of latents. All
randomness has a fixed seed. Scikit-learn is imported where it is used: it takes seconds, and few runs measure this.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from aejax.core import InputError

SAMPLES = 15_000
"""Largest number of examples, or batches of them, for a classifier: two thirds fit it, the rest measure it."""

TREE_SAMPLES = 1_500
"""Largest number of examples for the trees of DCI; with the protocol's 15,000 they take minutes."""

STAGES = 100
"""Number of boosted trees of DCI for each value of a factor."""

BINS, BATCH = 20, 64
"""Number of bins of a latent, and number of examples or pairs in a batch."""

Codes = Float[np.ndarray, "n latents"]
"""The type of codes."""

Values = Int[np.ndarray, "n factors"]
"""The type of the factors' values, each counted from 0."""


def udr(codes: Sequence[Codes], informative: Sequence[Bool[np.ndarray, " latents"]]) -> Float[np.ndarray, " models"]:
    """Returns the unsupervised disentanglement ranking (UDR) of models that differ in their seeds alone, from 0 to 1.

    It needs no labels: a model scores high where most others have found the same latents, up to their order and signs.
    Duan et al. 2020, equation 3, by rank correlations: what a pair of models scores is the mean over the latents of
    both, and a model's score is the median over its pairs.

    Args:
        codes: of each model, the codes of the same examples.
        informative: which latents of each are informative, the only ones that count.

    Raises:
        InputError: for fewer than two models, and for codes of different examples.
    """
    from scipy.stats import rankdata

    if len(codes) < 2 or len({len(each) for each in codes}) > 1:
        raise InputError(
            f"UDR compares the codes of two models or more of the same examples, and was given {len(codes)} models, of "
            f"{', '.join(str(len(each)) for each in codes)} examples: give the same part to all"
        )
    ranks = []
    for each, chosen in zip(codes, informative, strict=True):
        rank = rankdata(each[:, chosen], axis=0) - (len(each) + 1) / 2
        ranks.append(rank / np.maximum(np.linalg.norm(rank, axis=0, keepdims=True), 1e-12))

    def alike(a: np.ndarray, b: np.ndarray) -> float:
        if not a.shape[1] or not b.shape[1]:
            return 0.0
        related = np.abs(a.T @ b)
        parts = [np.square(related.max(axis=axis)) / np.maximum(related.sum(axis=axis), 1e-12) for axis in (0, 1)]
        return float(np.concatenate(parts).mean())

    return np.array([np.median([alike(a, b) for b in ranks if b is not a]) for a in ranks])


def known_shares(codes: Codes, factors: Values) -> Float[np.ndarray, "latents factors"]:
    """Returns the mutual information of each latent with each factor, as a share of the factor's entropy.

    Each latent is first cut into 20 bins of equal width. Of a factor with one value nothing is known: its shares are 0.
    """
    edges = np.linspace(codes.min(axis=0), codes.max(axis=0), BINS + 1)[1:-1]
    binned = (codes[:, None] >= edges[None]).sum(axis=1)
    joint = np.array([[_information(latent, factor) for factor in factors.T] for latent in binned.T])
    entropy = np.array([_information(factor, factor) for factor in factors.T])[None]
    return np.divide(joint, entropy, out=np.zeros_like(joint), where=np.ptp(factors, axis=0)[None] > 0)


def mig(codes: Codes, factors: Values) -> float:
    """Returns the mutual information gap, 0 to 1. Chen et al. 2018, equation 6.

    It is by how much the mutual information of a factor with the latent that has most of it exceeds that with the
    second, as a share of the factor's entropy; the mean over factors.
    """
    return _gap(known_shares(codes, _varying(factors)))


def sap(codes: Codes, factors: Values) -> float:
    """Returns the separated attribute predictability: 0 to 1 less chance. Kumar et al. 2018, section 3.

    A linear classifier predicts a factor from one latent at a time. The score is by how much the accuracy of the best
    latent exceeds that of the second; the mean over factors.
    """
    from sklearn.svm import LinearSVC

    fit, rest, fit_factors, rest_factors = _learnable(_standardised(codes), _varying(factors))

    def accuracy(latent: int, factor: int) -> float:
        machine = LinearSVC(C=0.01, class_weight="balanced", dual=False)
        machine.fit(fit[:, [latent]], fit_factors[:, factor])
        return machine.score(rest[:, [latent]], rest_factors[:, factor])

    latents, count = codes.shape[1], fit_factors.shape[1]
    return _gap(np.array([[accuracy(latent, factor) for factor in range(count)] for latent in range(latents)]))


def dci(codes: Codes, factors: Values) -> dict[str, float]:
    """Returns disentanglement, completeness and informativeness, each 0 to 1. Eastwood & Williams 2018, section 2.

    Boosted trees predict each factor from all latents, and say how much they use each. A latent is disentangled if it
    is used for one factor only, and a factor is complete if it is predicted from one latent only: 1 less the entropy
    of the uses, averaged with the uses as weights. Informativeness is the mean accuracy.
    """
    from sklearn.ensemble import GradientBoostingClassifier

    fit, rest, fit_factors, rest_factors = _learnable(codes, _varying(factors, 2), TREE_SAMPLES, 2)
    trees = [GradientBoostingClassifier(n_estimators=STAGES, random_state=0).fit(fit, each) for each in fit_factors.T]
    uses = np.stack([tree.feature_importances_ for tree in trees], axis=1)
    accuracies = [tree.score(rest, factor) for tree, factor in zip(trees, rest_factors.T, strict=True)]
    return {
        "dci_disentanglement": _concentration(uses),
        "dci_completeness": _concentration(uses.T),
        "dci_informativeness": float(np.mean(accuracies)),
    }


def beta_vae_score(codes: Codes, factors: Values) -> float:
    """Returns the accuracy of a linear classifier that names the factor which pairs of examples have in common.

    It sees the mean distance between a pair's codes in each latent, over 64 pairs with the same factor in common.
    Higgins et al. 2017, section 3.
    """
    from sklearn.linear_model import LogisticRegression

    codes, factors = _standardised(codes), _varying(factors, 2)

    def distances(factor: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        one = rng.integers(len(codes), size=(n, BATCH))
        other = _with_value(factor, factor[one], rng)
        return np.abs(codes[one] - codes[other]).mean(axis=1)

    fit, rest, common, rest_common = _split(*_batches(factors, distances))
    return float(LogisticRegression(max_iter=1000).fit(fit, common).score(rest, rest_common))


def factor_vae_score(codes: Codes, factors: Values) -> float:
    """Returns the accuracy of a majority vote that names the factor which the examples of a batch have in common.

    A batch of 64 examples votes by one latent: the one whose variance over the batch is the smallest share of its
    variance over all examples. Kim & Mnih 2018, section 4.
    """
    collapsed, codes, factors = np.ptp(codes, axis=0) == 0, _standardised(codes), _varying(factors, 2)

    def steadiest(factor: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        value = np.repeat(factor[rng.integers(len(codes), size=(n, 1))], BATCH, axis=1)
        variance = codes[_with_value(factor, value, rng)].var(axis=1)
        return np.where(collapsed[None], np.inf, variance).argmin(axis=1)

    fit, rest, common, rest_common = _split(*_batches(factors, steadiest))
    votes = np.zeros((codes.shape[1], factors.shape[1]), int)
    np.add.at(votes, (fit, common), 1)
    return float(np.mean(votes.argmax(axis=1)[rest] == rest_common))


def _information(a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> float:
    """Returns the mutual information of two variables that count from 0, in nats; of one with itself, the entropy."""
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / apart[seen])))


def _gap(scores: Float[np.ndarray, "latents factors"]) -> float:
    ranked = np.sort(scores, axis=0)
    return float(np.mean(ranked[-1] - ranked[-2]))


def _concentration(uses: Float[np.ndarray, "rows columns"]) -> float:
    """Returns 1 less each row's entropy as a share of the largest possible, averaged with the rows' sums as weights.

    Where all is zero it returns 0.
    """
    total = uses.sum(axis=1, keepdims=True)
    share = np.divide(uses, total, out=np.full_like(uses, 1 / uses.shape[1]), where=total > 0)
    entropy = -np.sum(share * np.log(np.maximum(share, 1e-12)), axis=1) / np.log(uses.shape[1])
    return float(np.sum((1 - entropy) * total[:, 0]) / max(total.sum(), 1e-12))


def _varying(factors: Values, least: int = 1) -> Int[np.ndarray, "n varying"]:
    """Returns the factors that vary over the examples. Raises `InputError` where less than `least` do.

    With a single one, it is what all pairs and batches share, and what every latent is used for.
    """
    varying = np.ptp(factors, axis=0) > 0
    if varying.sum() < least:
        fixed = factors.shape[1] - int(varying.sum())
        which = f"each of the {fixed}" if fixed == factors.shape[1] else f"each of {fixed} of the {factors.shape[1]}"
        raise InputError(
            f"{which} factors has one value in all {len(factors)} examples: give examples in which {least} or more vary"
        )
    return factors[:, varying]


def _learnable(codes: Codes, factors: Values, most: int = SAMPLES, least: int = 1) -> list[np.ndarray]:
    """Splits codes and factors, and leaves out the factors that have one value in the part to fit.

    A rare value may lie in the other part alone, from which nothing is learned. Raises `InputError` where less than
    `least` are left.
    """
    fit, rest, fit_factors, rest_factors = _split(codes, factors, most)
    varying = np.ptp(fit_factors, axis=0) > 0
    return [fit, rest, _varying(fit_factors, least), rest_factors[:, varying]]


def _standardised(codes: Codes) -> Codes:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit_transform(codes)


def _split(x: np.ndarray, y: np.ndarray, most: int = SAMPLES) -> list[np.ndarray]:
    """Returns a random two thirds of `most` rows of `x`, another third, and the same rows of `y`.

    Raises `InputError` where a third would have no row.
    """
    from sklearn.model_selection import train_test_split

    if len(x) < 3:
        raise InputError(f"{len(x)} examples cannot be divided into a part to fit and one to measure: give 3 or more")
    third = min(len(x), most) // 3
    return train_test_split(x, y, train_size=2 * third, test_size=third, random_state=0)


def _batches(factors: Values, feature: Callable[..., np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns features of as many batches for each factor, and the number of the factor that each batch shares.

    `feature(factor, n, rng)` makes the features of `n` batches.
    """
    rng, count = np.random.default_rng(0), factors.shape[1]
    features = [feature(factor, SAMPLES // count, rng) for factor in factors.T]
    return np.concatenate(features), np.repeat(np.arange(count), SAMPLES // count)


def _with_value(
    factor: Int[np.ndarray, " n"], value: Int[np.ndarray, "*shape"], rng: np.random.Generator
) -> Int[np.ndarray, "*shape"]:
    """Returns, for each of the values, the number of a random example whose factor has it."""
    order, counts = np.argsort(factor, kind="stable"), np.bincount(factor)
    first = np.cumsum(counts) - counts
    return order[first[value] + (rng.random(value.shape) * counts[value]).astype(int)]
