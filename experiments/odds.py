"""Measures anomaly detection in tables by PyOD's own protocol: twelve sets of ODDS, `dae-tabular` for all of them.

    python experiments/odds.py         two small sets (a generated one where ../shared is absent), seconds
    python experiments/odds.py full    all twelve, and writes experiments/results/odds.json

A model is trained on a random 60 % of a set, outliers included and without labels, and AUROC is measured on the other
40 %, averaged over three such splits (`RandomState(0)` to `(2)`), with one seed each. Nothing differs from set to set.

A default that is chosen by its mean over the sets on which it is then reported says too much. So whole sets are left
out: for each set, the best of 31 detectors on the other eleven is measured on it. They join some or all of the three
scores of `dae-tabular`, with samples of 8, 16 or 32 rows and 1, 5 or 10 neighbours. What was not left out: the noise,
the clipping and the share that is trimmed were chosen on these splits of all sets. The entry joins all three, which is
not the best by the mean here: neighbours are for anomalies that are no cluster, of which these sets have few.

The ranks are computed by NumPy alone, and compared with those of `Trained.score` on the first split of small sets.
Beside them run PCA (PyOD's score, by its formula), scikit-learn's isolation forest and local outlier factor, and the
distance to the fifth neighbour, with PyOD's defaults.
"""

import dataclasses
import itertools
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import comb
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

import aejax
from aejax.core import Examples, json_text
from aejax.data import Dataset, permutation, read_examples
from aejax.experiment import to_json
from aejax.metrics import NeighbourDistance, SampleDistance
from aejax.runs import hardware, versions

ROOT = Path(__file__).parents[1]
ODDS = ROOT.parent / "shared" / "data" / "odds"
SPLITS = 3
RECONSTRUCTION = "reconstruction"
SAMPLES = {f"sample of {number}": SampleDistance(number) for number in (8, 16, 32)}
NEIGHBOURS = {f"{number} nearest": NeighbourDistance(number) for number in (1, 5, 10)}
CANDIDATES = [
    tuple(filter(None, names))
    for names in itertools.product((None, RECONSTRUCTION), (None, *SAMPLES), (None, *NEIGHBOURS))
    if any(names)
]
DEFAULT = (RECONSTRUCTION, "sample of 16", "5 nearest")
OTHERS = ("pca", "iforest", "knn", "lof")
PUBLISHED = {  # PyOD's benchmark: AutoEncoder, PCA, IForest, KNN
    "arrhythmia": (0.774, 0.781, 0.801, 0.786),
    "glass": (0.675, 0.675, 0.750, 0.851),
    "ionosphere": (0.896, 0.796, 0.853, 0.927),
    "lympho": (0.985, 0.985, 0.993, 0.974),
    "mnist": (0.864, 0.853, 0.808, 0.848),
    "optdigits": (0.598, 0.509, 0.702, 0.371),
    "pendigits": (0.782, 0.935, 0.950, 0.749),
    "pima": (0.666, 0.648, 0.680, 0.708),
    "satimage-2": (0.929, 0.982, 0.994, 0.954),
    "shuttle": (0.990, 0.990, 0.997, 0.654),
    "vertebral": (0.482, 0.403, 0.389, 0.382),
    "wbc": (0.923, 0.916, 0.932, 0.937),
}


