"""Sparse codes by competition, and a decoder whose units cannot grow.

The losers of a competition are set to zero, and the gradient passes through the winners alone.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import InputError, known, positive
from aejax.models.autoencoder import Decoder, Latent
from aejax.models.distributions import Point
from aejax.models.layers import glorot


@known
class TopK(Latent):
    """A dense layer and ReLU, of which the k largest activations of each example are kept.

    Makhzani & Frey 2013 (k-Sparse Autoencoders), algorithm 1; theirs has no ReLU. Training may begin
    with more survivors, which keeps units from dying: their number falls linearly, one count a step.
    """

    size: int = 1000
    k: int = 25
    """Active units of an example in training."""
    alpha: float = 1.0
    """Outside training alpha * k are kept, rounded: section 2.2."""
    begin: int | None = None
    """Active units at the first step; None: k."""
    anneal_steps: int = 1
    """Steps that the way from `begin` down to k takes."""

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """The code, `[batch, size]`. Raises `InputError` for a k that does not fit the size."""
        kept, begin = round(self.alpha * self.k), self.k if self.begin is None else self.begin
        if not 1 <= self.k <= begin <= self.size or not 1 <= kept <= self.size or self.anneal_steps < 1:
            raise InputError(
                f"of a code of {self.size}, TopK cannot keep k={self.k} (begin={self.begin}, alpha={self.alpha:g}, "
                f"anneal_steps={self.anneal_steps}): 1 <= k <= begin <= size, 1 <= alpha * k <= size, 1 <= anneal_steps"
            )
        rectified = _rectified(self.size, features)
        if not train:
            return Point(largest(rectified, kept, kept))
        return Point(largest(rectified, self.k if begin == self.k else self._annealed(begin), begin))

    def _annealed(self, begin: int) -> Int[Array, ""]:
        """How many are kept at this step of training, by a counter that every step of training moves on."""
        steps = self.variable("counters", "steps", jnp.zeros, (), jnp.int32)
        share = jnp.minimum(steps.value / self.anneal_steps, 1)
        if not self.is_initializing():
            steps.value += 1
        return jnp.round(begin + share * (self.k - begin)).astype(jnp.int32)


@known
class WinnerTakeAll(Latent):
    """A dense layer and ReLU, of which each unit keeps its largest activations over the batch in training.

    Makhzani & Frey 2015 (Winner-Take-All Autoencoders), section 2: lifetime sparsity. Every unit learns
    from the examples it answers most to, however weakly. Outside training nothing is set to zero.
    """

    of_batch = True
    size: int = positive(default=2000)
    rate: float = 0.05
    """The share of a batch's examples for which a unit is active; at least one example."""

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """The code, `[batch, size]`. Raises `InputError` for a rate outside (0, 1]."""
        if not 0 < self.rate <= 1:
            raise InputError(f"the rate of WinnerTakeAll is {self.rate}: it must be above 0 and at most 1")
        rectified = _rectified(self.size, features)
        count = max(round(self.rate * len(features)), 1)
        return Point(largest(rectified.T, count, count).T if train else rectified)


@known
class SpatialWinnerTakeAll(Latent):
    """A convolutional encoder's feature maps, of which each keeps its one largest activation in training.

    Makhzani & Frey 2015, section 3.1. The code is the maps themselves, flattened: there is no layer
    here. Outside training nothing is set to zero but what ReLU does.
    """

    size: int = 128
    """Values of all maps together: 4 * 4 * 8 for the default `ConvEncoder` on images of 28 x 28."""
    maps: int = 8
    """The encoder's last number of channels."""

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """The code, `[batch, size]`. Raises `InputError` for features that are not `maps` maps of that size."""
        if features.shape[1] != self.size or self.size % self.maps:
            raise InputError(
                f"SpatialWinnerTakeAll has size={self.size} in maps={self.maps}, but the encoder gives "
                f"{features.shape[1]} features: the size is theirs, and maps the encoder's last number of channels"
            )
        places = nn.relu(features).reshape(len(features), -1, self.maps)
        highest = jax.lax.stop_gradient(places.max(axis=1, keepdims=True))
        return Point((jnp.where(places >= highest, places, 0) if train else places).reshape(features.shape))


@known
class UnitNormDecoder(Decoder):
    """A linear layer whose kernel is scaled, in the forward pass, so that each unit's row has length 1.

    What is trained is the kernel before the scaling, a reparametrisation: its gradient has no part
    along the row, as after the projection that Bricken et al. 2023 renormalise with. Salimans &
    Kingma 2016, equation 2, with g = 1.
    """

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Raw parameters of the likelihood, `[batch, *shape]`."""
        dense = nn.Dense(math.prod(shape), kernel_init=glorot, name="out")
        return nn.WeightNorm(dense, use_scale=False, feature_axes=0)(z).reshape(-1, *shape)


def largest(
    values: Float[Array, "rows columns"], count: int | Int[Array, ""], most: int
) -> Float[Array, "rows columns"]:
    """The `count` largest values of each row, and zeros; `count` may be traced and is at most `most`.

    Values equal to the smallest survivor survive with it.
    """
    ranked, _ = jax.lax.top_k(jax.lax.stop_gradient(values), most)
    smallest = jax.lax.dynamic_index_in_dim(ranked, count - 1, axis=1)
    return jnp.where(values >= smallest, values, 0)


def _rectified(size: int, features: Float[Array, "batch features"]) -> Float[Array, "batch size"]:
    return nn.relu(nn.Dense(size, kernel_init=glorot, name="code")(features))
