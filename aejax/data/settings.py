"""Defines the settings of a data set: which one, how it is read, what is held out, and what the device does with it."""

import dataclasses
import os
from typing import Literal, Self

from aejax.core import InputError, configurable, static
from aejax.data.preprocess import Preprocess, Scale

VALIDATION = 0.1
"""The share of the training examples that is held out for validation where nothing else is said."""

Layout = Literal["channels-first", "channels-last", "flat"]

Missing = Literal["refuse", "mean", "drop"]


@configurable
class Reading:
    """Says how the user's own data are read; data sets with a name need none of it."""

    label: str | None = static(kw_only=True, default=None)
    """The column, array or obs column of labels; by default the one named y, label, labels, target or class."""
    drop: tuple[str, ...] = static(kw_only=True, default=())
    """Columns or arrays that are left out."""
    missing: Missing = static(kw_only=True, default="refuse")
    """What is done about missing values (NaN, empty cells): refuse the data, put the column's training mean in their
    place, or drop the examples that have one."""
    outlier: tuple[str, ...] = static(kw_only=True, default=())
    """The labels that mark outliers; all other examples count as normal, and AUROC and average precision are measured.
    """
    array: str | None = static(kw_only=True, default=None)
    """The array of examples in a file of several: a key of .npz or .h5, or a layer of .h5ad; by default x or X."""
    layout: Layout | None = static(kw_only=True, default=None)
    """How arrays of more than two axes lie: channels-first is [n, c, h, w], channels-last [n, h, w, c]; flat makes a
    vector of each example, as of windows in time or volumes."""
    size: tuple[int, int] | None = static(kw_only=True, default=None)
    """Height and width to which image files are resized: the shorter side fits, and the centre is kept."""
    channels: Literal["grey", "colour"] | None = static(kw_only=True, default=None)
    """What image files become; by default what they are, if they are all alike."""


@configurable
class Data(Reading):
    """Says which data set is used, how much of it is held out, and what happens to each example on the device."""

    name: str = static(default="mnist")
    """A name that `aejax data list` shows, tfds:NAME, or a path: `aejax data check PATH` says what would be read."""
    validation: float = static(default=VALIDATION)
    """Fraction of the training examples held out for validation, by a fixed seed; 0 trains on all of them.
    Not used where the data set has a validation part of its own, as mnist-5k does.
    """
    window: float = static(kw_only=True, default=256.0)
    """Megabytes of packed examples that are shuffled together where they are streamed from disk; those that take no
    more are shuffled whole.
    """
    preprocess: Preprocess = Scale()
    """What turns stored examples into the batch that the model sees."""

    def __post_init__(self) -> None:
        """Takes a path for its text. Raises `InputError` for anything else that is no text, such as arrays."""
        if isinstance(self.name, os.PathLike):
            object.__setattr__(self, "name", os.fspath(self.name))
        if not isinstance(self.name, str):
            raise InputError(
                f"data.name is {type(self.name).__name__}: give a name or a path; arrays are given to fit(..., dataset)"
            )

    def named(self, name: str) -> Self:
        """Returns the same settings for another data set.

        A file or folder of the user's own holds out validation even where a registered experiment holds out none.
        """
        from aejax.data.catalog import is_name  # which needs the settings defined here

        own = name != self.name and not is_name(name)
        held_out = VALIDATION if own and self.validation == 0 else self.validation
        return dataclasses.replace(self, name=name, validation=held_out)

    def holds_out_by_itself(self, other: Self) -> bool:
        """Tells whether it holds out what `named` sets for data of one's own, where other settings hold out nothing."""
        from aejax.data.catalog import is_known

        return other.validation == 0 and self.validation == VALIDATION and not is_known(self.name)

    def keeping_rows(self) -> Self:
        """Returns settings by which no example is left out, as that would shift the numbers of those after it."""
        return dataclasses.replace(self, missing="refuse") if self.missing == "drop" else self

    def keeping_gaps(self) -> Self:
        """Returns settings by which examples that lack a value are neither refused nor left out: NaN stays in them."""
        return dataclasses.replace(self, missing="mean") if self.missing == "drop" else self


PLAIN = Data()
"""Settings that say nothing of their own."""
