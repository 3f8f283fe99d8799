"""Makes codes worth decoding from other codes: NumPy in, NumPy out, no model."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from aejax.core import InputError

Codes = Float[np.ndarray, "n latent"]

Route = Literal["line", "arc"]

RANGE = (0.01, 0.99)
"""The quantiles between which a dimension is traversed, and a plane is laid out."""


def require_finite(codes: Codes, whose: str) -> Codes:
    """Returns the codes. Raises `InputError` where one is not finite, as of an example of enormous values."""
    bad = np.flatnonzero(~np.isfinite(codes).all(axis=1))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(codes)} codes of {whose} are not finite, the first is number {bad[0]}: remove such "
            "examples, or train on values of their size"
        )
    return codes


def between(first: Codes, second: Codes, steps: int, path: Route = "line") -> Float[np.ndarray, "n steps latent"]:
    """Interpolates in even steps from each first code to its second one, both ends included.

    A line goes straight. An arc goes evenly from the one length to the other and through the angle between the
    two: White 2016, section 3.1. In many dimensions codes of a normal prior have nearly one length, and the middle
    of a line between two is shorter than any of them: with `vae-flax` the images there have a third more entropy
    than those at its ends, in the middle of an arc hardly more.

    Args:
        first: the codes at the beginning.
        second: the codes at the end, as many as `first`.
        steps: the number of codes on each way.
        path: "line" or "arc".

    Raises:
        InputError: for fewer than two steps, and for codes that are no pairs.
    """
    if first.shape != second.shape:
        raise InputError(
            f"{len(first)} first examples and {len(second)} second ones are no pairs: give as many of each"
        )
    if steps < 2:
        raise InputError(f"{steps} steps do not lead from one code to another: ask for 2 or more")
    share = np.linspace(0, 1, steps, dtype=np.float32)[None, :, None]
    first, second = first[:, None], second[:, None]
    if path == "line":
        return (1 - share) * first + share * second
    lengths = [np.linalg.norm(codes, axis=2, keepdims=True) for codes in (first, second)]
    units = [codes / np.maximum(length, 1e-12) for codes, length in zip((first, second), lengths, strict=True)]
    angle = np.arccos(np.clip(np.sum(units[0] * units[1], axis=2, keepdims=True), -1, 1))
    angle = np.maximum(angle, 1e-4)  # as the angle tends to 0, the weights of the units tend to those of a line
    direction = (np.sin((1 - share) * angle) * units[0] + np.sin(share * angle) * units[1]) / np.sin(angle)
    return ((1 - share) * lengths[0] + share * lengths[1]) * direction


def halves(first: Int[np.ndarray, " n"], second: Int[np.ndarray, " n"], steps: int) -> Int[np.ndarray, "n steps"]:
    """Returns the labels for the codes of `between`: the first's, and from the middle of the way on the second's."""
    return np.repeat(np.stack([first, second], axis=1), [steps - steps // 2, steps // 2], axis=1)


def most_active(codes: Codes) -> Int[np.ndarray, " latent"]:
    """Sorts the dimensions by the variance of their codes, the largest first."""
    return np.argsort(-codes.var(axis=0), kind="stable")


def along(
    start: Float[np.ndarray, " latent"],
    codes: Codes,
    dimensions: Int[np.ndarray, " rows"],
    steps: int,
    on_sphere: bool = False,
) -> Float[np.ndarray, "rows steps latent"]:
    """Traverses some dimensions of a code, each through the range that it has in `codes`.

    Args:
        start: the code that is changed, in one dimension at a time.
        codes: the codes whose quantiles, `RANGE`, bound the range of each dimension.
        dimensions: the dimensions that are traversed.
        steps: the number of codes on each traverse.
        on_sphere: whether codes have a length of 1, which is kept: the other dimensions shrink or grow, all alike.

    Returns:
        One row of codes for each of the dimensions.
    """
    low, high = np.quantile(codes, RANGE, axis=0)
    rows = np.tile(start, (len(dimensions), steps, 1))
    for row, dimension in zip(rows, dimensions, strict=True):
        value = np.linspace(low[dimension], high[dimension], steps)
        if on_sphere:
            row *= np.sqrt((1 - value**2) / max(1 - start[dimension] ** 2, 1e-12))[:, None]
        row[:, dimension] = value
    return rows


def plane(codes: Float[np.ndarray, "n 2"], side: int) -> tuple[Float[np.ndarray, "side 2"], Codes]:
    """Lays out a grid of two-dimensional codes, with ticks at even quantiles of given codes.

    With codes drawn from a prior, each cell holds as much of it in each direction: Kingma & Welling
    2014, appendix A.

    Returns:
        The ticks of both axes, and the codes of the grid, row by row, the top row first. The second axis points
        upwards.
    """
    ticks = np.quantile(codes, np.linspace(*RANGE, side), axis=0).astype(np.float32)
    across, up = np.meshgrid(ticks[:, 0], ticks[::-1, 1])
    return ticks, np.stack([across.ravel(), up.ravel()], axis=1)
