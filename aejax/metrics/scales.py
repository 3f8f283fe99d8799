"""Finds the ends of scales on which values are shown."""

import numpy as np
from numpy.typing import ArrayLike

BEYOND = 0.005
"""Share of values that a robust scale leaves beyond it."""


def robust_range(values: ArrayLike) -> tuple[float, float]:
    """Returns the ends of a scale beyond each of which at most `BEYOND` of the values lie."""
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return 0.0, 1.0
    low = float(np.quantile(finite, BEYOND, method="lower"))
    high = float(np.quantile(finite, 1 - BEYOND, method="higher"))
    return low, high if high > low else low + 1
