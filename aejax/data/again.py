"""Finds a run's own data again, and reads other data for it: the one place where both are compared.

Every command and function that reads data for a run after it began calls `load_again` or `read_given`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from aejax.core import Examples, InputError
from aejax.data._checks import with_gaps
from aejax.data.arrays import ARRAYS
from aejax.data.catalog import is_known, load, of_arrays, pick, read_all_parts
from aejax.data.dataset import PARTS, UNKNOWN, Dataset
from aejax.data.files import image_names, is_path
from aejax.data.identity import DataRecord, fingerprint
from aejax.data.precision import settled
from aejax.data.settings import Data
from aejax.data.split import cut

_BY_DATA = "say by --data PATH where that lies now, or which other data to measure"


@dataclass(frozen=True)
class Given:
    """Holds examples that were given for a run, and says what they are."""

    examples: Examples
    called: str
    """What they are called in a table: `test` for that part of the run's own data, `all of x.npy` for other data."""
    own: bool
    """Whether they are a part of the data that the run was trained on."""
    told: str
    """What they are, with the name of the data in any case: `test of mnist-5k`, `all of x.npy`."""
    files: np.ndarray | None = None
    """The name of each image's file, text `[n]`, where images were given in files."""

    @cached_property
    def lacking(self) -> Bool[np.ndarray, " n"]:
        """Which examples lack a value, NaN: some of other data may, where a run left such out of its own."""
        x = self.examples.x
        return with_gaps(x) if isinstance(x, np.ndarray) else np.zeros(len(x), bool)

    @cached_property
    def whole(self) -> Examples:
        """The examples that lack no value."""
        lacking = self.lacking
        return self.examples.take(np.flatnonzero(~lacking)) if lacking.any() else self.examples


MOVED = "say by --trained-on PATH where that lies now"
"""What to do where a run's own data are not where they lay, in a command that has the flag."""


def load_again(
    data: Data,
    record: DataRecord | None,
    given: str | None = None,
    remedy: str = MOVED,
    read: Callable[[Data], Dataset] | None = None,
) -> Dataset:
    """Loads the data that a run was trained on, from where they lay then, or from where they lie now.

    Args:
        data: the run's own setting.
        record: what the run was trained on; None for a run of an older version, which nothing can be compared with.
        given: where the data lie now; None: where they lay.
        remedy: what to do where they are not there; it ends the message.
        read: what reads them; None: `load`, without what is said of data that are read for the first time.

    Raises:
        InputError: where the data are not there, or are not those that the run was trained on.
    """
    place = _place(data.name, record, remedy) if given is None else given
    data = dataclasses.replace(data, name=place)
    known = UNKNOWN if record is None else record.schema
    dataset = load(data, again=True, known=known) if read is None else read(data)
    require_same(dataset, record, remedy)
    return dataset


def require_same(dataset: Dataset, record: DataRecord | None, remedy: str) -> None:
    """Raises `InputError` unless a data set is the one of a record, where there is one.

    `remedy` says what to do, and ends the message.
    """
    if record is not None and not is_own(dataset, record):
        raise InputError(
            f"{dataset.name} is not what was trained on, it holds {record.unlike(DataRecord.of(dataset))}: {remedy}"
        )


def is_own(dataset: Dataset, record: DataRecord) -> bool:
    """Tells whether a data set is the one of a record: the same examples and labels in each part, wherever they lie."""
    sizes = all(len(dataset.part(name)) == record.rows[name] for name in PARTS)
    return sizes and all(fingerprint(dataset.part(name)) == record.fingerprints[name] for name in PARTS)


