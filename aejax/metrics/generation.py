"""Measures how far generated examples are from real ones, each given as a matrix of features `[n, size]`.

A feature is whatever stands for an example: the numbers say nothing without the name of the features, and those of
other numbers of examples do not compare. Nothing is as large as examples times examples at once.
"""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from aejax.core import InputError

NEIGHBOURS = 5
"""The number of nearest neighbours whose furthest is the radius of a ball: Naeem et al. 2020 use it throughout."""

BLOCK = 1000
"""The largest number of examples in a block of the kernel distance, as in Binkowski et al. 2018, appendix D."""

_ROWS = 1024
"""Number of examples whose distances to all others are in memory at once."""

FeatureMatrix = Float[np.ndarray, "_ _"]
"""The type of features of examples."""


def generation_metrics(generated: FeatureMatrix, real: FeatureMatrix, features: str) -> dict[str, float]:
    """Measures generated examples by everything in this module.

    Args:
        generated: the features of generated examples.
        real: the features of real ones.
        features: the name of the features, with which the names of the metrics end.

    Returns:
        The metrics by name, and `generated_examples`, the number of examples on either side that has fewer.

    Raises:
        InputError: for matrices that do not fit each other, are not finite, or have too few rows.
    """
    distance, deviation = kernel_distance(generated, real)
    measured = {
        "fd": frechet_distance(generated, real),
        "kid": distance,
        **({} if np.isnan(deviation) else {"kid_deviation": deviation}),
        **neighbourhoods(generated, real),
        "c2st": classifier_two_sample(generated, real),
    }
    named = {f"{name}_{features}": value for name, value in measured.items()}
    return named | {"generated_examples": float(min(len(generated), len(real)))}


