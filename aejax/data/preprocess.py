"""Preprocesses examples on the device: from what is stored to the float32 batch that the model sees.

uint8 always means grey levels and becomes [0, 1]; float32 is used as it is. Where data are counts, uint8 is a number,
and becomes float32 as it is read. The classes differ in what else they do, and in when they do it: once (`place`) or at
every use (`__call__`).
"""

import math
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num

from aejax.core import InputError, configurable, positive, static
from aejax.data.stored import Rows, chunks


@configurable
class Preprocess:
    """Scales uint8 to [0, 1] and does nothing else; the base of all preprocessing."""

    bounded: ClassVar[bool] = True
    """Whether data in [0, 1] stay in [0, 1]."""
    centres: ClassVar[bool] = False
    """Whether each value's mean over the training examples is subtracted."""
    domain: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """The least and the greatest value that it has a meaning for, where uint8 counts as [0, 1]."""
    binary: ClassVar[bool] = False
    """Whether a model sees zeros and ones alone."""
    counts: ClassVar[bool] = False
    """Whether all data are read as counts, uint8 and bool among them: whole numbers from 0 on, in their own unit."""

    @property
    def converts(self) -> bool:
        """Whether a model sees and gives other units than the data's, from which `invert` converts back."""
        return type(self).invert is not Preprocess.invert

    def fit(self, x: np.ndarray | Rows) -> Self:
        """Returns the preprocessing with what it learns from the training examples `[n, *shape]`."""
        return self

    def place(self, x: Num[Array, "n *shape"]) -> Num[Array, "n *shape"]:
        """Converts a whole part into the form that is held on the device."""
        return x

    def in_use(self, x: Num[np.ndarray, "n *shape"]) -> Num[np.ndarray, "n *shape"]:
        """Converts examples that a trained model is used on into the form in which parts are held."""
        return x

    def __call__(self, x: Num[Array, "batch *shape"], key: Key[Array, ""] | None) -> Float[Array, "batch *shape"]:
        """Returns the batch that the model sees: a random one with a key, its expectation without."""
        return scale(x)

    def invert(self, x: Float[Array, "batch *shape"]) -> Float[Array, "batch *shape"]:
        """Converts a batch from the model's units back to the data's; grey levels stay in [0, 1]."""
        return x


