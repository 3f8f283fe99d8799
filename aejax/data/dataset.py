"""What a data set is once it is loaded: three parts."""

from dataclasses import dataclass

from aejax.core import BUFFER, Examples


@dataclass(frozen=True)
class Dataset:
    """A named data set; `validation` is cut from train by a fixed seed, and `test` is never fitted on."""

    name: str
    train: Examples
    validation: Examples
    test: Examples

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.x.shape[1:]

    def part(self, name: str) -> Examples:
        """The part of that name: train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def within(self, gigabytes: float = BUFFER) -> "Dataset":
        """In memory; of a part on disk that takes more than that, as many examples as fit, evenly apart."""
        return Dataset(self.name, *(part.within(gigabytes) for part in (self.train, self.validation, self.test)))
