"""Reads arrays given in Python as files are read: the same checks, the same sentences."""

import dataclasses
from typing import Any

import numpy as np

from aejax.core import Examples, InputError
from aejax.data._arrays import SparseRows, dense_note
from aejax.data._checks import as_array, checked
from aejax.data._source import Raw, Source
from aejax.data._tables import of_tables
from aejax.data.dataset import UNKNOWN, Dataset, Parts, Schema
from aejax.data.settings import PLAIN, VALIDATION, Data
from aejax.data.split import split_off

ARRAYS = "arrays"
"""The name of data that was given as arrays."""


def dataset_of(x: Any, labels: Any, validation: Any, test: Any, data: Data) -> Dataset:
    """Makes a data set of arrays: see `Dataset.of`."""
    fraction = data.validation
    given = {"train": (x, labels)}
    if validation is not None and isinstance(validation, int | float):
        fraction = float(validation)
    elif validation is not None:
        given["validation"] = _pair(validation)
    if test is not None:
        given["test"] = _pair(test)
    return split_off(ARRAYS, parts_of(given, dataclasses.replace(data, name=ARRAYS)), fraction, data)


def as_dataset(given: Any, data: Data) -> Dataset:
    """Returns a data set as it is, and makes one of anything else: an array, or a pair of examples and labels.

    It holds out validation, `data.validation` of it or a tenth. Raises `InputError` as `Dataset.of` does.
    """
    if isinstance(given, Dataset):
        return given
    x, labels = _pair(given)
    return dataset_of(x, labels, None, None, dataclasses.replace(data, validation=data.validation or VALIDATION))


def as_examples(given: Any, label: Any = None, data: Data = PLAIN, known: Schema = UNKNOWN) -> Examples:
    """Returns examples as they are, and makes them of anything else, as a run reads data that come later.

    Args:
        given: `Examples`, an array, or a data frame.
        label: the labels of the examples, numbers or text; None where there are none.
        data: how the run reads its own data.
        known: what the run has learned of its own data.

    Raises:
        InputError: for arrays that cannot be used.
    """
    if isinstance(given, Examples):
        return given
    return parts_of({"train": (given, label)}, data.keeping_rows(), known).parts["train"]


def _pair(given: Any) -> tuple[Any, Any]:
    """Returns examples and labels: both of a pair or of `Examples`, else no labels."""
    if isinstance(given, Examples):
        return given.x, given.label
    is_pair = isinstance(given, tuple) and len(given) == 2
    return (given[0], given[1]) if is_pair else (given, None)


def parts_of(given: dict[str, tuple[Any, Any]], data: Data, known: Schema = UNKNOWN) -> Parts:
    """Returns the parts that arrays or data frames make. Raises `InputError` for any that cannot be used."""
    frames = [hasattr(x, "__arrow_c_stream__") for x, _ in given.values()]
    source = _frames(given, data, known) if all(frames) else _plain(given)
    return checked(source, ARRAYS, data, known)


def _plain(given: dict[str, tuple[Any, Any]]) -> Source:
    parts, notes = {}, []
    for name, (x, label) in given.items():
        if hasattr(x, "tocsr"):
            x = SparseRows(x.tocsr())
            notes.append(dense_note(x))
        else:
            x = as_array(x, ARRAYS)
        parts[name] = Raw(x, None if label is None else as_array(label, f"the labels of {ARRAYS}"))
    return Source(parts, notes=tuple(notes))


def _frames(given: dict[str, tuple[Any, Any]], data: Data, known: Schema) -> Source:
    """Reads data frames through Arrow, as tables are; labels may be the name of one of their columns."""
    import pyarrow as pa

    names = {label for _, label in given.values() if isinstance(label, str)}
    if len(names) > 1:
        raise InputError(f"the parts take their labels from different columns, {', '.join(sorted(names))}: name one")
    if names:
        data = dataclasses.replace(data, label=names.pop())
    tables = {name: pa.table(frame) for name, (frame, _) in given.items()}
    source = of_tables(tables, ARRAYS, data, known, [])
    parts = {
        name: raw if label is None or isinstance(label, str) else Raw(raw.x, np.asarray(label).reshape(-1))
        for (name, raw), (_, label) in zip(source.parts.items(), given.values(), strict=True)
    }
    return dataclasses.replace(source, parts=parts)