def frechet_distance(generated: FeatureMatrix, real: FeatureMatrix) -> float:
    """Returns the squared Frechet distance of the normal distributions that have the features' moments.

    Heusel et al. 2017, equation 6. Its bias falls with the number of examples: only those of equal numbers compare.
    """
    generated, real = _checked(generated, real, 2)
    moments = [(x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (generated, real)]
    return frechet_of_moments(*moments[0], *moments[1])


def frechet_of_moments(
    mean: Float[np.ndarray, " size"],
    covariance: Float[np.ndarray, "size size"],
    other_mean: Float[np.ndarray, " size"],
    other_covariance: Float[np.ndarray, "size size"],
) -> float:
    """Returns |m - n|^2 + tr(S + T - 2 (S T)^1/2) of two normal distributions. Dowson & Landau 1982, equation 16.

    The trace of the root of S T is the sum of the roots of the eigenvalues of S^1/2 T S^1/2, which is symmetric: that
    holds for covariances without an inverse too, where a general matrix root may fail or be complex.

    Args:
        mean: the mean m of the one.
        covariance: its covariance S.
        other_mean: the mean n of the other.
        other_covariance: its covariance T.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    crossed = np.linalg.eigvalsh(root @ other_covariance @ root)
    shared = np.sqrt(np.maximum(crossed, 0)).sum()
    apart = np.square(mean - other_mean).sum()
    return float(max(apart + np.trace(covariance) + np.trace(other_covariance) - 2 * shared, 0.0))


def kernel_distance(generated: FeatureMatrix, real: FeatureMatrix) -> tuple[float, float]:
    """Returns the squared maximum mean discrepancy under the kernel (x . y / size + 1)^3, and its standard deviation.

    Binkowski et al. 2018, section 4 (KID). It is the mean, over blocks of 1,000 consecutive examples at most, of the
    unbiased estimate (Gretton et al. 2012, equation 3), which may be negative; the deviation is that of this mean, and
    NaN of a single block.
    """
    generated, real = _checked(generated, real, 2)
    count = min(len(generated), len(real))
    blocks = max(count // BLOCK, 1)
    size = count // blocks
    each = [
        _discrepancy(*(x[block * size : (block + 1) * size].astype(np.float64) for x in (generated, real)))
        for block in range(blocks)
    ]
    deviation = float(np.std(each, ddof=1) / blocks**0.5) if blocks > 1 else float("nan")
    return float(np.mean(each)), deviation


def neighbourhoods(generated: FeatureMatrix, real: FeatureMatrix, k: int = NEIGHBOURS) -> dict[str, float]:
    """Returns `precision`, `recall`, `density` and `coverage`, by balls that reach to the k-th neighbour of their kind.

    Precision is the share of generated examples that lie in a ball around a real one, recall the share of real ones
    that lie in a ball around a generated one (Kynkaanniemi et al. 2019, equation 2). Density is the number of real
    balls in which a generated example lies, over k, and coverage the share of real balls in which one does (Naeem et
    al. 2020, section 3). Two samples of one distribution have a density of 1, and a precision below 1.

    Args:
        generated: the features of generated examples.
        real: the features of real ones.
        k: which neighbour sets the radius of a ball.
    """
    generated, real = _checked(generated, real, k + 1)
    centre = real.mean(axis=0, keepdims=True, dtype=np.float64)
    made, given = (jnp.asarray(x - centre, jnp.float32) for x in (generated, real))
    counts, covered = _inside(made, given, _radii(given, k))
    found, _ = _inside(given, made, _radii(made, k))
    shares = {
        "precision": np.asarray(counts) > 0,
        "recall": np.asarray(found) > 0,
        "density": np.asarray(counts) / k,
        "coverage": np.asarray(covered),
    }
    return {name: float(values.mean(dtype=np.float64)) for name, values in shares.items()}


def classifier_two_sample(generated: FeatureMatrix, real: FeatureMatrix) -> float:
    """Returns the accuracy with which a classifier tells generated examples from real ones: a half where it cannot.

    Lopez-Paz & Oquab 2017, section 3. The classifier is scikit-learn's, one hidden layer of 64 units on standardised
    features, fitted to a random half of as many examples of either kind, and measured on the other half.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    generated, real = _checked(generated, real, 8)
    count = min(len(generated), len(real))
    x, y = np.concatenate([generated[:count], real[:count]]), np.repeat([0, 1], count)
    fit, rest, kinds, rest_kinds = train_test_split(x, y, test_size=0.5, stratify=y, random_state=0)
    # A tenth of few examples is too few to tell when to stop.
    network = MLPClassifier((64,), early_stopping=count >= BLOCK, alpha=1e-3, max_iter=50, random_state=0)
    with threadpool_limits(1, user_api="blas"), _unconverged():
        return float(make_pipeline(StandardScaler(), network).fit(fit, kinds).score(rest, rest_kinds))


def _unconverged() -> "warnings.catch_warnings":
    """Lets a classifier end at its last iteration without a warning."""
    from sklearn.exceptions import ConvergenceWarning

    return warnings.catch_warnings(action="ignore", category=ConvergenceWarning)


def _checked(generated: FeatureMatrix, real: FeatureMatrix, least: int) -> tuple[FeatureMatrix, FeatureMatrix]:
    """Returns both matrices. Raises `InputError` unless they fit each other, are finite and have rows enough."""
    shapes = [np.shape(x) for x in (generated, real)]
    if any(len(shape) != 2 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise InputError(f"the features have shapes {shapes[0]} and {shapes[1]}: give matrices of as many columns")
    if min(shape[0] for shape in shapes) < least:
        raise InputError(f"{shapes[0][0]} and {shapes[1][0]} examples are too few to compare: give {least} of each")
    for name, x in (("generated", generated), ("real", real)):
        if not np.isfinite(x).all():
            raise InputError(f"the features of {name} examples are not all finite: leave out those that are not")
    return generated, real


def _discrepancy(x: FeatureMatrix, y: FeatureMatrix) -> float:
    """Returns the unbiased estimate of the squared discrepancy of two blocks of as many examples."""
    n, size = x.shape

    def kernel(a: FeatureMatrix, b: FeatureMatrix) -> FeatureMatrix:
        return (a @ b.T / size + 1) ** 3

    own = sum((values.sum() - np.trace(values)) / (n * (n - 1)) for values in (kernel(x, x), kernel(y, y)))
    return float(own - 2 * kernel(x, y).mean())


@partial(jax.jit, static_argnums=1)
def _radii(x: Float[Array, "n size"], k: int) -> Float[Array, " n"]:
    """Returns the squared distance of each row to its k-th neighbour among the other rows."""

    def furthest(rows: Float[Array, "rows size"], index: Int[Array, " rows"]) -> Float[Array, " rows"]:
        itself = index[:, None] == jnp.arange(len(x))[None]
        return _smallest(jnp.where(itself, jnp.inf, _squared_distances(rows, x)), k)

    rows, index = _in_chunks(x), _in_chunks(jnp.arange(len(x)))
    return jax.lax.map(lambda chunk: furthest(*chunk), (rows, index)).reshape(-1)[: len(x)]


def _smallest(values: Float[Array, "rows columns"], k: int) -> Float[Array, " rows"]:
    """Returns the k-th smallest value of each row, equal ones counted apart; `jax.lax.top_k` is ten times as slow here.

    Each turn goes on to the next larger value, until those that are no larger are k.
    """

    def following(turn: Int[Array, ""], found: Float[Array, " rows"]) -> Float[Array, " rows"]:
        above = jnp.min(jnp.where(values > found[:, None], values, jnp.inf), axis=1)
        enough = jnp.sum(values <= found[:, None], axis=1) >= k
        return jnp.where(enough, found, above)

    return jax.lax.fori_loop(0, k, following, jnp.full(len(values), -jnp.inf))


@jax.jit
def _inside(
    points: Float[Array, "n size"], centres: Float[Array, "m size"], radii: Float[Array, " m"]
) -> tuple[Int[Array, " n"], Bool[Array, " m"]]:
    """Returns in how many balls each point lies, and whether a point lies in each ball; `radii` are squared."""

    def counted(hit: Bool[Array, " m"], chunk: tuple[Array, Array]) -> tuple[Bool[Array, " m"], Int[Array, " rows"]]:
        rows, index = chunk
        within = (_squared_distances(rows, centres) < radii[None]) & (index < len(points))[:, None]
        return hit | within.any(axis=0), within.sum(axis=1)

    chunks = _in_chunks(points), _in_chunks(jnp.arange(len(points)), len(points))
    hit, counts = jax.lax.scan(counted, jnp.zeros(len(centres), bool), chunks)
    return counts.reshape(-1)[: len(points)], hit


def _in_chunks(x: Array, fill: int = 0) -> Array:
    """Returns rows as `[chunks, rows, ...]`, with rows of `fill` after the last."""
    rows = min(_ROWS, len(x))
    padded = jnp.pad(x, [(0, -len(x) % rows)] + [(0, 0)] * (x.ndim - 1), constant_values=fill)
    return padded.reshape(-1, rows, *x.shape[1:])


def _squared_distances(x: Float[Array, "n size"], y: Float[Array, "m size"]) -> Float[Array, "n m"]:
    squares = [jnp.sum(jnp.square(a), axis=1) for a in (x, y)]
    crossed = jnp.matmul(x, y.T, precision="highest")
    return jnp.maximum(squares[0][:, None] + squares[1][None] - 2 * crossed, 0)
