"""Defines codes of finitely many levels in each dimension: all of them are known, and none is learned."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import InputError, Variables, known
from aejax.models import traits
from aejax.models.discrete import DiscreteLatent
from aejax.models.quantised import Quantised

_SPARE = 1e-3
"""eps, by which values may go beyond the outermost levels, so that these are reached at a finite input."""

_SMALL = nn.initializers.variance_scaling(0.16, "fan_avg", "uniform")
"""Initialises as `glorot`, 0.4 times as large: where tanh is flat at the start, few levels come to be used."""


@known
class FiniteScalarQuantised(DiscreteLatent):
    """Rounds each of a few bounded numbers to one of its levels: Mentzer et al. 2023 (FSQ), section 3.1.

    The features are cut into `slots` equal parts, as those of `VectorQuantised`. Layer normalisation, which the paper
    does not have, and one dense layer turn each part into a number z for each of `levels`. With L levels,
    h = (L - 1)(1 + eps) / 2, and o = 1/2 for an even L, else 0,

        y = tanh(z + atanh(o / h)) h - o

    is rounded, straight through for the gradient, and divided by floor(L / 2). Every choice of levels is a code, so
    that nothing is learned but the encoder, and the loss needs no term for it. The dense layer begins with small z
    around the middle of the levels, where tanh has a gradient.
    """

    meets = (traits.DISCRETE,)
    dense = (("code",),)
    slots: int = 49
    """Number of codes for each example: 7 * 7 for a `ConvEncoder` of two layers on images of 28 x 28."""
    levels: tuple[int, ...] = (8, 6, 5)
    """Number of levels in each dimension of a code, at least 2: their product is the number of codes."""
    noise: float = 0.0
    """Share of examples whose numbers get uniform noise as wide as a level in place of rounding in training, through
    which the gradient is exact: Balle et al. 2017; of a share, Parker et al. 2024 (TAAE)."""

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
        dense = nn.Dense(len(self.levels), kernel_init=_SMALL, bias_init=self._middle, name="code")
        bounded = self._bounded(dense(spread))
        middle = np.asarray(self.levels)[None] // 2
        level = jnp.round(bounded).astype(jnp.int32) + middle
        index = jnp.sum(level * self._strides, axis=1)
        # Looked up, as indices are later: a division in another program may differ in its last bit.
        code = jnp.asarray(self._codebook)[index]
        straight = bounded / middle.astype(np.float32)
        if train and self.noise:
            of_example, of_number = jax.random.split(self.make_rng("latent"))
            noisy = jax.random.uniform(of_example, (len(features), 1)) < self.noise
            added = jax.random.uniform(of_number, bounded.shape, minval=-0.5, maxval=0.5)
            with_noise = (bounded + added) / middle.astype(np.float32)
            code = jnp.where(jnp.repeat(noisy, self.slots, axis=0), with_noise, code)
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
        half, offset, shift = (value[None] for value in self._bounds())
        return jnp.tanh(z + shift) * half - offset

    @nn.nowrap
    def _bounds(
        self,
    ) -> tuple[Float[np.ndarray, " levels"], Float[np.ndarray, " levels"], Float[np.ndarray, " levels"]]:
        """Returns h, o and atanh(o / h) of each dimension."""
        levels = np.asarray(self.levels)
        half, offset = (levels - 1) * (1 + _SPARE) / 2, np.where(levels % 2, 0.0, 0.5)
        return half.astype(np.float32), offset.astype(np.float32), np.arctanh(offset / half).astype(np.float32)

    @nn.nowrap
    def _middle(self, *_: Any) -> Float[Array, " levels"]:
        """Returns the biases with which y begins in the middle of the levels."""
        return -jnp.asarray(self._bounds()[2])

    @property
    def _strides(self) -> Int[np.ndarray, "1 levels"]:
        return np.cumprod((1, *self.levels[:0:-1]))[None, ::-1].astype(np.int32)

    @property
    def _codebook(self) -> Float[np.ndarray, "codes levels"]:
        levels = np.asarray(self.levels)
        chosen = np.stack(np.unravel_index(np.arange(self.codes), self.levels), axis=1)
        return ((chosen - levels // 2) / (levels // 2)).astype(np.float32)

    def _check(self, features: int) -> None:
        if not 0 <= self.noise <= 1:
            raise InputError(f"noise is {self.noise}, but it is a share of the examples: give a number from 0 to 1")
        if self.slots < 1 or not self.levels or min(self.levels) < 2 or features % self.slots:
            raise InputError(
                f"FiniteScalarQuantised has slots={self.slots} and levels={self.levels}, and the encoder gives "
                f"{features} features: give at least 1 slot, that divides the features, and at least 2 levels in each "
                "of 1 or more dimensions"
            )
