"""Brings the values of a data set to uint8 or float32, and says or avoids what float32 would lose."""

from dataclasses import replace
from typing import Any

import numpy as np

from aejax.core import Examples
from aejax.data._checks import as_array, as_single, examples, hint, labels, lost_places, require_alike
from aejax.data.dataset import PARTS, Dataset
from aejax.data.preprocess import Preprocess
from aejax.data.settings import Data
from aejax.data.stored import Stored, chunks


def settled(dataset: Dataset, preprocess: Preprocess) -> Dataset:
    """Returns a data set as everything else expects it: NumPy's arrays, finite, uint8 or float32.

    Where float32 would lose something, and the preprocessing subtracts each value's mean anyway, the mean of the
    training part is subtracted before. A data set that is so already is returned as it is. Raises `InputError` for
    examples or labels that cannot be used, with the first row and column.
    """
    data = Data(preprocess=preprocess)
    parts = {name: _exact(dataset.part(name), f"the {name} part of {dataset.name}", data) for name in PARTS}
    if any(part.x.dtype == np.float64 for part in parts.values()):
        held = [part.x for part in parts.values() if len(part)]
        lost = np.any([lost_places(x) for x in held], axis=0)
        if lost.any() and preprocess.centres:
            offset = np.where(lost, parts["train"].x.astype(np.float64).mean(axis=0), 0)
            parts = {name: replace(part, x=(part.x - offset[None]).astype(np.float32)) for name, part in parts.items()}
            dataset = replace(dataset, offset=offset)
        parts = {name: _single(part, f"the {name} part of {dataset.name}") for name, part in parts.items()}
    require_alike(parts, dataset.name)
    changed: dict[str, Any] = {name: part for name, part in parts.items() if part is not dataset.part(name)}
    return replace(dataset, **changed) if changed else dataset


def _exact(part: Examples, where: str, data: Data) -> Examples:
    """Returns examples as uint8, as float32, or as float64 where float32 would lose something: see `examples`."""
    if isinstance(part, Stored):
        return part
    x, label = part.x, part.label
    if not _is_settled(x) or (data.preprocess.counts and x.dtype != np.float32):
        given = as_array(x, where)
        x = examples(given, where, data) if len(given) else given.astype(np.float32)
        if len(x) and not data.preprocess.counts:
            hint(x.dtype, x.min(), x.max(), given, where)
    if label is not None and not (isinstance(label, np.ndarray) and label.dtype == np.int32 and label.ndim == 1):
        label = labels(as_array(label, where), len(x), where)
    return part if x is part.x and label is part.label else replace(part, x=x, label=label)


def _single(part: Examples, where: str) -> Examples:
    """Returns examples as uint8 or float32: see `as_single`."""
    return replace(part, x=as_single(part.x, where)) if part.x.dtype == np.float64 else part


def _is_settled(x: Any) -> bool:
    """Tells whether values are an array in a form that needs no change."""
    known = isinstance(x, np.ndarray) and x.dtype in (np.dtype(np.uint8), np.dtype(np.float32)) and x.ndim in (2, 4)
    return known and x.dtype.isnative and (x.dtype == np.uint8 or all(np.isfinite(few).all() for few in chunks(x)))
