"""Defines examples: a part of a data set in the host's memory or on the device, or one batch of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int32, Num

if TYPE_CHECKING:
    Array = Any  # NumPy's and JAX's arrays share no static type
else:
    Array = np.ndarray | jax.Array

BUFFER = 1.0
"""Default limit, in gigabytes, on the examples that are read from disk into memory."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Examples:
    """Holds examples: a part of a data set in the host's memory, the same part on the device, or one batch of it.

    As stored, `x` is uint8 (grey levels of 0 to 255) or float32 (used as it is); in a batch that a model sees it is
    float32. `label` is None where the data has no labels.
    """

    x: Num[Array, "n *shape"]
    label: Int32[Array, " n"] | None = None

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.x)

    def take(self, index: Array) -> "Examples":
        """Returns the examples at `index`, in that order."""
        # Rows are gathered flat: XLA gives a gather of images a layout that makes every later loop slower.
        rows = self.x.reshape(len(self), math.prod(self.x.shape[1:]))[index]
        return Examples(rows.reshape(-1, *self.x.shape[1:]), None if self.label is None else self.label[index])

    def read(self) -> "Examples":
        """Returns the examples in memory: these here, which are in memory already. A `Stored` part reads its file."""
        return self

    def within(self, gigabytes: float = BUFFER) -> "Examples":
        """Returns the examples in memory: these here, whatever their size, as they are in memory already.

        A `Stored` part reads no more than `gigabytes` of its file.
        """
        return self


CHUNK = 1024
"""Number of examples that go through the model at once outside training."""


Preprocessing = Callable[..., Any]
"""`preprocess(x, key)` turns stored examples into the float32 batch that a model sees: see `aejax.data.Preprocess`."""


def blank_example(shape: tuple[int, ...]) -> Examples:
    """Returns one example of zeros of the given shape, with label 0: enough to create a fresh state."""
    return Examples(jnp.zeros((1, *shape)), jnp.zeros(1, jnp.int32))
