"""Examples: a part of a data set in the host's memory, the same on the device, or one batch of it."""

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
"""Gigabytes of examples that are read from disk into memory where nobody says how many may be."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Examples:
    """Examples: a part of a data set in the host's memory, the same on the device, or one batch of it.

    Stored, `x` is uint8 (0 to 255, an image's grey levels) or float32 (used as it is); in a batch
    that a model sees it is float32. `label` is None where there is none.
    """

    x: Num[Array, "n *shape"]
    label: Int32[Array, " n"] | None = None

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.x)

    def take(self, index: Array) -> "Examples":
        """The examples at `index`, in that order."""
        # Rows are gathered flat: XLA gives a gather of images a layout that makes every later loop slower.
        rows = self.x.reshape(len(self), math.prod(self.x.shape[1:]))[index]
        return Examples(rows.reshape(-1, *self.x.shape[1:]), None if self.label is None else self.label[index])

    def read(self) -> "Examples":
        """The same in memory, where it is already; a `Stored` part is not."""
        return self

    def within(self, gigabytes: float = BUFFER) -> "Examples":
        """The same in memory, where it is already, whatever it takes; of a `Stored` part no more than that."""
        return self


CHUNK = 1024
"""Examples that go through the model at once."""


Preprocessing = Callable[..., Any]
"""`preprocess(x, key)`: from stored examples to the float32 batch that the model sees, see `aejax.data.Preprocess`."""


def blank_example(shape: tuple[int, ...]) -> Examples:
    """One example of that shape, with a label: all that a fresh state needs to be made."""
    return Examples(jnp.zeros((1, *shape)), jnp.zeros(1, jnp.int32))
