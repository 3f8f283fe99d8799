"""What a data set is once it is loaded: three parts of arrays."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Part:
    """Examples in the host's memory.

    `x` is `[n, *shape]`, uint8 (0 to 255, an image's grey levels) or float32 (used as it is);
    `label` is `[n]` int32, or None where there is none.
    """

    x: np.ndarray
    label: np.ndarray | None = None

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.x)

    def take(self, index: np.ndarray) -> "Part":
        """The examples at `index`, in that order."""
        return Part(self.x[index], None if self.label is None else self.label[index])


@dataclass(frozen=True)
class Dataset:
    """A named data set; `validation` is cut from train by a fixed seed, and `test` is never fitted on."""

    name: str
    train: Part
    validation: Part
    test: Part

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.x.shape[1:]

    def part(self, name: str) -> Part:
        """The part of that name: train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]
