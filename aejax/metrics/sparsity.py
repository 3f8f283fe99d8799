"""Measures how sparse codes are, and how much of the data they explain.

Codes are those that the encoder gives at inference. A unit is active where the absolute value of its code is above
`threshold`, which is 0 for codes that can be exactly zero.
"""

import numpy as np
from jaxtyping import Float


def sparsity_metrics(codes: Float[np.ndarray, "n units"], threshold: float = 0.0) -> dict[str, float]:
    """Returns active units, activation and dead units of the codes of a whole part.

    `l0` is the mean number of active units of an example. `mean_activation` is the mean over units and examples, and
    beside it stand the lowest and the highest unit's own mean. `dead_units` is the number of units that are active for
    no example.
    """
    active, means = np.abs(codes) > threshold, codes.mean(axis=0, dtype=np.float64)
    return {
        "l0": float(active.sum(axis=1).mean()),
        "dead_units": float((~active.any(axis=0)).sum()),
        "mean_activation": float(means.mean()),
        "mean_activation_lowest_unit": float(means.min()),
        "mean_activation_highest_unit": float(means.max()),
    }


def variance_unexplained(x: Float[np.ndarray, "n *shape"], reconstruction: Float[np.ndarray, "n *shape"]) -> float:
    """Returns the fraction of variance unexplained: a ratio of two sums over all values of all examples.

    It is squared error over squared distance from the mean example of `x`: 1 for that mean, 0 for `x` itself, nan where
    all examples are the same.
    """
    mean = x.mean(axis=0, keepdims=True, dtype=np.float64).astype(x.dtype)
    variance = np.square(x - mean).sum(dtype=np.float64)
    return float(np.square(x - reconstruction).sum(dtype=np.float64) / variance) if variance else float("nan")
