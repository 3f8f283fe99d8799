"""Defines what models of counts add to an encoder and a decoder of any kind."""

from types import SimpleNamespace
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import Examples, known
from aejax.models import traits
from aejax.models.autoencoder import Decoder, Encoder
from aejax.models.mlp import MLPDecoder, MLPEncoder
from aejax.models.traits import Trait


@known
class LogCounts(Encoder):
    """Gives an encoder log(1 + x) of counts x, whose range networks bear. Lopez et al. 2018, methods."""

    encoder: Encoder = MLPEncoder()
    """The encoder of the logarithms."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch features"]:
        """Returns the encoder's features, `[batch, features]`; what noise has brought below 0 counts as 0."""
        return self.encoder(jnp.log1p(jnp.maximum(x, 0)), train)


@known
class SharedDispersion(Decoder):
    """Learns the last raw parameter of each value for all examples alike, and decodes the others from the code.

    It is a likelihood's dispersion or scale, as that of a gene: Lopez et al. 2018, methods. It starts at 0.
    """

    decoder: Decoder = MLPDecoder()
    """The decoder of all other parameters."""

    @property
    def needs(self) -> tuple[Trait, ...]:
        """A likelihood with a dispersion, and what the decoder of the others needs."""
        return (traits.DISPERSION, *self.decoder.needs)

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Returns the raw parameters of the likelihood, `[batch, *shape]`, whose last axis is that of parameters.

        Args:
            z: the codes.
            shape: the shape of the output for one example.
            train: whether the model is being trained.
        """
        decoded = self.decoder(z, (*shape[:-1], shape[-1] - 1), train)
        shared = self.param("dispersion", nn.initializers.zeros, shape[:-1])
        every = jnp.broadcast_to(shared[None, ..., None], (*decoded.shape[:-1], 1))
        return jnp.concatenate([decoded, every.astype(decoded.dtype)], axis=-1)

    @nn.nowrap
    def prime(self, params: Any, examples: Examples, loss: Any) -> Any:
        """Returns the parameters with those that the decoder of the other raw parameters starts with.

        Args:
            params: the decoder's own parameters.
            examples: a sample of training examples.
            loss: the loss that will be minimised, whose likelihood has the raw output for the middle.
        """
        likelihood = SimpleNamespace(raw_for=lambda values: loss.likelihood.raw_for(values)[..., :-1])
        others = SimpleNamespace(likelihood=likelihood)
        return {**params, "decoder": self.decoder.prime(params["decoder"], examples, others)}
