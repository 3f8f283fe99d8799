"""Takes images of any size through a function of images of one size: by overlapping tiles, joined without seams."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from aejax.core import CHUNK, InputError


def blended(
    function: Callable[..., Float[np.ndarray, "tiles h w c"]],
    tile: tuple[int, ...],
    images: Sequence[Num[np.ndarray, "n height width _"]],
    label: Int[np.ndarray, " n"] | None = None,
    at_once: int = CHUNK,
) -> Float[np.ndarray, "n height width c"]:
    """Applies a function to tiles that overlap by half, and joins what it makes of them by weights that sum to one.

    What a tile has near those of its sides that lie within the image counts nothing, as little of what lies around it
    is known there: a function of each pixel's surroundings within an eighth of a tile gives what it would give of the
    whole image. Sums are taken in float64, so that tiles that agree give their own bits.

    Args:
        function: called with tiles `[tiles, h, w, _]` of each of the images, and the labels of theirs; it returns
            tiles `[tiles, h, w, c]`.
        tile: the shape of what it returns, `(h, w, c)`.
        images: arrays of images of one size, none smaller than a tile, which are cut alike.
        label: the labels of the images; None: they have none.
        at_once: the number of tiles that the function is given at a time.

    Raises:
        InputError: where the function returns tiles of another shape.
    """
    n, *size = images[0].shape[:3]
    down, across = (list(zip(*_axis(length, side), strict=True)) for length, side in zip(size, tile[:2], strict=True))
    placed = list(product(range(n), down, across))
    total = np.zeros((n, *size, tile[2]))
    for first in range(0, len(placed), at_once):
        few = placed[first : first + at_once]
        places = [(i, slice(top, top + tile[0]), slice(left, left + tile[1])) for i, (top, _), (left, _) in few]
        own = None if label is None else label[[i for i, _, _ in few]]
        made = function(*(np.stack([array[place] for place in places]) for array in images), own)
        if made.shape[1:] != tile:
            raise InputError(f"tiles of shape {tile} became {made.shape[1:]}: give images of shape {tile} alone")
        for place, values, (_, (_, rows), (_, columns)) in zip(places, made, few, strict=True):
            total[place] += rows[:, None, None] * columns[None, :, None] * values
    return total.astype(made.dtype)


def _axis(length: int, side: int) -> tuple[Int[np.ndarray, " tiles"], Float[np.ndarray, "tiles side"]]:
    """Returns where tiles begin along an axis, and the weight of each of a tile's places, which sum to one anywhere.

    Weights fall from the middle of a tile to zero, an eighth of it before its ends; but not to an end of the axis.
    """
    steps, margin = np.arange(side), side // 8
    count = 1 + -(-(length - side) // max(side // 2, 1))
    starts = np.linspace(0, length - side, count).round().astype(int)
    weights = np.full((count, side), (side + 1) // 2 - margin)
    weights[1:] = np.minimum(weights[1:], steps + 1 - margin)
    weights[:-1] = np.minimum(weights[:-1], side - steps - margin)
    weights = np.maximum(weights, 0)
    covered = np.zeros(length)
    for start, own in zip(starts, weights, strict=True):
        covered[start : start + side] += own
    return starts, weights / covered[starts[:, None] + steps[None]]


def as_missing(missing: Any, shape: tuple[int, ...]) -> Bool[np.ndarray, "n height width 1"]:
    """Returns which pixels of images of a shape are missing. Raises `InputError` for a mask of another shape or type.

    Args:
        missing: a mask `[height, width]` for all images, or `[n, height, width]` for each.
        shape: the shape of the images, `(n, height, width, channels)`.
    """
    mask = np.asarray(missing)
    if len(shape) != 4 or mask.dtype != bool or mask.shape not in (shape[1:3], shape[:3]):
        raise InputError(
            f"the mask of missing pixels is {mask.dtype} of shape {mask.shape} for examples of shape {shape}: give "
            "bool, (height, width) for all images or (n, height, width) for each, of images of that size"
        )
    return np.broadcast_to(mask, shape[:3])[..., None]
