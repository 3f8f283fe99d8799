"""Tells what data a run was trained on: whether others are the same, and how to read values in other units."""

import dataclasses
import hashlib
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from aejax.core import Examples, InputError
from aejax.data._checks import as_single, require_finite
from aejax.data.arrays import ARRAYS
from aejax.data.dataset import PARTS, Dataset, Schema
from aejax.data.files import is_path

_log = logging.getLogger("aejax")

_READ = 2**25
"""Bytes of a part that its fingerprint reads; of a larger one, as many as that in blocks spread evenly over it."""

_BLOCKS = 64

_FAR = 10
"""How many times the width of the training data's range values may lie outside it before a warning."""


NO_RECORD = "%s keeps no record of its data, as it was imported or is of an older version: other units cannot be told"
"""The warning where a run or a sweep has nothing that data could be compared with."""


@dataclass(frozen=True)
class DataRecord:
    """Describes the data that a run was trained on, as they are stored and before any preprocessing."""

    name: str
    """The data set's name, or the path as it was given."""
    path: str | None
    """The absolute path; None for data that have a name, and for arrays given in Python."""
    dtype: str
    """uint8 (grey levels, which preprocessing divides by 255) or a type of numbers, used as they are: float32, and of
    packed data also float16 and bfloat16."""
    low: float
    """The least value of the training part."""
    high: float
    """The greatest value of the training part."""
    whole: bool
    """Whether all values of the training part are whole numbers."""
    shape: tuple[int, ...]
    """The shape of one example."""
    rows: Mapping[str, int]
    """The number of examples in each part: train, validation, test."""
    fingerprints: Mapping[str, str]
    """The fingerprint of each part: see `fingerprint`."""
    classes: tuple[str, ...] = ()
    """The names of the integer labels, in order; none where they have none."""
    columns: tuple[str, ...] = ()
    """The names of the values of an example, where the source has columns: see `Schema`."""
    fill: tuple[float, ...] = ()
    """What stands in for a missing value in each column, where that was asked for."""
    offset: tuple[float, ...] = ()
    """What is subtracted from each value of an example, flat, before it becomes float32; none: nothing."""

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Describes a data set."""
        train = dataset.train.x
        path, lies = Path(dataset.name).expanduser(), dataset.name != ARRAYS and is_path(dataset.name)
        return cls(
            name=dataset.name,
            path=str(path.resolve()) if lies and path.exists() else None,
            dtype=str(train.dtype),
            low=float(train.min()),
            high=float(train.max()),
            whole=train.dtype == np.uint8 or all(_is_whole(train[few]) for few in _blocks(len(train), train.nbytes)),
            shape=tuple(dataset.shape),
            rows={name: len(dataset.part(name)) for name in PARTS},
            fingerprints={name: fingerprint(dataset.part(name)) for name in PARTS},
            classes=tuple(dataset.classes),
            columns=tuple(dataset.columns),
            fill=tuple(dataset.fill),
            offset=() if dataset.offset is None else tuple(dataset.offset.ravel().tolist()),
        )

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Restores a record from its JSON form. Raises `ValueError` for anything else."""
        try:
            names = {field.name for field in dataclasses.fields(cls)}
            fields: dict[str, Any] = {name: value for name, value in content.items() if name in names}
            fields |= {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
            made = cls(**fields)
            texts = (made.name, made.path or "", *made.classes, *made.columns, *made.fingerprints.values())
            sizes = (*made.shape, *made.rows.values())
            numbers = (made.low, made.high, *made.fill, *made.offset)
            whole = (
                made.dtype in ("uint8", "float16", "bfloat16", "float32")
                and type(made.whole) is bool
                and all(type(text) is str for text in texts)
                and all(type(size) is int and size >= 0 for size in sizes)
                and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
                and set(made.rows) == set(made.fingerprints) == set(PARTS)
                and len(made.offset) in (0, math.prod(made.shape))
            )
        except (TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"no record of data ({error})") from None
        if not whole:
            raise ValueError("no record of data (a field is of another kind)")
        return made

    @property
    def schema(self) -> Schema:
        """What the numbers stand for, by which later data are read."""
        return Schema(self.classes, self.columns, self.fill)

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form of the record."""
        return dataclasses.asdict(self)

    def same(self, other: "DataRecord") -> bool:
        """Tells whether other data are these, wherever they lie: the same examples and labels, divided alike."""
        return dict(self.fingerprints) == dict(other.fingerprints)

    def unlike(self, other: "DataRecord") -> str:
        """Says in words how other data differ from these."""
        facts = {
            f"values of type {other.dtype}": (other.dtype, self.dtype),
            f"examples of shape {other.shape}": (other.shape, self.shape),
            f"{sum(other.rows.values()):,} examples": tuple(f"{sum(r.rows.values()):,}" for r in (other, self)),
            "parts of " + _sizes(other): (_sizes(other), _sizes(self)),
        }
        for said, (there, here) in facts.items():
            if there != here:
                return f"{said} where there were {here}"
        return "as many examples with other values, labels or another order"


def _sizes(record: DataRecord) -> str:
    return " + ".join(f"{size:,}" for size in record.rows.values())


def fingerprint(part: Examples) -> str:
    """Returns a hash (the first half of SHA-256) of a part's examples and labels: their shapes, types and bytes.

    Of arrays that take more than 32 MiB it reads as much, in blocks of consecutive examples: the first, the last, and
    those evenly between them. It is the same for the same examples in memory and on disk.
    """
    digest = hashlib.sha256()
    for name, array in (("x", part.x), ("label", part.label), ("y", part.y)):
        if array is None:
            continue
        digest.update(f"{name} {np.dtype(array.dtype).newbyteorder('<').str} {tuple(array.shape)}".encode())
        for few in _blocks(len(array), array.nbytes):
            digest.update(np.ascontiguousarray(array[few]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:32]


def as_stored(x: np.ndarray) -> np.ndarray:
    """Returns values as uint8 or float32, where it is not known in which units the training data were.

    Raises `InputError` for values that are not finite.
    """
    require_finite(x, "the examples")
    return x if x.dtype == np.uint8 else as_single(x)


def in_units(x: np.ndarray, record: DataRecord, noisy: bool = False, counts: bool = False) -> np.ndarray:
    """Returns values as they would be stored had they been among the training data: uint8, or float32.

    Where a run was trained on uint8, whole numbers from 0 to 255 of any type are grey levels, and numbers from 0 to 1
    are shares of white. Where it was trained on float32 from 0 to 1, uint8 (and of images, whole numbers from 0 to 255
    of any type) is divided by 255. Where it was trained on other float32, uint8 are numbers.

    Args:
        x: the examples, of the shape of the training data's.
        record: what the run was trained on.
        noisy: whether the model takes noise away, so that values may lie beyond those of its training data.
        counts: whether a run was trained on counts, of which numbers of any type are others in the same unit.

    Raises:
        InputError: for values whose unit cannot be told.
    """
    require_finite(x, "the examples")
    if counts:
        return as_single(x)
    if x.dtype == bool:
        x = x * np.uint8(255)
    low, high = float(x.min()), float(x.max())
    if record.dtype == "uint8":
        return _as_levels(x, low, high, noisy)
    if record.offset:
        return _centred(x, np.reshape(record.offset, record.shape))
    if record.low >= 0 and record.high <= 1:
        grey = x.dtype == np.uint8 and not (record.whole and high <= 1)
        if grey or (len(record.shape) == 3 and low >= 0 and 1 < high <= 255 and _is_whole(x)):
            return as_single(x) / np.float32(255)
    elif x.dtype == np.uint8 and not record.whole and not _within(low, high, record, 1):
        raise InputError(
            f"the examples are uint8 from {low:g} to {high:g}, but the training data were numbers from {record.low:g} "
            f"to {record.high:g}: give float32 in the units of those"
        )
    shares = record.whole and record.high > _FAR and low >= 0 and high <= 1 and not _is_whole(x)
    if shares or not _within(low, high, record, _FAR):
        _log.warning(
            "the examples lie from %g to %g where the training data lay from %g to %g: scale them if they are in "
            "another unit",
            low,
            high,
            record.low,
            record.high,
        )
    return as_single(x)


def _as_levels(x: np.ndarray, low: float, high: float, noisy: bool) -> np.ndarray:
    """Returns values for a run on grey levels: uint8, or float32 where they are shares of white."""
    if x.dtype == np.uint8:
        return x
    if low >= 0 and high <= 1:
        if x.dtype.kind in "iu" and high == 1:
            _log.warning("the examples are %s of 0 and 1, taken as black and white: give grey levels as uint8", x.dtype)
        return x.astype(np.float32)
    if low >= 0 and high <= 255 and _is_whole(x):
        return x.astype(np.uint8)
    if noisy and low >= -_FAR and high <= 1 + _FAR:
        return x.astype(np.float32)
    raise InputError(
        f"the examples are {x.dtype} with values from {low:g} to {high:g}, but this model was trained on grey levels: "
        "give whole levels from 0 to 255 (best as uint8), or shares in [0, 1]"
    )


def _centred(x: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Subtracts the offset in float64, unless the values have none: those of a loaded `Dataset` are without it."""
    exact = x.astype(np.float64)
    raw = np.abs(exact - offset[None]).sum() < np.abs(exact).sum()
    return (exact - offset[None] if raw else exact).astype(np.float32)


def _within(low: float, high: float, record: DataRecord, widths: float) -> bool:
    """Tells whether values lie in the training data's range, widened on both sides by so many times its width."""
    margin = widths * (record.high - record.low or 1)
    return record.low - margin <= low and high <= record.high + margin


def _is_whole(x: np.ndarray) -> bool:
    return x.dtype.kind in "iub" or bool((x == np.rint(x)).all())


def _blocks(n: int, size: int) -> Iterator[slice]:
    """Yields slices of examples, together all of them or `_READ` bytes: the first, the last, and evenly between."""
    if size <= _READ:
        yield slice(0, n)
        return
    rows = max(1, int(n * _READ / size / _BLOCKS))
    for start in np.linspace(0, n - rows, min(_BLOCKS, n)).astype(int).tolist():
        yield slice(start, start + rows)
