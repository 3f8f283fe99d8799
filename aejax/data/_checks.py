"""Checks arrays that come from outside, and converts them to the types in which aejax keeps them.

Files of every kind and arrays given in Python go through `checked`, and so get the same sentences.
"""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from aejax.core import Examples, InputError, first_line
from aejax.data._source import Raw, Source, row_bytes, whole
from aejax.data.dataset import UNKNOWN, Parts, Schema
from aejax.data.settings import PLAIN, Data, Layout
from aejax.data.stored import chunks

_log = logging.getLogger("aejax")

_notes = logging.getLogger("aejax.notes")

_CHUNK = 2**22  # bytes in memory at once where a part is read in chunks

_FLAGS = ("normal", "outlier")

_COARSE = 2**-10
"""The largest error of rounding, as a share of the values' standard deviation, that loses nothing worth a word."""

_WINDOW = "If they are windows in time, --data.layout flat trains on them as vectors"


def checked(source: Source, where: str, data: Data, known: Schema) -> Parts:
    """Checks everything a reader has found, and returns it in the types and shapes of `Examples`.

    Numbers that float32 cannot tell apart are float64 still, for `precision.settled` to see to them.

    Args:
        source: what a file or folder holds.
        where: its name, for messages.
        data: how missing values, outliers and the layout are taken.
        known: what a run has learned of its own data: its classes number the labels, its fill stands for what is
            missing. Empty for data that a run is about to be trained on.

    Raises:
        InputError: for anything that cannot be used.
    """
    numbers, classes = numbered({name: raw.label for name, raw in source.parts.items()}, where, source, data, known)
    parts, notes = {}, list(source.notes)
    for name, raw in source.parts.items():
        x = examples(whole(raw.x, where), where, data, source.columns)
        if not data.preprocess.counts:
            hint(x.dtype, x.min(), x.max(), raw.x, where)
        part = Examples(x, labels(numbers[name], len(x), where))
        if data.missing == "drop" and (lacking := with_gaps(part.x)).any():
            notes.append(f"{lacking.sum():,} of {len(x):,} examples of {name} lack a value and are left out")
            part = part.take(np.flatnonzero(~lacking))
        if not len(part):
            raise InputError(f"every example of {where} lacks a value: give --data.missing mean, or other data")
        notes += window_note(raw.x, data.layout)
        parts[name] = part
    require_alike(parts, where)
    found = Parts(parts, Schema(classes, source.columns, known.fill), tuple(dict.fromkeys(notes)))
    return filled(found, known.fill) if known.fill else found


def require_alike(parts: Mapping[str, Examples], where: str) -> None:
    """Raises `InputError` for parts whose examples differ in shape, or of which some are grey levels and others not."""
    types = {True: "uint8", False: "float32"}
    kinds = {(part.x.shape[1:], types[part.x.dtype == np.uint8]) for part in parts.values() if len(part)}
    if len(kinds) > 1:
        raise InputError(f"the parts of {where} differ in shape or type ({kinds}): make them alike")


