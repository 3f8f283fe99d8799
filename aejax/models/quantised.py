"""Defines codes from codebooks: each part of an example's code is the nearest of a few learned vectors.

Or it is a sum of some, each the nearest to what those before have left.
"""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from aejax.core import InputError, Variables, batch_mean, batch_rows, batch_sum, known, pytree
from aejax.models import traits
from aejax.models.discrete import DiscreteLatent
from aejax.models.layers import glorot
from aejax.models.traits import Trait

_SMOOTHING = 1e-6
"""Added to each code's share of the vectors, by which its move towards them is divided.

A code that no vector is nearest to stays where it is, while the usual smoothing would shrink it towards zero.
"""


@pytree
@dataclass(frozen=True)
class Quantised:
    """Puts all probability on one choice of codes: the posterior of van den Oord et al. 2017, equation 1."""

    features: Float[Array, "batch latent"]
    """z_e(x), the vectors that were quantised, slot after slot."""
    code: Float[Array, "batch latent"]
    """z_q(x), the nearest codes. Their gradient goes to the codebook, if that has parameters."""
    index: Int[Array, "batch positions"]
    """The numbers of the nearest codes in their codebooks, slot after slot."""

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """Returns the codes exactly; their gradient passes straight through to the features. Section 3.2."""
        return jax.lax.stop_gradient(self.code) + (self.features - jax.lax.stop_gradient(self.features))

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Returns the codes themselves."""
        return self.mean


@known
class VectorQuantised(DiscreteLatent):
    """Replaces the encoder's vectors by the nearest ones of a learned codebook: van den Oord et al. 2017 (VQ-VAE).

    The features are cut into `slots` equal parts, and one dense layer, the same for all, turns each part into
    `dimension` numbers. With a convolutional encoder a part is one place of its last maps; with an MLP, a group of
    neighbouring units.

    The codebook follows the encoder by moving averages (appendix A.1) or by gradient (equation 3). By gradient, the
    loss needs the term `Codebook`. Either way it needs `Commitment`.

    With a `depth` above 1 a code is a sum: what is left of a vector after the nearest code of one codebook is replaced
    by the nearest code of the next. Zeghidour et al. 2021 (SoundStream), section III-C (residual vector quantisation).
    """

    of_batch = True
    across_devices = True
    dense = (("code",),)
    slots: int = 49
    """Number of codes for each example: 7 * 7 for a `ConvEncoder` of two layers on images of 28 x 28."""
    dimension: int = 8
    """Size of each code."""
    codes: int = 256
    """Number of codes in the codebook."""
    learning: Literal["average", "gradient"] = "average"
    """How the codebook is learned: by moving averages or by gradient."""
    decay: float = 0.99
    """The share of the moving averages that a step keeps."""
    patience: int | None = 100
    """Number of steps without a vector nearest to it after which a code moves to a random vector of the batch; None:
    codes never do. The first batch moves all codes that it leaves unused.
    """
    depth: int = 1
    """Number of codebooks, each of `codes` codes, of which a slot's code is the sum."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """Indices, a codebook, and whether it is learned by gradient."""
        learned = (traits.LEARNED_CODEBOOK,) if self.learning == "gradient" else ()
        return (traits.DISCRETE, traits.CODEBOOK, *learned)

    @property
    def needs(self) -> tuple[Trait, ...]:
        """The terms that bring codes and features together."""
        return (traits.COMMITMENT, *((traits.CODEBOOK_LOSS,) if self.learning == "gradient" else ()))

    @property
    def size(self) -> int:
        """Returns how many numbers an example's code has."""
        return self.slots * self.dimension

    @property
    def positions(self) -> int:
        """Returns how many indices an example has: those of a slot's codebooks beside each other."""
        return self.slots * self.depth

    @property
    def books(self) -> int:
        """Returns the number of codebooks."""
        return self.depth

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Quantised:
        """Returns the nearest codes, and in training also moves the codebooks.

        Raises `InputError` for settings that do not fit together or do not fit the features.
        """
        self._check(features.shape[1])
        parts = features.reshape(-1, features.shape[1] // self.slots)
        vectors = nn.Dense(self.dimension, kernel_init=glorot, name="code")(parts)
        codes, indices = [], []
        left = vectors
        for book in range(self.depth):
            code, index = self._nearest(book, left, train)
            left = left - jax.lax.stop_gradient(code)
            codes.append(code)
            indices.append(index)
        code, index = sum(codes[1:], codes[0]), jnp.stack(indices, axis=1)
        return Quantised(vectors.reshape(-1, self.size), code.reshape(-1, self.size), index.reshape(-1, self.positions))

    @nn.nowrap
    def codebook(self, variables: Variables, book: int = 0) -> Float[Array, "codes dimension"]:
        """Returns a codebook, `[codes, dimension]`, from the latent's own variables.

        Args:
            variables: the variables.
            book: the number of the codebook, from 0.
        """
        placed = variables["codebook"][_of("placed", book)]
        return placed + variables["params"][_of("moved", book)] if self.learning == "gradient" else placed

    @nn.nowrap
    def restore(self, variables: Variables, index: Int[Array, "n positions"]) -> Float[Array, "n latent"]:
        """Returns the codes that indices tell: see `DiscreteLatent.restore`.

        Args:
            variables: the latent's own variables.
            index: the indices.
        """
        by_book = index.reshape(-1, self.depth).T
        codes = [self.codebook(variables, book)[chosen] for book, chosen in enumerate(by_book)]
        return sum(codes[1:], codes[0]).reshape(len(index), self.size)

    def _nearest(
        self, book: int, vectors: Float[Array, "vectors dimension"], train: bool
    ) -> tuple[Float[Array, "vectors dimension"], Int[Array, " vectors"]]:
        """Returns the nearest codes of a codebook and their numbers, and in training also moves the codebook."""
        placed = self.variable("codebook", _of("placed", book), self._begin)
        codebook = placed.value
        if self.learning == "gradient":
            codebook += self.param(_of("moved", book), nn.initializers.zeros, codebook.shape)
        index = nearest(vectors, codebook)
        if train:
            move = self._move(book, *jax.lax.stop_gradient((vectors, codebook)), index)
            if not self.is_initializing():
                placed.value += move
        return codebook[index], index

    def _begin(self) -> Float[Array, "codes dimension"]:
        edge = 1 / self.codes
        return jax.random.uniform(self.make_rng("params"), (self.codes, self.dimension), minval=-edge, maxval=edge)

    def _move(
        self,
        book: int,
        vectors: Float[Array, "vectors dimension"],
        codebook: Float[Array, "codes dimension"],
        index: Int[Array, " vectors"],
    ) -> Float[Array, "codes dimension"]:
        """Returns by how much each code moves after this step, apart from its gradient."""
        chosen = jax.nn.one_hot(index, self.codes)
        move = jnp.zeros_like(codebook)
        if self.learning == "average":
            move = self._towards_average(book, vectors, codebook, chosen)
        if self.patience is not None:
            dead = self._dead(book, batch_sum(chosen) > 0, self.patience)
            drawn = jax.random.randint(self.make_rng("latent"), (self.codes,), 0, len(vectors))
            move = jnp.where(dead[:, None], batch_rows(vectors[drawn]) - codebook, move)
        return move

    def _towards_average(
        self,
        book: int,
        vectors: Float[Array, "vectors dimension"],
        codebook: Float[Array, "codes dimension"],
        chosen: Float[Array, "vectors codes"],
    ) -> Float[Array, "codes dimension"]:
        """Returns the move towards the moving averages of appendix A.1, with the code e in place of m / N.

        Counts are shares of the batch, so that the batch's size has no effect.
        """
        share = self.variable("codebook", _of("share", book), jnp.full, self.codes, 1 / self.codes, jnp.float32)
        now = batch_mean(chosen)
        if not self.is_initializing():
            share.value = self.decay * share.value + (1 - self.decay) * now
        pull = batch_mean((chosen.T @ vectors / len(vectors))[None]) - now[:, None] * codebook
        return (1 - self.decay) * pull / (share.value + _SMOOTHING)[:, None]

    def _dead(self, book: int, used: Bool[Array, " codes"], patience: int) -> Bool[Array, " codes"]:
        """Returns which codes have been without a vector for too long, and gives each of these as much time again."""
        unused = self.variable("codebook", _of("unused", book), jnp.full, self.codes, patience, jnp.int32)
        steps = jnp.where(used, 0, unused.value + 1)
        dead = steps >= patience
        if not self.is_initializing():
            unused.value = jnp.where(dead, 0, steps)
        return dead

    def _check(self, features: int) -> None:
        if min(self.slots, self.dimension, self.codes, self.depth) < 1 or features % self.slots:
            raise InputError(
                f"VectorQuantised has slots={self.slots}, dimension={self.dimension}, codes={self.codes} and "
                f"depth={self.depth}, and the encoder gives {features} features: all must be at least 1, and slots "
                "divide the features"
            )
        if not 0 <= self.decay < 1 or (self.patience is not None and self.patience < 1):
            raise InputError(
                f"VectorQuantised has decay={self.decay:g} and patience={self.patience}: decay must be at least 0 and "
                "below 1, patience at least 1 or None"
            )


def _of(name: str, book: int) -> str:
    """Returns what a variable of a codebook is called; of the first one, as where there is no other."""
    return f"{name}_{book}" if book else name


def nearest(
    vectors: Float[Array, "vectors dimension"], codebook: Float[Array, "codes dimension"]
) -> Int[Array, " vectors"]:
    """Returns the number of the code at the least squared distance from each vector; of equal ones, the first."""
    # |v|^2 is left out of |v - e|^2, as it is the same for all codes: one product of matrices is enough.
    return jnp.argmin(jnp.sum(jnp.square(codebook), axis=1)[None] - 2 * vectors @ codebook.T, axis=1)
