"""What a data set is once it is loaded: three parts."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Int32, Num

if TYPE_CHECKING:
    Array = Any  # NumPy's and JAX's arrays share no static type
else:
    Array = np.ndarray | jax.Array

BUFFER = 1.0
"""Gigabytes of examples that are read from disk into memory where nobody says how many may be."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Part:
    """Examples: a part of a data set in the host's memory, the same on the device, or one batch of it.

    Stored, `x` is uint8 (0 to 255, an image's grey levels) or float32 (used as it is); in a batch
    that a model sees it is float32. `label` is None where there is none.
    """

    x: Num[Array, "n *shape"]
    label: Int32[Array, " n"] | None = None

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.x)

    def take(self, index: Array) -> "Part":
        """The examples at `index`, in that order."""
        # Rows are gathered flat: XLA gives a gather of images a layout that makes every later loop slower.
        rows = self.x.reshape(len(self), math.prod(self.x.shape[1:]))[index]
        return Part(rows.reshape(-1, *self.x.shape[1:]), None if self.label is None else self.label[index])

    def read(self) -> "Part":
        """The same in memory, where it is already; a `Stored` part is not."""
        return self

    def within(self, gigabytes: float = BUFFER) -> "Part":
        """The same in memory, where it is already, whatever it takes; of a `Stored` part no more than that."""
        return self


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

    def within(self, gigabytes: float = BUFFER) -> "Dataset":
        """In memory; of a part on disk that takes more than that, as many examples as fit, evenly apart."""
        return Dataset(self.name, *(part.within(gigabytes) for part in (self.train, self.validation, self.test)))