def checked_chunks(source: Source, where: str, data: Data) -> tuple[dict[str, Iterator[Examples]], Schema]:
    """Checks what a reader has found a few megabytes at a time, and returns an iterator for each part.

    What the reader took for granted or left out is logged.

    Raises `InputError` as `checked` does, and for missing values that are to be dropped or filled, which takes all
    examples at once.
    """
    if data.missing != "refuse":
        raise InputError(f"--data.missing {data.missing} needs all of {where} at once: replace what is missing first")
    numbers, classes = numbered({name: raw.label for name, raw in source.parts.items()}, where, source, data, UNKNOWN)

    def part_chunks(raw: Raw, label: np.ndarray | None) -> Iterator[Examples]:
        if 0 in raw.x.shape or raw.x.shape == ():
            examples(np.asarray(raw.x), where, data)  # which says what is wrong
        low, high, n, lost = np.inf, -np.inf, len(raw.x), np.zeros(1, bool)
        size = max(1, _CHUNK // row_bytes(raw.x))
        for start in range(0, n, size):
            few = slice(start, min(start + size, n))
            x = examples(np.asarray(raw.x[few]), where, data, source.columns, start)
            low, high = min(low, x.min()), max(high, x.max())
            if x.dtype == np.float64:
                lost, x = lost | lost_places(x), x.astype(np.float32)
            yield Examples(x, labels(None if label is None else label[few], len(x), where))
        if not data.preprocess.counts:
            hint(x.dtype, low, high, raw.x, where)
        say_lost(lost, n, where)

    for note in source.notes:
        _notes.warning("%s: %s", where, note)
    parts = {name: part_chunks(raw, numbers[name]) for name, raw in source.parts.items()}
    return parts, Schema(classes, source.columns)


def as_array(values: Any, where: str) -> np.ndarray:
    """Returns anything that is like an array as one of NumPy's: JAX's, PyTorch's, a list, SciPy's sparse matrices.

    Raises `InputError` for what has no such form. `where` names the source in messages.
    """
    if hasattr(values, "toarray"):
        values = values.toarray()
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    try:
        found = np.asarray(values)
    except Exception as error:  # a list of unequal rows, or whatever a foreign class raises
        raise InputError(f"{where} cannot be made an array ({first_line(error)}): give rows of equal length") from error
    if found.dtype.kind == "V" and found.dtype.names is None:  # bfloat16 and its like, which NumPy has no letter for
        return found.astype(np.float32)
    return found


def examples(values: Any, where: str, data: Data = PLAIN, columns: tuple[str, ...] = (), start: int = 0) -> np.ndarray:
    """Returns a copy of the examples in the types and shapes of `Examples`.

    bool becomes uint8 of 0 and 255, uint8 stays, any other real number becomes float32, or float64 where float32 would
    lose something: see `lost_places`. Where `data.preprocess` takes counts, bool and uint8 become float32 as any other
    number. `[n, h, w]` gets an axis of one channel, and `data.layout` says how other axes lie. Missing values stay NaN
    where `data.missing` is to do something about them.

    Args:
        values: the examples.
        where: their source, for messages.
        data: its fields `layout`, `missing` and `preprocess`.
        columns: the names of the values of an example, for messages.
        start: the number of the first example in its file, for messages.

    Raises:
        InputError: for values that are not real and finite, for other shapes, for no examples at all, and for a shape
            whose channels seem to come first.
    """
    values = as_array(values, where)
    if values.dtype.kind == "O":
        raise InputError(f"{where} holds Python objects, which are never unpickled: save real numbers, as float32")
    if values.dtype.kind not in "buif":
        raise InputError(f"{where} holds values of type {values.dtype}: save real numbers, as uint8 or float32")
    values = _arranged(values, where, data.layout)
    if data.preprocess.counts and values.dtype in (np.uint8, np.bool_):
        return values.astype(np.float32)
    if values.dtype == bool:
        return values * np.uint8(255)
    return np.array(values) if values.dtype == np.uint8 else _floats(values, where, data, columns, start)


def _arranged(values: np.ndarray, where: str, layout: Layout | None) -> np.ndarray:
    """Returns the values as `[n, d]` or `[n, h, w, c]`. Raises `InputError` for a shape that says too little."""
    shape = values.shape
    if values.size == 0 and values.ndim > 1:
        raise InputError(f"{where} has shape {shape}: save at least one example")
    if layout == "flat" and values.ndim > 1:
        return values.reshape(len(values), -1)
    if values.ndim > 4:
        raise InputError(
            f"{where} has shape {shape}: expected [n, d], [n, h, w] or [n, h, w, c]; volumes and other examples of "
            "more axes are trained on as vectors by --data.layout flat"
        )
    if values.ndim not in (2, 3, 4):
        raise InputError(f"{where} has shape {shape}: expected [n, d], [n, h, w] or [n, h, w, c]")
    if values.ndim == 3:
        return values[..., None]
    if layout == "channels-first" and values.ndim == 4:
        return np.moveaxis(values, 1, 3)
    if values.ndim == 4 and layout is None and _seems_channels_first(shape):
        raise InputError(
            f"{where} has shape {shape}, whose channels seem to come first: give --data.layout channels-first for "
            f"images of {shape[2]}x{shape[3]} with {shape[1]} channels, or channels-last for {shape[1]}x{shape[2]} "
            f"with {shape[3]}"
        )
    return values


def _seems_channels_first(shape: tuple[int, ...]) -> bool:
    """Tells whether `[n, h, w, c]` looks like `[n, c, h, w]`: few rows of many columns, or square in the last axes."""
    _, first, second, last = shape
    return (first <= 4 < min(second, last)) or (first < second == last)


def window_note(values: Any, layout: Layout | None) -> list[str]:
    """Returns a sentence for an array `[n, t, c]` of other numbers than grey levels, which may not be images."""
    shape = np.shape(values)
    if len(shape) != 3 or layout is not None or shape[1] == shape[2] or values.dtype in (np.uint8, np.bool_):
        return []
    return [f"examples of shape {shape[1:]} are taken as images of one channel. {_WINDOW}"]


def _floats(values: np.ndarray, where: str, data: Data, columns: tuple[str, ...], start: int) -> np.ndarray:
    """Returns the numbers as float32, or as float64 where float32 would lose something.

    Raises `InputError` where one is infinite, or missing and not to be.
    """
    require_finite(values, where, data, columns, start)
    return values.astype(np.float64 if lost_places(values).any() else np.float32)


def require_finite(
    values: np.ndarray, where: str, data: Data = PLAIN, columns: tuple[str, ...] = (), start: int = 0
) -> None:
    """Raises `InputError` where a number is not finite as float32, unless it is missing (NaN) and may be.

    Args:
        values: the numbers.
        where: their source, for messages.
        data: its field `missing` tells whether values may be missing.
        columns: the names of the values of an example, for messages.
        start: the number of the first example in its file, for messages.
    """
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(values.astype(np.float32))
    if finite.all():
        return
    missing = np.isnan(values)
    bad = ~finite & ~missing
    if bad.any():
        raise InputError(
            f"{where} has {bad.sum()} values in {_rows(bad)} rows that are infinite or too large for float32, the "
            f"first in {_place(bad, start)}: remove or replace them"
        )
    if data.missing == "refuse":
        raise InputError(
            f"{where} has {_counted(missing, columns)}, the first in {_place(missing, start)}: replace them, leave "
            "these examples out, or train with --data.missing mean (the training part's mean in their place) or drop "
            "(which passes over such examples)"
        )


def _rows(bad: np.ndarray) -> int:
    return int(bad.reshape(len(bad), -1).any(axis=1).sum())


def _place(bad: np.ndarray, start: int) -> str:
    """Returns where the first bad value stands: its example, and of vectors its column."""
    first, *place = np.argwhere(bad)[0].tolist()
    return f"example {start + first}" + (f", column {place[0]}" if len(place) == 1 else "")


def lost_places(x: np.ndarray) -> np.ndarray:
    """Returns for each value of an example whether float32 would lose what tells examples apart: `[*shape]`, bool.

    That is where different whole numbers become equal, as ids above 2^24 do, and where the error of others exceeds
    a thousandth of their standard deviation, as that of times in seconds since 1970 does. Missing values (NaN) are
    left out.
    """
    none = np.zeros(x.shape[1:], bool)
    if not len(x) or x.dtype.kind not in "iuf" or x.dtype.itemsize < 4 or x.dtype == np.float32:
        return none
    error, whole, squares, total = np.zeros(none.shape), ~none, np.zeros(none.shape), np.zeros(none.shape)
    base, count = _first_known(x), np.zeros(none.shape)
    for chunk in chunks(x):
        exact = chunk.astype(np.float64)
        known = ~np.isnan(exact)
        error = np.fmax(error, np.fmax.reduce(np.abs(exact - exact.astype(np.float32)), axis=0))
        whole &= ((exact == np.rint(exact)) | ~known).all(axis=0)
        apart = np.where(known, exact - base, 0)  # from an example, because a mean of such values is rounded itself
        total, squares, count = total + apart.sum(axis=0), squares + np.square(apart).sum(axis=0), count + known.sum(0)
    count = np.maximum(count, 1)
    deviation = np.sqrt(np.maximum(squares / count - np.square(total / count), 0))
    lost = (deviation > 0) & ~whole & (error > _COARSE * deviation)
    for place in np.argwhere((deviation > 0) & whole & (error > 0)):
        values = np.unique(x[(slice(None), *place)])
        lost[tuple(place)] = len(np.unique(values.astype(np.float32))) < len(values)
    return lost


def _first_known(x: np.ndarray) -> np.ndarray:
    """Returns for each value of an example the first one that is not missing: `[*shape]`."""
    if x.dtype.kind != "f" or not np.isnan(x[0]).any():
        return x[0]
    return np.take_along_axis(x, np.argmax(~np.isnan(x), axis=0)[None], axis=0)[0]


def as_single(x: np.ndarray, where: str = "the examples") -> np.ndarray:
    """Returns numbers as float32, with one warning where that makes different ones equal.

    `where` names their source.
    """
    say_lost(lost_places(x), len(x), where)
    return x.astype(np.float32)


def say_lost(lost: np.ndarray, n: int, where: str) -> None:
    """Warns of values that float32 cannot tell apart.

    Args:
        lost: which values of an example those are, as `lost_places` returns them.
        n: the number of examples.
        where: their source.
    """
    if lost.any():
        places = np.flatnonzero(lost)
        named = ", ".join(map(str, places[:5])) + (", ..." if len(places) > 5 else "")
        _log.warning(
            "%s: float32 cannot tell the numbers of column %s apart (%d of %d columns, %d rows): subtract a constant "
            "from them, or train with --data.preprocess standardise, which does",
            where, named, len(places), lost.size, n,
        )  # fmt: skip


def _counted(missing: np.ndarray, columns: tuple[str, ...]) -> str:
    """Returns how many values are missing, and in which columns where columns have names."""
    if not columns:
        return f"{missing.sum()} missing values (NaN) in {_rows(missing)} rows"
    each: dict[str, int] = {}
    for name, count in zip(columns, missing.sum(0).tolist(), strict=True):
        each[name.split("=")[0]] = count  # a text that is missing is so in the column of each of its levels
    lacking = {name: count for name, count in each.items() if count}
    named = _some([f"{name!r} ({count})" for name, count in lacking.items()])
    return f"{sum(lacking.values())} missing values (NaN) in {named}"


def _some(names: list[str], most: int = 8) -> str:
    """Returns the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def with_gaps(x: np.ndarray) -> np.ndarray:
    """Tells which examples lack a value."""
    return np.isnan(x).any(axis=tuple(range(1, x.ndim))) if x.dtype.kind == "f" else np.zeros(len(x), bool)


def filled(found: Parts, fill: tuple[float, ...] = ()) -> Parts:
    """Puts a number in the place of every missing value: `fill`, or else the mean over the training part.

    Raises `InputError` for a value that no training example has.
    """
    if not any(with_gaps(part.x).any() for part in found.parts.values() if isinstance(part.x, np.ndarray)):
        return found
    means = np.asarray(fill)
    if not fill:
        train = found.parts["train"].x.reshape(len(found.parts["train"]), -1).astype(np.float64)
        known = ~np.isnan(train)
        if not known.any(axis=0).all():
            raise InputError(
                "a column has no value in any training example, hence no mean: leave it out by --data.drop"
            )
        means = (np.where(known, train, 0).sum(0) / known.sum(0)).astype(found.parts["train"].x.dtype)
    parts = {}
    for name, part in found.parts.items():
        shape = part.x.shape
        if len(means) != np.prod(shape[1:]):
            raise InputError(f"the examples have {np.prod(shape[1:])} values where {len(means)} were expected")
        whole_x = np.where(np.isnan(part.x), means.reshape(shape[1:]).astype(part.x.dtype), part.x)
        parts[name] = Examples(whole_x, part.label)
    schema = dataclasses.replace(found.schema, fill=tuple(float(mean) for mean in means))
    return Parts(parts, schema, found.notes)


def hint(dtype: Any, low: float, high: float, raw: Any, where: str) -> None:
    """Warns of numbers that may be grey levels in another form.

    Args:
        dtype: the type that the examples have now, uint8 or float32.
        low: the least of all values.
        high: the largest.
        raw: the array as it was stored.
        where: the source, for messages.
    """
    stored = np.dtype(getattr(raw, "dtype", dtype))
    if dtype == np.uint8 and stored == np.uint8 and high == 1:
        _log.warning("%s holds grey levels of 0 and 1 alone, nearly black: save black and white as bool", where)
    if stored.kind in "ui" and stored != np.uint8 and low >= 0 and 1 < high <= 255:
        _log.warning("%s holds %s, used as they are: save grey levels as uint8", where, stored)


def labels(values: np.ndarray | None, n: int, where: str) -> np.ndarray | None:
    """Returns the labels as int32 `[n]`.

    Args:
        values: the labels; None: there are none.
        n: the number of examples.
        where: the source, for messages.

    Raises:
        InputError: for another shape than `[n]`, and for labels that are not whole numbers within int32.
    """
    if values is None:
        return None
    if values.shape != (n,):
        raise InputError(f"{where} has labels of shape {values.shape} for {n} examples: expected one an example, [{n}]")
    with np.errstate(invalid="ignore"):
        if values.dtype.kind not in "buif" or (values != values.astype(np.int32)).any():
            raise InputError(f"{where} has labels of type {values.dtype}: expected text, or whole numbers within int32")
    return values.astype(np.int32)


def numbered(
    found: Mapping[str, np.ndarray | None], where: str, source: Source, data: Data, known: Schema
) -> tuple[dict[str, np.ndarray | None], tuple[str, ...]]:
    """Numbers labels that are text, in all parts alike, and returns them with the names of their classes.

    Names are numbered in sorted order, or as the run that knows them did. Where `data.outlier` is given, labels become
    1 for outliers and 0 for all others. Raises `InputError` for a name that the run does not know, and where no label
    is an outlier.
    """
    given = {
        name: None if label is None else as_array(label, f"the labels of {where}") for name, label in found.items()
    }
    present = [label for label in given.values() if label is not None]
    if any(missing(label).any() for label in present):
        count = sum(missing(label).sum() for label in present)
        raise InputError(f"{where} has {count} examples without a label: remove them, or give every one a label")
    text = any(label.dtype.kind in "OUST" for label in present)
    if data.outlier:
        return _flags(given, where, source.classes, data, required=not known.classes)
    if not text:
        return given, source.classes or (known.classes if present else ())
    every = sorted(set().union(*(np.unique(label.astype(str)).tolist() for label in present)))
    classes = known.classes or tuple(every)
    return {
        part: None if label is None else numbers_of(label, classes, where) for part, label in given.items()
    }, classes


def numbers_of(names: np.ndarray, classes: tuple[str, ...], where: str) -> np.ndarray:
    """Returns the number of each name among those of a run's classes, int32.

    Raises `InputError` for a name that the run does not know; `where` names the source in the message.
    """
    number = {name: i for i, name in enumerate(classes)}
    given = names.astype(str).tolist()
    if strangers := sorted(set(given) - number.keys()):
        raise InputError(
            f"{where} has the labels {_some([repr(name) for name in strangers])}, which the run does not know: its "
            f"classes are {_some(list(classes))}"
        )
    return np.array([number[name] for name in given], np.int32)


def _flags(
    given: Mapping[str, np.ndarray | None], where: str, names: tuple[str, ...], data: Data, required: bool
) -> tuple[dict[str, np.ndarray | None], tuple[str, ...]]:
    """Returns labels that are 1 for outliers and 0 for all others, and the names of these two."""
    present = [label for label in given.values() if label is not None]
    if required and not present:
        raise InputError(f"{where} has no labels among which {', '.join(data.outlier)} could be: name their column")

    def told(label: np.ndarray) -> np.ndarray:
        return np.array([names[int(value)] if names else _word(value) for value in label.tolist()])

    words = {part: None if label is None else told(label) for part, label in given.items()}
    every = sorted(set().union(*(set(label.tolist()) for label in words.values() if label is not None)))
    if required and not set(every) & set(data.outlier):
        raise InputError(f"no label of {where} is {', '.join(data.outlier)}: its labels are {_some(every)}")
    return {
        part: None if label is None else np.isin(label, data.outlier).astype(np.int32) for part, label in words.items()
    }, _FLAGS


def _word(value: Any) -> str:
    """Returns a label as a user writes it: a whole number without a point."""
    return str(int(value)) if isinstance(value, bool | float) and value == int(value) else str(value)


def missing(label: np.ndarray) -> np.ndarray:
    """Tells which labels are missing: NaN or None."""
    if label.dtype.kind == "f":
        return np.isnan(label)
    if label.dtype.kind == "O":
        return np.array([value is None or value != value for value in label.reshape(-1).tolist()], bool)
    return np.zeros(label.shape, bool)
