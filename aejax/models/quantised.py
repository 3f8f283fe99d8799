"""Codes from a codebook: each part of an example's code is the nearest of a few learned vectors."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from aejax.core import InputError, Variables, known
from aejax.models.autoencoder import Latent
from aejax.models.layers import glorot

_SMOOTHING = 1e-6
"""Added to each code's share of the features, by which its move is divided; with it comes as much of
the code itself, so that one that nothing is nearest to stays, where the usual smoothing shrinks it."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Quantised:
    """All the mass on one choice of codes: the posterior of van den Oord et al. 2017, equation 1."""

    features: Float[Array, "batch latent"]
    """z_e(x): what was quantised, slot after slot."""
    code: Float[Array, "batch latent"]
    """z_q(x), the nearest codes; its gradient goes to the codebook, where that has parameters."""
    index: Int[Array, "batch slots"]
    """Which codes they are."""

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """The codes, exactly; the gradient passes straight through them to the features. Section 3.2."""
        return jax.lax.stop_gradient(self.code) + (self.features - jax.lax.stop_gradient(self.features))

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """The codes themselves."""
        return self.mean


@known
class VectorQuantised(Latent):
    """The nearest vectors of a learned codebook in place of the encoder's: van den Oord et al. 2017 (VQ-VAE).

    The features are cut into `slots` equal parts, and one dense layer, the same for all, turns each
    into `dimension` numbers. The parts of a convolutional encoder's features are the places of its
    last maps; those of an MLP's, neighbouring units.

    The codebook follows the encoder by moving averages (appendix A.1), or by gradient (equation 3):
    then the loss needs the term `Codebook`. With either it needs `Commitment`.
    """

    of_batch = True
    slots: int = 49
    """Codes an example has: 7 * 7 for a `ConvEncoder` of two layers on images of 28 x 28."""
    dimension: int = 8
    codes: int = 256
    """The codebook's size."""
    learning: Literal["average", "gradient"] = "average"
    decay: float = 0.99
    """What a step leaves of the moving averages."""
    patience: int | None = 100
    """Steps without a feature nearest to it after which a code moves to a random one of the batch's
    features; None: codes never do. The first batch places all codes that it leaves unused."""

    @property
    def size(self) -> int:
        """Numbers in an example's code."""
        return self.slots * self.dimension

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Quantised:
        """The nearest codes, and in training the next codebook. Raises `InputError` for settings that do not fit."""
        self._check(features.shape[1])
        batch = len(features)
        parts = features.reshape(batch * self.slots, -1)
        vectors = nn.Dense(self.dimension, kernel_init=glorot, name="code")(parts)
        placed = self.variable("codebook", "placed", self._begin)
        codebook = placed.value
        if self.learning == "gradient":
            codebook += self.param("moved", nn.initializers.zeros, codebook.shape)
        index = nearest(vectors, codebook)
        if train:
            move = self._move(*jax.lax.stop_gradient((vectors, codebook)), index)
            if not self.is_initializing():
                placed.value += move
        code = codebook[index]
        return Quantised(vectors.reshape(batch, -1), code.reshape(batch, -1), index.reshape(batch, -1))

    @nn.nowrap
    def codebook(self, variables: Variables) -> Float[Array, "codes dimension"]:
        """The learned vectors, out of the latent's own variables."""
        placed = variables["codebook"]["placed"]
        return placed + variables["params"]["moved"] if self.learning == "gradient" else placed

    def _begin(self) -> Float[Array, "codes dimension"]:
        edge = 1 / self.codes
        return jax.random.uniform(self.make_rng("params"), (self.codes, self.dimension), minval=-edge, maxval=edge)

    def _move(
        self,
        vectors: Float[Array, "vectors dimension"],
        codebook: Float[Array, "codes dimension"],
        index: Int[Array, " vectors"],
    ) -> Float[Array, "codes dimension"]:
        """How each code moves after this step, gradients apart."""
        chosen = jax.nn.one_hot(index, self.codes)
        move = jnp.zeros_like(codebook)
        if self.learning == "average":
            move = self._towards_average(vectors, codebook, chosen)
        if self.patience is not None:
            dead = self._dead(chosen.any(axis=0), self.patience)
            drawn = jax.random.randint(self.make_rng("latent"), (self.codes,), 0, len(vectors))
            move = jnp.where(dead[:, None], vectors[drawn] - codebook, move)
        return move

    def _towards_average(
        self,
        vectors: Float[Array, "vectors dimension"],
        codebook: Float[Array, "codes dimension"],
        chosen: Float[Array, "vectors codes"],
    ) -> Float[Array, "codes dimension"]:
        """Appendix A.1 with e for m / N, in shares of the batch for its counts: no batch size comes in."""
        share = self.variable("codebook", "share", jnp.full, self.codes, 1 / self.codes, jnp.float32)
        now = chosen.mean(axis=0)
        if not self.is_initializing():
            share.value = self.decay * share.value + (1 - self.decay) * now
        pull = chosen.T @ vectors / len(vectors) - now[:, None] * codebook
        return (1 - self.decay) * pull / (share.value + _SMOOTHING)[:, None]

    def _dead(self, used: Bool[Array, " codes"], patience: int) -> Bool[Array, " codes"]:
        """Which codes have been without a feature for too long; they are given as much time again."""
        unused = self.variable("codebook", "unused", jnp.full, self.codes, patience, jnp.int32)
        steps = jnp.where(used, 0, unused.value + 1)
        dead = steps >= patience
        if not self.is_initializing():
            unused.value = jnp.where(dead, 0, steps)
        return dead

    def _check(self, features: int) -> None:
        if min(self.slots, self.dimension, self.codes) < 1 or features % self.slots:
            raise InputError(
                f"VectorQuantised has slots={self.slots}, dimension={self.dimension} and codes={self.codes}, and the "
                f"encoder gives {features} features: all must be at least 1, and slots divide the features"
            )
        if not 0 <= self.decay < 1 or (self.patience is not None and self.patience < 1):
            raise InputError(
                f"VectorQuantised has decay={self.decay:g} and patience={self.patience}: decay must be at least 0 and "
                "below 1, patience at least 1 or None"
            )


def nearest(
    vectors: Float[Array, "vectors dimension"], codebook: Float[Array, "codes dimension"]
) -> Int[Array, " vectors"]:
    """The code at the least squared distance from each vector; of equals, the first."""
    # |v - e|^2 less |v|^2, which is the same for all codes: one product of matrices.
    return jnp.argmin(jnp.sum(jnp.square(codebook), axis=1)[None] - 2 * vectors @ codebook.T, axis=1)
