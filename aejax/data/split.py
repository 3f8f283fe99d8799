"""Splits data sets in a fixed way: the same examples into the same parts, on every machine and in every version."""

import logging

import numpy as np

from aejax.core import Examples, InputError
from aejax.data._checks import filled
from aejax.data.dataset import PARTS, Dataset, Parts
from aejax.data.settings import Data
from aejax.data.stored import Stored, Stripes

notes = logging.getLogger("aejax.notes")
"""Says what was taken for granted about the user's own data."""

_MOST_PERMUTED = 2**24
"""The most examples on disk of which each is drawn by itself for a part that is held out."""

_STRIPES = 1024

_TEST = 0.1  # the share of train that becomes test in a data set without a test part


def permutation(n: int) -> np.ndarray:
    """Returns the fixed random order of `n` examples that every split uses."""
    # RandomState's streams are frozen for good; those of numpy.random.Generator may change.
    return np.random.RandomState(0).permutation(n)


def in_turn(whole: Examples, sizes: dict[str, int]) -> dict[str, Examples]:
    """Cuts examples into parts that follow each other, of the given numbers by their names."""
    ends = np.cumsum(list(sizes.values()))
    return {name: whole.take(np.arange(end - sizes[name], end)) for name, end in zip(sizes, ends, strict=True)}


def split_off(name: str, found: Parts, validation: float, data: Data, again: bool = False) -> Dataset:
    """Makes a data set of the parts of the user's own data, and says in one line each what was done about them.

    Args:
        name: the name of the data set.
        found: the parts, with NaN for missing values.
        validation: the fraction of train that makes a validation part where there is none.
        data: its field `missing` says whether missing values are filled with the means of train.
        again: whether all of this was said before, and is not now.

    Raises:
        InputError: where there is no train part, nothing would be left to train on, or a column has no value.
    """
    if "train" not in found.parts:
        raise InputError(f"{name} has no part to train on, only {', '.join(found.parts)}: name one train")
    dataset = cut(name, found.parts, validation)
    for note in () if again else found.notes:
        notes.warning("%s: %s", name, note)
    cut_off = {part: len(dataset.part(part)) for part in ("validation", "test") if part not in found.parts}
    held_out = [f"{count:,} for {part}" if count else f"none for {part}" for part, count in cut_off.items()]
    if held_out and not again:
        notes.warning(
            "%s: %s examples to train on; held out by a fixed seed: %s (--data.validation)",
            *(name, f"{len(dataset.train):,}", ", ".join(held_out)),
        )
    schema, parts = found.schema, {part: dataset.part(part) for part in PARTS}
    if data.missing == "mean":
        whole = filled(Parts(parts, schema))
        schema, parts = whole.schema, whole.parts
    return Dataset(
        name, parts["train"], parts["validation"], parts["test"], schema.classes, schema.columns, schema.fill
    )


def cut(name: str, parts: dict[str, Examples], validation: float) -> Dataset:
    """Cuts the parts that a data set lacks from its train part; the remaining examples keep their order.

    Args:
        name: the name of the data set.
        parts: the parts that it has; train must be among them.
        validation: the fraction of train that makes a validation part; a test part takes a tenth of train.

    Raises:
        InputError: where nothing would be left to train on.
    """
    train = parts["train"]
    n_test = 0 if "test" in parts else max(1, round(_TEST * len(train)))
    n_validation = 0 if "validation" in parts else round(validation * len(train))
    held_out = n_test + n_validation
    if held_out >= len(train):
        raise InputError(f"{name} has {len(train)} examples, too few to hold {held_out} of them out: give more")
    if isinstance(train, Stored) and len(train) > _MOST_PERMUTED:
        whole = _striped(train, n_validation, n_test) | {part: parts[part] for part in PARTS[1:] if part in parts}
        return Dataset(name, whole["train"], whole["validation"], whole["test"])
    order = permutation(len(train))
    test, valid = (train.take(np.sort(i)) for i in np.split(order[:held_out], [n_test]))
    rest = train.take(np.sort(order[held_out:])) if held_out else train  # a part that stays whole is not copied
    return Dataset(name, rest, parts.get("validation", valid), parts.get("test", test))


def _striped(train: Stored, n_validation: int, n_test: int) -> dict[str, Examples]:
    """Cuts parts of about these sizes out of rows on disk: the ends of stripes that are spread evenly over them.

    No number of a row is held in memory. What follows each other at its source, as the words of a text do, is not
    torn apart one by one.
    """
    stride = len(train) // _STRIPES
    valid, test = (round(stride * n / len(train)) for n in (n_validation, n_test))
    run = stride - valid - test
    left = len(train) - stride * _STRIPES  # fewer than a run, which follow the last stripe
    cuts = (0, run, run * _STRIPES + left), (run, valid, valid * _STRIPES), (run + valid, test, test * _STRIPES)
    stripes = (Stripes(first, max(size, 1), stride, n) for first, size, n in cuts)
    return {name: train.take(rows) for name, rows in zip(PARTS, stripes, strict=True)}


def stratified(examples: Examples, sizes: dict[str, int]) -> dict[str, Examples]:
    """Splits examples into parts that hold, of every label, the number of examples that `sizes` gives.

    Each part is in random order.
    """
    shuffled = examples.take(permutation(len(examples)))
    label = np.asarray(shuffled.label)
    rank = np.empty(len(label), int)  # the rank of each example among those of its label
    for value in np.unique(label):
        rank[label == value] = np.arange((label == value).sum())
    part = np.searchsorted(np.cumsum(list(sizes.values())), rank, side="right")
    return {name: shuffled.take(np.flatnonzero(part == i)) for i, name in enumerate(sizes)}