def read_given(
    spec: str | None,
    split: str | None,
    data: Data,
    record: DataRecord | None,
    whole: bool = True,
    anew: Mapping[str, Any] | None = None,
) -> Given:
    """Reads the examples that a command is to take through a run's model.

    A file of one part is taken whole where no split is asked for. It is divided as in training where it is the data
    that the run was trained on; other data of one part have no split. Examples that lack a value are left out of the
    parts of the run's own data where it was trained so; of all other data they are kept, as their numbers count.

    Args:
        spec: a data set's name or a path; None: the run's own data.
        split: train, validation or test; None: the test part, where there are parts.
        data: the run's own setting.
        record: what the run was trained on; None for a run of an older version.
        whole: take all rows of the run's own data too, where they are one file and no split is asked for.
        anew: settings of `data` by which labels are read in place of the run's own; whether data are the run's own is
            told by the labels that it was trained with.

    Raises:
        InputError: where the data cannot be read, or have no such part.
    """
    part, known = split or "test", UNKNOWN if record is None else record.schema
    if spec is None:
        dataset = load_again(data, record, remedy=_BY_DATA)
        if anew:
            changed = dataclasses.replace(data, name=dataset.name, **anew)
            dataset = load(changed, again=True, known=dataclasses.replace(known, classes=()))
            _require_labels(dataset.name, dataset.train, anew)
        found = pick(data.name, _parts(dataset), part)
        return Given(found, part, True, f"{part} of {_short(data.name)}", _files(dataset.name, part, data))
    try:
        parts = read_all_parts(spec, data, known)
    except InputError:
        if not anew:
            raise
        parts = {}  # the run does not know these labels: the data are others
    mine = None if record is None else _divided(spec, parts, data, record)
    if not (split or not whole or len(parts) > 1):
        mine = None
    if anew or (data.missing == "drop" and mine is None):
        changed = dataclasses.replace(data, **(anew or {}))
        known = dataclasses.replace(known, classes=()) if anew else known
        parts = read_all_parts(spec, changed.keeping_gaps() if mine is None else changed, known)
        _require_labels(spec, next(iter(parts.values())), anew or {})
    if mine is not None:
        found = pick(spec, _parts(cut(spec, parts, data.validation) if anew else mine), part)
        return Given(found, part, True, f"{part} of {_short(spec)}", _files(spec, part, data))
    if len(parts) > 1 or (split and "train" not in parts):
        return _other(spec, pick(spec, parts, part), part, f"{part} of {_short(spec)}")
    if split is not None:
        raise InputError(
            f"{spec} is not divided into parts, and is not the data that the run was trained on: leave --split out, "
            "and all of it is taken"
        )
    name, alone = next(iter(parts.items()))
    return _other(spec, alone, name, f"all of {_short(spec)}")


def _other(spec: str, part: Examples, name: str, called: str) -> Given:
    return Given(part, called, False, called, _files(spec, name))


def _require_labels(where: str, part: Examples, anew: Mapping[str, Any]) -> None:
    """Raises `InputError` where labels were asked for that are not there: only rows that come later may lack them."""
    if anew.get("label") and part.label is None:
        raise InputError(f"{where} has no column {anew['label']!r}: give one of its own as labels")


def _files(spec: str, part: str, divided: Data | None = None) -> np.ndarray | None:
    """Returns the names of the images' files of a part; of data that are divided as in training, divided alike."""
    names = {} if is_known(spec) else image_names(Path(spec))
    if not names:
        return None
    if divided is None:
        return names[part]
    return cut(spec, {name: Examples(each) for name, each in names.items()}, divided.validation).part(part).x


def _divided(spec: str, parts: dict[str, Examples], data: Data, record: DataRecord) -> Dataset | None:
    """Returns what was given, divided as the run's own data, where it is those; else None."""
    if "train" not in parts or sum(map(len, parts.values())) != sum(record.rows.values()):
        return None
    try:
        dataset = settled(cut(spec, parts, data.validation), data.preprocess)
    except InputError:  # too few to be divided so
        return None
    return dataset if is_own(dataset, record) else None


def _parts(dataset: Dataset) -> dict[str, Examples]:
    return {name: dataset.part(name) for name in PARTS}


def _place(name: str, record: DataRecord | None, remedy: str) -> str:
    """Returns where a run's data lie: where they lay, or at the path as it was given then."""
    if record is None:
        return name
    if is_known(name):
        return name
    if name == ARRAYS:
        raise of_arrays(name, remedy)
    for place in filter(None, (record.path, name)):  # a saved model says no path
        if Path(place).expanduser().exists():
            return place
    if record.path is None and not is_path(name):
        raise InputError(
            f"{name!r}, which was trained on, is nowhere here: {remedy}, or save arrays that were given in Python as a "
            ".npz file with x_train, x_validation and x_test"
        )
    raise InputError(f"there is no {record.path or name}, which was trained on: {remedy}")


def _short(spec: str) -> str:
    return Path(spec).name or spec
