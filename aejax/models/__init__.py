"""Linen modules: encoders, decoders, latents, and the autoencoder made of them."""

from aejax.models.autoencoder import Autoencoder, Decoder, Encoder, Latent, Model, Posterior, apply, init
from aejax.models.conv import ConvDecoder, ConvEncoder
from aejax.models.latents import Plain, Point
from aejax.models.mlp import MLPDecoder, MLPEncoder
from aejax.models.sparse import SpatialWinnerTakeAll, TopK, UnitNormDecoder, WinnerTakeAll
from aejax.models.tied import TiedAutoencoder, TransposedDecoder

__all__ = [
    "Autoencoder",
    "ConvDecoder",
    "ConvEncoder",
    "Decoder",
    "Encoder",
    "Latent",
    "MLPDecoder",
    "MLPEncoder",
    "Model",
    "Plain",
    "Point",
    "Posterior",
    "SpatialWinnerTakeAll",
    "TiedAutoencoder",
    "TopK",
    "TransposedDecoder",
    "UnitNormDecoder",
    "WinnerTakeAll",
    "apply",
    "init",
]
