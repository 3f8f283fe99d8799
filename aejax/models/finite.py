"""Defines codes of finitely many levels in each dimension: all of them are known, and none is learned."""

import math

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import InputError, Variables, known
from aejax.models import traits
from aejax.models.discrete import DiscreteLatent
from aejax.models.layers import glorot
from aejax.models.quantised import Quantised

_SPARE = 1e-3
"""eps, by which values may go beyond the outermost levels, so that these are reached at a finite input."""


@known
class FiniteScalarQuantised(DiscreteLatent):
    """Rounds each of a few bounded numbers to one of its levels: Mentzer et al. 2023 (FSQ), section 3.1.

    The features are cut into `slots` equal parts, as those of `VectorQuantised`. Layer normalisation, which the paper
    does not have, and one dense layer turn each part into a number z for each of `levels`. With L levels,
    h = (L - 1)(1 + eps) / 2, and o = 1/2 for an even L, else 0,

        y = tanh(z + atanh(o / h)) h - o

    is rounded, straight through for the gradient, and divided by floor(L / 2). Every choice of levels is a code, so
    that nothing is learned but the encoder, and the loss needs no term for it.
    """

    meets = (traits.DISCRETE,)
    dense = (("code",),)
    slots: int = 49
    """Number of codes for each example: 7 * 7 for a `ConvEncoder` of two layers on images of 28 x 28."""
    levels: tuple[int, ...] = (8, 6, 5)
    """Number of levels in each dimension of a code, at least 2: their product is the number of codes."""

    @property
    def codes(self) -> int:
        """Returns the number of codes."""
        return math.prod(self.levels)

    @property
    def positions(self) -> int:
        """Returns how many indices an example has."""
        return self.slots

    @property
    def size(self) -> int:
        """Returns how many numbers an example's code has."""
        return self.slots * len(self.levels)

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Quantised:
        """Returns the rounded codes.

        Raises `InputError` for settings that have no meaning or do not fit the features.
        """
        self._check(features.shape[1])
        parts = features.reshape(-1, features.shape[1] // self.slots)
        # Where all z are near 0, all codes are 0, and a decoder without biases has no gradient: so z has their scale.
        spread = nn.LayerNorm(name="spread")(parts)
        bounded = self._bounded(nn.Dense(len(self.levels), kernel_init=glorot, name="code")(spread))
        middle = np.asarray(self.levels)[None] // 2
        level = jnp.round(bounded).astype(jnp.int32) + middle
        index = jnp.sum(level * self._strides, axis=1)
        # Looked up, as indices are later: a division in another program may differ in its last bit.
        code = jnp.asarray(self._codebook)[index]
        straight = bounded / middle.astype(np.float32)
        return Quantised(straight.reshape(-1, self.size), code.reshape(-1, self.size), index.reshape(-1, self.slots))

    @nn.nowrap
    def restore(self, variables: Variables, index: Int[Array, "n positions"]) -> Float[Array, "n latent"]:
        """Returns the codes that indices tell: see `DiscreteLatent.restore`.

        Args:
            variables: not used.
            index: the indices.
        """
        return jnp.asarray(self._codebook)[index].reshape(len(index), self.size)

    @nn.nowrap
    def _bounded(self, z: Float[Array, "slots levels"]) -> Float[Array, "slots levels"]:
        """Returns y, which rounding takes to one of the levels of its dimension."""
        levels = np.asarray(self.levels)[None]
        half, offset = (levels - 1) * (1 + _SPARE) / 2, np.where(levels % 2, 0.0, 0.5)
        shift = np.arctanh(offset / half)
        return jnp.tanh(z + jnp.float32(shift)) * jnp.float32(half) - jnp.float32(offset)

    @property
    def _strides(self) -> Int[np.ndarray, "1 levels"]:
        return np.cumprod((1, *self.levels[:0:-1]))[None, ::-1].astype(np.int32)

    @property
    def _codebook(self) -> Float[np.ndarray, "codes levels"]:
        levels = np.asarray(self.levels)
        chosen = np.stack(np.unravel_index(np.arange(self.codes), self.levels), axis=1)
        return ((chosen - levels // 2) / (levels // 2)).astype(np.float32)

    def _check(self, features: int) -> None:
        if self.slots < 1 or not self.levels or min(self.levels) < 2 or features % self.slots:
            raise InputError(
                f"FiniteScalarQuantised has slots={self.slots} and levels={self.levels}, and the encoder gives "
                f"{features} features: give at least 1 slot, that divides the features, and at least 2 levels in each "
                "of 1 or more dimensions"
            )
