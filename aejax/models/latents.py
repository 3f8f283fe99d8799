"""Latents: how an encoder's features become a code."""

from dataclasses import dataclass

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key

from aejax.models.autoencoder import Latent
from aejax.models.layers import Activation, activation, glorot
from aejax.pytree import known


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Point:
    """A posterior with all its mass on one code: what a deterministic autoencoder infers."""

    mean: Float[Array, "batch latent"]

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """The code itself."""
        return self.mean


@known
class Plain(Latent):
    """A dense layer and an activation: the code of a plain autoencoder."""

    size: int = 32
    activation: Activation = "linear"

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """The code, `[batch, size]`."""
        return Point(activation(self.activation)(nn.Dense(self.size, kernel_init=glorot, name="code")(features)))