def scale(x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Converts uint8 to float32 in [0, 1], and anything else to float32 unscaled."""
    as_float = x.astype(jnp.float32)
    return as_float / 255 if x.dtype == jnp.uint8 else as_float


@configurable
class Scale(Preprocess):
    """Scales grey levels to [0, 1]."""


@configurable
class Counts(Preprocess):
    """Takes values as counts, as they are: uint8 and bool are numbers too, neither grey levels nor black and white.

    Data other than whole numbers from 0 on are refused.
    """

    domain = (0.0, math.inf)
    counts = True

    def __call__(self, x: Num[Array, "batch *shape"], key: Key[Array, ""] | None) -> Float[Array, "batch *shape"]:
        """Returns the counts as float32, also those of uint8."""
        return x.astype(jnp.float32)


@configurable
class Binarise(Preprocess):
    """Draws each pixel from Bernoulli(grey level), anew at every use: dynamic binarisation.

    Burda et al. 2016 (IWAE), section 5; Salakhutdinov & Murray 2008. What is trained or measured sees a draw; a model
    that encodes, reconstructs or scores in use sees the grey levels, which are the mean of all draws.
    """

    domain = (0.0, 1.0)
    binary = True

    def __call__(self, x: Num[Array, "batch *shape"], key: Key[Array, ""] | None) -> Float[Array, "batch *shape"]:
        """Returns a new draw; without a key, the grey levels."""
        grey = scale(x)
        return grey if key is None else jax.random.bernoulli(key, grey).astype(jnp.float32)


@configurable
class StaticBinarise(Preprocess):
    """Draws each pixel once from Bernoulli(grey level), by a fixed seed: the same draw in every run.

    Everything sees that draw: training, measuring, and a model in use. It belongs to an example's place among those
    that are given together.
    """

    domain = (0.0, 1.0)

    binary = True
    draw: int = static(default=0)
    """The seed of the draw."""

    def place(self, x: Num[Array, "n *shape"]) -> Num[Array, "n *shape"]:
        """Draws every pixel of a part, and returns uint8 of 0 and 255."""
        return jax.random.bernoulli(jax.random.key(self.draw), scale(x)).astype(jnp.uint8) * jnp.uint8(255)

    def in_use(self, x: Num[np.ndarray, "n *shape"]) -> Num[np.ndarray, "n *shape"]:
        """Draws every pixel as `place` does."""
        return np.asarray(self.place(jnp.asarray(x)))


@configurable
class Standardise(Preprocess):
    """Subtracts each value's training mean, and divides by its training standard deviation.

    Where that is 0, or so small that a device takes it for 0, it divides by 1. With `clip`, what lies further away than
    so many standard deviations is moved there: no value can outweigh the rest.
    """

    bounded = False
    centres = True
    mean: Float[np.ndarray, "*shape"] | None = None
    """The mean of each value over the training examples; None before `fit`."""
    std: Float[np.ndarray, "*shape"] | None = None
    """The standard deviation of each value over the training examples; None before `fit`."""
    clip: float | None = positive(default=None)
    """The most standard deviations that a value may be from its mean; None: any number."""

    def fit(self, x: np.ndarray | Rows) -> Self:
        """Returns the preprocessing with each value's mean and standard deviation, taken in one pass over the examples.

        The moments of a chunk are merged with those before it by Chan, Golub & LeVeque 1983, equation 2.1.
        """
        n, mean, squares, low, high = 0, 0.0, 0.0, np.inf, -np.inf
        for chunk in chunks(x):
            grey = chunk.astype(np.float64) / (255 if x.dtype == np.uint8 else 1)
            apart, share = grey.mean(axis=0) - mean, len(grey) / (n + len(grey))
            squares = squares + grey.var(axis=0) * len(grey) + apart**2 * n * share
            n, mean = n + len(grey), mean + apart * share
            low, high = np.minimum(low, grey.min(axis=0)), np.maximum(high, grey.max(axis=0))
        # Rounding may give a constant value a standard deviation above zero; denormal numbers are zero on a device.
        std = np.sqrt(squares / n)
        std = np.where((high > low) & (std >= np.finfo(np.float32).tiny), std, 1)
        return type(self)(np.asarray(mean, np.float32), std.astype(np.float32), self.clip)

    def __call__(self, x: Num[Array, "batch *shape"], key: Key[Array, ""] | None) -> Float[Array, "batch *shape"]:
        """Returns values with zero mean and unit variance over the training set, before they are clipped.

        Raises `ValueError` before `fit`.
        """
        mean, std = self._fitted()
        standard = (scale(x) - mean) / std
        return standard if self.clip is None else jnp.clip(standard, -self.clip, self.clip)

    def invert(self, x: Float[Array, "batch *shape"]) -> Float[Array, "batch *shape"]:
        """Converts values back to the data's own units. Raises `ValueError` before `fit`."""
        mean, std = self._fitted()
        return x * std + mean

    def _fitted(self) -> tuple[Array, Array]:
        if self.mean is None or self.std is None:
            raise ValueError("Standardise has not been fitted: call fit with the training examples first")
        return jnp.asarray(self.mean)[None], jnp.asarray(self.std)[None]


@configurable
class MeanLength(Preprocess):
    """Divides by one number, so that the mean length of training examples of d values is the root of d.

    Examples of several layers or models have as many `parts`, each divided by a number of its own, so that none
    outweighs the others: Lindsey et al. 2024 (Sparse crosscoders for cross-layer features and model diffing).

    Settings of a dictionary, such as a weight of sparsity or a threshold, then serve activations of any scale: Conerly
    et al. 2024 (Update on how we train SAEs). The number is kept in the run, and `freeze` takes it into the weights;
    `Standardise` would change the objective, which weighs values alike.
    """

    bounded = False
    scale: float | Float[np.ndarray, " parts"] | None = None
    """What examples, or their parts, are divided by; None before `fit`."""
    parts: int = static(default=1)
    """Number of parts of equal size, one after the other, of an example's values."""

    def fit(self, x: np.ndarray | Rows) -> Self:
        """Returns the preprocessing with the mean length over the examples, in one pass.

        `x` are the training examples, `[n, *shape]`. Raises `InputError` for zero, and for values that cannot be cut
        into the parts.
        """
        values, total = math.prod(x.shape[1:]), np.zeros(max(self.parts, 1))
        if self.parts < 1 or values % self.parts:
            raise InputError(
                f"MeanLength has parts={self.parts} of {values} values: give the number of layers or models, of which "
                "each has as many values"
            )
        for chunk in chunks(x):
            grey = chunk.reshape(len(chunk), self.parts, -1).astype(np.float64) / (255 if x.dtype == np.uint8 else 1)
            total += np.linalg.norm(grey, axis=2).sum(axis=0)
        if not total.all():
            raise InputError("all training examples are zero, and MeanLength cannot scale them: use other data")
        found = (total / len(x) / math.sqrt(values / self.parts)).astype(np.float32)
        return type(self)(float(found[0]) if self.parts == 1 else found, self.parts)

    def __call__(self, x: Num[Array, "batch *shape"], key: Key[Array, ""] | None) -> Float[Array, "batch *shape"]:
        """Returns the scaled examples. Raises `ValueError` before `fit`."""
        return scale(x) / self._fitted(x)

    def invert(self, x: Float[Array, "batch *shape"]) -> Float[Array, "batch *shape"]:
        """Converts values back to the data's own units. Raises `ValueError` before `fit`."""
        return x * self._fitted(x)

    def _fitted(self, x: Num[Array, "batch *shape"]) -> Any:
        """Returns what examples as these are divided by: a number, or one for each value, `[1, *shape]`."""
        if self.scale is None:
            raise ValueError("MeanLength has not been fitted: call fit with the training examples first")
        if self.parts == 1:
            return self.scale
        return jnp.repeat(jnp.asarray(self.scale), math.prod(x.shape[1:]) // self.parts).reshape(1, *x.shape[1:])


def scaled(x: np.ndarray) -> Float[np.ndarray, "n *shape"]:
    """Returns stored examples as float32 in the data's units, with grey levels in [0, 1]."""
    return np.asarray(scale(jnp.asarray(x)))
