"""Defines a loaded data set: a name and three parts."""

from dataclasses import dataclass, replace

import numpy as np

from aejax.core import BUFFER, Examples

PARTS = ("train", "validation", "test")
"""The names of the parts of a data set."""


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
    """The names of the integer labels, in order; none where they have none."""
    offset: np.ndarray | None = None
    """What was subtracted from each value `[*shape]` before it became float32; None: nothing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape of one example."""
        return self.train.x.shape[1:]

    def part(self, name: str) -> Examples:
        """Returns the part of that name: train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def within(self, gigabytes: float = BUFFER) -> "Dataset":
        """Returns the data set in memory, each part limited to so many gigabytes if it is on disk.

        Of a part on disk that is larger, as many examples are taken as fit, spread evenly over it.
        """
        train, validation, test = (self.part(name).within(gigabytes) for name in PARTS)
        return replace(self, train=train, validation=validation, test=test)
