"""Checks arrays that come from outside, and converts them to the types in which aejax keeps them."""

import logging

import numpy as np

from aejax.core import InputError

_log = logging.getLogger("aejax")


def examples(values: np.ndarray, where: str) -> np.ndarray:
    """Returns a copy of the examples in the types and shapes of `Examples`.

    bool becomes uint8 of 0 and 255, uint8 stays, any other real number becomes float32; `[n, h, w]` gets an axis of
    one channel. `where` names the source in messages. Raises `InputError` for values that are not real and finite,
    for other shapes, and for no examples at all.
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
    return _floats(values, where)


def _floats(values: np.ndarray, where: str) -> np.ndarray:
    """Returns the numbers as float32. Raises `InputError` where one of them is not finite."""
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    bad = ~np.isfinite(floats)
    if bad.any():
        raise InputError(
            f"{where} has {bad.sum()} values that are NaN, infinite or too large for float32, the first in "
            f"example {np.argwhere(bad)[0][0]}: remove or replace them"
        )
    if values.dtype.kind in "ui" and values.min() >= 0 and 1 < values.max() <= 255:
        _log.warning("%s holds %s, used as they are: save grey levels as uint8", where, values.dtype)
    return floats


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
