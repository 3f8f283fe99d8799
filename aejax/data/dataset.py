"""Defines a loaded data set: a name, three parts, and what their numbers stand for."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from aejax.core import BUFFER, Examples
from aejax.data.settings import PLAIN, Data

PARTS = ("train", "validation", "test")
"""The names of the parts of a data set."""


@dataclass(frozen=True)
class Schema:
    """Says what the numbers of a data set stand for, so that later data are read in the same way."""

    classes: tuple[str, ...] = ()
    """The names of the labels 0, 1, ... in order; empty where labels are numbers of their own."""
    columns: tuple[str, ...] = ()
    """The names of the values of an example; NAME=LEVEL is 1 where a column of text holds that level, else 0."""
    fill: tuple[float, ...] = ()
    """What stands in for a missing value in each column: its training mean. Empty where none was asked for."""


UNKNOWN = Schema()
"""What is known of data that nothing has been learned of."""


@dataclass(frozen=True)
class Parts:
    """Holds the parts that a source has of its own, checked and converted, before anything is held out."""

    parts: dict[str, Examples]
    schema: Schema = UNKNOWN
    notes: tuple[str, ...] = ()
    """What a reader of the source took for granted or left out, a sentence each."""


@dataclass(frozen=True)
class Dataset:
    """Holds the three parts of a loaded data set; nothing is ever fitted on `test`.

    A validation or test part that the source does not have was cut from train by a fixed seed.
    """

    name: str
    train: Examples
    validation: Examples
    test: Examples
    classes: tuple[str, ...] = ()
    """The names of the integer labels, in order; empty where there are none."""
    columns: tuple[str, ...] = ()
    """The names of the values of an example, where the source has columns: see `Schema`."""
    fill: tuple[float, ...] = ()
    """What stands in for a missing value in each column, where that was asked for."""
    offset: np.ndarray | None = None
    """What was subtracted from each value `[*shape]` before it became float32; None: nothing."""

    @classmethod
    def of(
        cls, x: Any, labels: Any = None, *, validation: Any = None, test: Any = None, data: Data = PLAIN
    ) -> "Dataset":
        """Makes a data set of arrays: of NumPy, JAX, PyTorch, pandas, polars, SciPy, or of lists.

        Args:
            x: the examples, `[n, d]`, `[n, h, w]` or `[n, h, w, c]`, or a data frame, read as a table is.
            labels: the labels `[n]`, numbers or text; of a data frame also the name of its column of labels.
            validation: the validation part as `x` or `(x, labels)`, or the fraction of `x` that becomes it; None:
                `data.validation`.
            test: the test part as `x` or `(x, labels)`; None: a tenth of `x`, by a fixed seed.
            data: how the arrays are read: its fields `label`, `drop`, `missing`, `outlier` and `layout` count.

        Returns:
            The data set, whose name is "arrays". Numbers that float32 cannot tell apart stay float64 until it is
            trained on, as the preprocessing says whether their mean is subtracted first.

        Raises:
            InputError: for arrays that cannot be used, with the sentence that a file of them gets.
        """
        from aejax.data.arrays import dataset_of

        return dataset_of(x, labels, validation, test, data)

    def __repr__(self) -> str:
        """Returns what it is in a line: name, size of each part, shape and type of an example."""
        sizes = ", ".join(f"{len(self.part(name)):,} {name}" for name in PARTS)
        return f"Dataset({self.name!r}, {sizes}, {list(self.shape)} {self.train.x.dtype})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape of one example."""
        return self.train.x.shape[1:]

    @property
    def schema(self) -> Schema:
        """Returns what the numbers stand for."""
        return Schema(self.classes, self.columns, self.fill)

    def part(self, name: str) -> Examples:
        """Returns the part of that name: train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def within(self, gigabytes: float = BUFFER) -> "Dataset":
        """Returns the data set in memory, each part limited to so many gigabytes if it is on disk.

        Of a part on disk that is larger, as many examples are taken as fit, spread evenly over it.
        """
        train, validation, test = (self.part(name).within(gigabytes) for name in PARTS)
        return dataclasses.replace(self, train=train, validation=validation, test=test)
