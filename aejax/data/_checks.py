"""Checks arrays that come from outside, and converts them to the types in which aejax keeps them."""

import logging
from typing import Any

import numpy as np

from aejax.core import InputError, first_line
from aejax.data.stored import chunks

_log = logging.getLogger("aejax")

_COARSE = 2**-10
"""The largest error of rounding, as a share of the values' standard deviation, that loses nothing worth a word."""


def examples(values: np.ndarray, where: str, exact: bool = False) -> np.ndarray:
    """Returns a copy of the examples in the types and shapes of `Examples`.

    bool becomes uint8 of 0 and 255, uint8 stays, any other real number becomes float32; `[n, h, w]` gets an axis of
    one channel.

    Args:
        values: the examples.
        where: the source, for messages.
        exact: return float64 where float32 would lose something, for `precision.settled` to see to it.

    Raises:
        InputError: for values that are not real and finite, for other shapes, and for no examples at all.
    """
    if values.dtype.kind not in "buif":
        raise InputError(f"{where} holds values of type {values.dtype}: save real numbers, as uint8 or float32")
    if values.ndim not in (2, 3, 4):
        raise InputError(f"{where} has shape {values.shape}: expected [n, d], [n, h, w] or [n, h, w, c]")
    if values.size == 0:
        raise InputError(f"{where} has shape {values.shape}: save at least one example")
    if values.ndim == 3:
        values = values[..., None]
    if values.dtype == bool:
        return values * np.uint8(255)
    if values.dtype == np.uint8:
        if values.max() == 1:
            _log.warning("%s holds grey levels of 0 and 1 alone, nearly black: save black and white as bool", where)
        return np.array(values)
    require_finite(values, where)
    if values.dtype.kind in "ui" and values.min() >= 0 and 1 < values.max() <= 255:
        _log.warning("%s holds %s, used as they are: save grey levels as uint8", where, values.dtype)
    return values.astype(np.float64) if exact and lost_places(values).any() else as_single(values, where)


def require_finite(values: np.ndarray, where: str) -> None:
    """Raises `InputError` where one of the numbers is not finite as float32, with the first row and column."""
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    bad = ~np.isfinite(floats)
    if bad.any():
        first, *place = np.argwhere(bad)[0].tolist()
        column = f", column {place[0]}" if len(place) == 1 else ""
        rows = int(bad.reshape(len(bad), -1).any(axis=1).sum())
        raise InputError(
            f"{where} has {bad.sum()} values in {rows} rows that are NaN, infinite or too large for float32, the "
            f"first in example {first}{column}: remove or replace them"
        )


def lost_places(x: np.ndarray) -> np.ndarray:
    """Returns for each value of an example whether float32 would lose what tells examples apart: `[*shape]`, bool.

    That is where different whole numbers become equal, as ids above 2^24 do, and where the error of others exceeds
    a thousandth of their standard deviation, as that of times in seconds since 1970 does.
    """
    none = np.zeros(x.shape[1:], bool)
    if x.dtype.kind not in "iuf" or x.dtype.itemsize < 4 or x.dtype == np.float32:
        return none
    error, whole, squares, total = np.zeros(none.shape), ~none, np.zeros(none.shape), np.zeros(none.shape)
    for chunk in chunks(x):
        exact = chunk.astype(np.float64)
        error = np.maximum(error, np.abs(exact - exact.astype(np.float32)).max(axis=0))
        whole &= (exact == np.rint(exact)).all(axis=0)
        apart = exact - x[:1]  # from an example, because a mean of such values is rounded itself
        total, squares = total + apart.sum(axis=0), squares + np.square(apart).sum(axis=0)
    deviation = np.sqrt(np.maximum(squares / len(x) - np.square(total / len(x)), 0))
    lost = (deviation > 0) & ~whole & (error > _COARSE * deviation)
    for place in np.argwhere((deviation > 0) & whole & (error > 0)):
        values = np.unique(x[(slice(None), *place)])
        lost[tuple(place)] = len(np.unique(values.astype(np.float32))) < len(values)
    return lost


def as_single(x: np.ndarray, where: str = "the examples") -> np.ndarray:
    """Returns numbers as float32, with one warning where that makes different ones equal.

    `where` names their source.
    """
    lost = lost_places(x) if len(x) else np.zeros(0, bool)
    if lost.any():
        places = np.flatnonzero(lost)
        named = ", ".join(map(str, places[:5])) + (", ..." if len(places) > 5 else "")
        _log.warning(
            "%s: float32 cannot tell the numbers of column %s apart (%d of %d columns, %d rows): subtract a constant "
            "from them, or train with --data.preprocess standardise, which does",
            where, named, len(places), lost.size, len(x),
        )  # fmt: skip
    return x.astype(np.float32)


def as_array(values: Any, where: str) -> np.ndarray:
    """Returns nested lists or another library's array as NumPy's. Raises `InputError` where they are none."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where} make no array ({first_line(error)}): give rows of one length") from None


def labels(values: np.ndarray, n: int, where: str) -> np.ndarray:
    """Returns the labels as int32 `[n]`.

    Args:
        values: the labels.
        n: the number of examples.
        where: the source, for messages.

    Raises:
        InputError: for another shape than `[n]`, and for labels that are not whole numbers within int32.
    """
    if values.shape != (n,):
        raise InputError(f"{where} has labels of shape {values.shape} for {n} examples: expected one an example, [{n}]")
    if values.dtype.kind not in "bui" or (values != values.astype(np.int32)).any():
        raise InputError(f"{where} has labels of type {values.dtype}: expected whole numbers that fit int32")
    return values.astype(np.int32)
