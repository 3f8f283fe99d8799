"""Linen modules: encoders, decoders, latents, and the autoencoder made of them."""

from aejax.models.autoencoder import Autoencoder, Decoder, Encoder, Latent, Posterior, apply, init
from aejax.models.conv import ConvDecoder, ConvEncoder
from aejax.models.latents import Plain, Point
from aejax.models.mlp import MLPDecoder, MLPEncoder

__all__ = [
    "Autoencoder",
    "ConvDecoder",
    "ConvEncoder",
    "Decoder",
    "Encoder",
    "Latent",
    "MLPDecoder",
    "MLPEncoder",
    "Plain",
    "Point",
    "Posterior",
    "apply",
    "init",
]
