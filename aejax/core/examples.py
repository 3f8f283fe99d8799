"""Defines examples: a part of a data set in the host's memory or on the device, or one batch of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Int32, Num

from aejax.core.pytrees import pytree

if TYPE_CHECKING:
    Array = Any  # NumPy's and JAX's arrays share no static type
else:
    Array = np.ndarray | jax.Array

BUFFER = 1.0
"""Default limit, in gigabytes, on the examples that are read from disk into memory."""


@pytree
@dataclass(frozen=True)
class Examples:
    """Holds examples: a part of a data set in the host's memory, the same part on the device, or one batch of it.

    As stored, `x` is uint8 (grey levels of 0 to 255) or float32 (used as it is); in a batch that a model sees it is
    float32. A model takes a batch, and of it what it needs.
    """

    x: Num[Array, "n *shape"]
    """What is encoded."""
    label: Int32[Array, " n"] | None = None
    """The class of each example; None where the data has no labels."""
    y: Num[Array, "n *shape"] | None = None
    """What is to be reconstructed, used as it is, in a batch as float32; None: `x` itself."""

    @property
    def target(self) -> Num[Array, "n *shape"]:
        """Returns what is to be reconstructed: `y`, or `x` where there is none."""
        return self.x if self.y is None else self.y

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.x)

    def take(self, index: Array) -> "Examples":
        """Returns the examples at `index`, in that order."""

        # Rows are gathered flat: XLA gives a gather of images a layout that makes every later loop slower.
        def gathered(rows: Array) -> Array:
            return rows.reshape(len(rows), math.prod(rows.shape[1:]))[index].reshape(-1, *rows.shape[1:])

        return jax.tree.map(gathered, self)

    def read(self) -> "Examples":
        """Returns the examples in memory: these here, which are in memory already. A `Stored` part reads its file."""
        return self

    def at_most(self, most: int) -> "Examples":
        """Returns these examples, or of more than `most` so many, as `spread` chooses them: over all classes alike."""
        return self if len(self) <= most else self.take(spread(len(self), most, self.label))

    def within(self, gigabytes: float = BUFFER) -> "Examples":
        """Returns the examples in memory: these here, whatever their size, as they are in memory already.

        A `Stored` part reads no more than `gigabytes` of its file.
        """
        return self


def spread(n: int, most: int, label: Int[np.ndarray, " n"] | None = None) -> Int[np.ndarray, " chosen"]:
    """Chooses at most `most` of the numbers from 0 to `n` - 1, spread evenly: the places of a sample of ordered data.

    Whatever looks at some of the examples takes these, as the first ones of sorted data have one class. The numbers
    are cut into `most` runs of nearly one length, and a fixed seed draws one number of each: evenly spaced ones would
    have one class too where classes take turns. Numbers that have labels are put in the order of these first, so that
    each class has its share. Returns them in ascending order, all where there are no more.
    """
    if n <= most:
        return np.arange(n)
    ends = np.arange(most + 1) * n // max(most, 1)
    chosen = ends[:-1] + np.floor(np.random.default_rng(0).random(most) * np.diff(ends)).astype(int)
    return chosen if label is None else np.sort(np.argsort(label, kind="stable")[chosen])


CHUNK = 1024
"""Number of examples that go through the model at once outside training."""


Preprocessing = Callable[..., Any]
"""`preprocess(x, key)` turns stored examples into the float32 batch that a model sees: see `aejax.data.Preprocess`."""


def as_seen(preprocess: Preprocessing, stored: Examples, key: Any) -> Examples:
    """Returns stored examples as a model sees them: `x` preprocessed, and `y`, where there is one, as float32.

    Args:
        preprocess: turns stored examples into the float32 batch that the model sees.
        stored: the examples, as stored.
        key: the key of what the preprocessing draws; None: it draws nothing.
    """
    y = None if stored.y is None else jnp.asarray(stored.y, jnp.float32)
    return replace(stored, x=preprocess(stored.x, key), y=y)


def blank_example(shape: tuple[int, ...]) -> Examples:
    """Returns one example of zeros of the given shape, with label 0: enough to create a fresh state."""
    return Examples(jnp.zeros((1, *shape)), jnp.zeros(1, jnp.int32))


def unseen(n: int, label: Int32[Array, " n"] | None = None) -> Examples:
    """Returns examples of no values, of which the label at most is known: what drawn codes are decoded with."""
    return Examples(jnp.zeros((n, 0)), label)