def ranks(train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Trains `dae-tabular`, and returns the rank of each test row by each score that CANDIDATES join."""
    dataset = Dataset("odds", Examples(train), Examples(train[:0]), Examples(test))
    fitted = aejax.fit(dataclasses.replace(aejax.get("dae-tabular"), seed=seed), dataset=dataset)
    rows = train[permutation(len(train))[: fitted.experiment.detector.rows]]
    codes, seen = fitted.encode(rows), fitted.encode(test)
    own, apart = cdist(codes, codes), cdist(seen, codes)
    np.fill_diagonal(own, np.inf)
    by_score = {RECONSTRUCTION: (fitted.score(rows, "nats"), fitted.score(test, "nats"))}
    own_sorted, apart_sorted = np.sort(own)[:, :-1], np.sort(apart)
    for name, score in SAMPLES.items():
        by_score[name] = tuple(expected_least(each, score.sample) for each in (own_sorted, apart_sorted))
    for name, score in NEIGHBOURS.items():
        left = np.argsort(by_score["sample of 16"][0])[: len(rows) - int(score.trim * len(rows))]
        by_score[name] = tuple(np.sort(each[:, left])[:, : score.neighbours].mean(axis=1) for each in (own, apart))
    ranked = {name: rank(np.sort(ours), theirs) for name, (ours, theirs) in by_score.items()}
    if seed == 0 and len(train) < 500:
        ours = np.mean([ranked[name] for name in DEFAULT], axis=0)
        np.testing.assert_allclose(fitted.score(test), ours, atol=2e-3)
    return ranked


def expected_least(distances: np.ndarray, sample: int) -> np.ndarray:
    """Returns the expected least of `sample` of each row's ascending distances, drawn without replacement."""
    n, k = distances.shape[1], np.arange(distances.shape[1])  # so many are less
    return distances @ (comb(n - k - 1, sample - 1) / comb(n, sample))


def rank(own: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Returns the rank of scores among ascending ones, over one more than their number; see `Detector`."""
    places = np.arange(1, len(own) + 1) / (len(own) + 1)
    above = -np.expm1(-np.maximum(score - own[-1], 0) / max(own[-1] - own[len(own) // 2], 1e-30))
    return np.interp(score, own, places) + above / (len(own) + 1)


def pca(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Scores test rows as PyOD's PCA: by the distances to the principal directions, each over its share of variance."""
    fitted = PCA().fit(train)
    share = np.maximum(fitted.explained_variance_ratio_, 1e-16)  # constant columns explain nothing
    return (cdist(test, fitted.components_) / share).sum(axis=1)


def others(train: np.ndarray, test: np.ndarray) -> list[np.ndarray]:
    """Returns the scores of test rows by each of OTHERS, for standardised values."""
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    return [
        pca(train, test),
        -IsolationForest(random_state=0).fit(train).score_samples(test),
        NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1],
        -LocalOutlierFactor(n_neighbors=20, novelty=True).fit(train).score_samples(test),
    ]


def measure(part: Examples, split: int) -> list[float]:
    """Measures the AUROC of each of CANDIDATES and OTHERS on one split, which its number seeds.

    `part` holds the rows of a set, labelled 1 where they are outliers.
    """
    parts = train_test_split(part.x, part.label, test_size=0.4, random_state=np.random.RandomState(split))
    train, test, _, outlier = parts
    ranked = ranks(train, test, split)
    scores = [sum(ranked[name] for name in names) for names in CANDIDATES]
    return [float(roc_auc_score(outlier, score)) for score in [*scores, *others(train, test)]]


def left_out(measured: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Returns, for each set, which candidate is best on the others, and its AUROC on this one.

    `measured` is `[sets, candidates]`.
    """
    chosen = [int(np.delete(measured, row, axis=0).mean(axis=0).argmax()) for row in range(len(measured))]
    return chosen, measured[np.arange(len(measured)), chosen]


def generated() -> Examples:
    """Generates rows on a plane with noise, a tenth of which are replaced by outliers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 8)) + 0.1 * rng.normal(size=(400, 8))
    x[:40] = rng.normal(size=(40, 8)) * x.std(axis=0)
    return Examples(x.astype(np.float32), (np.arange(400) < 40).astype(np.int32))


def sets(names: list[str]) -> dict[str, Examples]:
    """Reads the sets of these names, or generates one where they are absent."""
    if not ODDS.is_dir():
        return {"generated": generated()}
    return {name: read_examples(str(ODDS / f"{name}.mat")) for name in names}


full = sys.argv[1:] == ["full"]
began, rows, spread = time.perf_counter(), {}, {}
default = CANDIDATES.index(DEFAULT)
print(f"{'AUROC':15} dae-tabular {'  '.join(OTHERS)}    PyOD's AE, PCA, IForest, KNN")
for name, part in sets(list(PUBLISHED) if full else ["glass", "wbc"]).items():
    measured = np.array([measure(part, split) for split in range(SPLITS if full else 1)])
    rows[name], spread[name] = measured.mean(axis=0), measured[:, default].std()
    shown = [rows[name][default], *rows[name][len(CANDIDATES) :]]
    print(f"{name:15}", " ".join(f"{value:7.3f}" for value in shown), " " * 3, PUBLISHED.get(name, ""), flush=True)
table = np.array(list(rows.values()))
means = dict(zip(OTHERS, table[:, len(CANDIDATES) :].mean(axis=0).tolist(), strict=True))
means["dae-tabular"] = float(table[:, default].mean())
if len(rows) > 1:
    chosen, apart = left_out(table[:, : len(CANDIDATES)])
    means["left_out"] = float(apart.mean())
print("means", {name: round(mean, 4) for name, mean in means.items()})
if full:
    published = dict(zip(("autoencoder", "pca", "iforest", "knn"), np.mean(list(PUBLISHED.values()), 0), strict=True))
    result = {
        "name": "odds",
        "experiment": to_json(aejax.get("dae-tabular")),
        "splits": SPLITS,
        "rows": {
            name: {
                "dae-tabular": float(values[default]),
                "standard_deviation_over_splits": float(spread[name]),
                "left_out": float(value),
                "chosen_on_the_others": list(CANDIDATES[choice]),
                **dict(zip(OTHERS, values[len(CANDIDATES) :].tolist(), strict=True)),
            }
            for (name, values), choice, value in zip(rows.items(), chosen, apart, strict=True)
        },
        "candidates": {" + ".join(names): float(table[:, i].mean()) for i, names in enumerate(CANDIDATES)},
        "means": means,
        "published_means": published,
        "met": bool(means["left_out"] > max(*published.values(), means["iforest"])),
        "seconds": time.perf_counter() - began,
        "hardware": hardware(),
        "versions": versions(),
    }
    print("PyOD's means", published, f"{result['seconds']:.0f} s")
    (ROOT / "experiments" / "results" / "odds.json").write_text(json_text(result, indent=2) + "\n")
