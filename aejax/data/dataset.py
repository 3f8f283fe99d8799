"""Defines a loaded data set: a name and three parts."""

from dataclasses import dataclass

from aejax.core import BUFFER, Examples


@dataclass(frozen=True)
class Dataset:
    """Holds the three parts of a loaded data set; nothing is ever fitted on `test`.

    A validation or test part that the source does not have was cut from train by a fixed seed.
    """

    name: str
    train: Examples
    validation: Examples
    test: Examples

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
        return Dataset(self.name, *(part.within(gigabytes) for part in (self.train, self.validation, self.test)))
