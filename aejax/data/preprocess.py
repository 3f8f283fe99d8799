"""Preprocessing: from stored examples to the float32 batch that the model sees, on the device.

uint8 always means grey levels and becomes [0, 1]; float32 is used as it is. The four classes
differ in what else they do, and when: once (`place`) or at every use (`__call__`).
"""

from typing import ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num

from aejax.core import configurable, static
from aejax.data.stored import Rows, chunks


@configurable
class Preprocess:
    """Only scales: uint8 to [0, 1]."""

    bounded: ClassVar[bool] = True
    """Whether values in [0, 1] stay there."""

    def fit(self, x: np.ndarray | Rows) -> Self:
        """Learns what it needs from the training examples `[n, *shape]`."""
        return self

    def place(self, x: Num[Array, "n *shape"]) -> Num[Array, "n *shape"]:
        """What is held on the device in place of a whole part."""
        return x

    def __call__(self, x: Num[Array, "batch *shape"], key: Key[Array, ""] | None) -> Float[Array, "batch *shape"]:
        """The batch that the model sees; without a key, its expectation."""
        return scale(x)

    def invert(self, x: Float[Array, "batch *shape"]) -> Float[Array, "batch *shape"]:
        """Back from the model's units to the data's (grey levels stay in [0, 1])."""
        return x


def scale(x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
    """uint8 to [0, 1]; anything else to float32 as it is."""
    as_float = x.astype(jnp.float32)
    return as_float / 255 if x.dtype == jnp.uint8 else as_float


@configurable
class Scale(Preprocess):
    """Grey levels in [0, 1]."""


@configurable
class Binarise(Preprocess):
    """Each pixel drawn anew from Bernoulli(grey level) at every use: dynamic binarisation.

    Burda et al. 2016 (IWAE), section 5; Salakhutdinov & Murray 2008.
    """

    def __call__(self, x: Num[Array, "batch *shape"], key: Key[Array, ""] | None) -> Float[Array, "batch *shape"]:
        """A fresh draw; without a key, the grey levels."""
        grey = scale(x)
        return grey if key is None else jax.random.bernoulli(key, grey).astype(jnp.float32)


@configurable
class StaticBinarise(Preprocess):
    """Each pixel drawn once from Bernoulli(grey level), by a fixed seed: the same for every run."""

    draw: int = static(default=0)

    def place(self, x: Num[Array, "n *shape"]) -> Num[Array, "n *shape"]:
        """The one draw, held as uint8 0 or 255."""
        return jax.random.bernoulli(jax.random.key(self.draw), scale(x)).astype(jnp.uint8) * jnp.uint8(255)


@configurable
class Standardise(Preprocess):
    """Each value less its training mean, over its training standard deviation (1 where that is 0)."""

    bounded = False
    mean: Float[np.ndarray, "*shape"] | None = None
    std: Float[np.ndarray, "*shape"] | None = None

    def fit(self, x: np.ndarray | Rows) -> Self:
        """Mean and standard deviation of each value over the training examples, in one pass over them.

        Chan, Golub & LeVeque 1983, equation 2.1, joins the moments of one chunk with those before it.
        """
        n, mean, squares, low, high = 0, 0.0, 0.0, np.inf, -np.inf
        for chunk in chunks(x):
            grey = chunk.astype(np.float64) / (255 if x.dtype == np.uint8 else 1)
            apart, share = grey.mean(axis=0) - mean, len(grey) / (n + len(grey))
            squares = squares + grey.var(axis=0) * len(grey) + apart**2 * n * share
            n, mean = n + len(grey), mean + apart * share
            low, high = np.minimum(low, grey.min(axis=0)), np.maximum(high, grey.max(axis=0))
        # A constant value has a standard deviation of rounding errors, not of zero.
        std = np.where(high > low, np.sqrt(squares / n), 1)
        return type(self)(np.asarray(mean, np.float32), std.astype(np.float32))

    def __call__(self, x: Num[Array, "batch *shape"], key: Key[Array, ""] | None) -> Float[Array, "batch *shape"]:
        """Zero mean and unit variance over the training set."""
        mean, std = self._fitted()
        return (scale(x) - mean) / std

    def invert(self, x: Float[Array, "batch *shape"]) -> Float[Array, "batch *shape"]:
        """The data's own units."""
        mean, std = self._fitted()
        return x * std + mean

    def _fitted(self) -> tuple[Array, Array]:
        if self.mean is None or self.std is None:
            raise ValueError("Standardise has not been fitted: call fit with the training examples first")
        return jnp.asarray(self.mean)[None], jnp.asarray(self.std)[None]


def scaled(x: np.ndarray) -> Float[np.ndarray, "n *shape"]:
    """Stored examples in the data's units, float32: grey levels in [0, 1]."""
    return np.asarray(scale(jnp.asarray(x)))
