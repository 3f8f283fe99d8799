"""Linen modules: encoders, decoders, latents, and the autoencoder made of them."""

from aejax.models.autoencoder import Autoencoder, Decoder, Density, Encoder, Latent, Model, Posterior, apply, init
from aejax.models.conditional import ConditionalAutoencoder
from aejax.models.conv import ConvDecoder, ConvEncoder
from aejax.models.distributions import Normal, Point
from aejax.models.hierarchy import BottomDecoder, HierarchicalLatent, HierarchicalPrior
from aejax.models.latents import GaussianLatent, Plain
from aejax.models.mlp import MLPDecoder, MLPEncoder
from aejax.models.priors import MixturePrior, VampPrior
from aejax.models.quantised import Quantised, VectorQuantised
from aejax.models.sparse import SpatialWinnerTakeAll, TopK, UnitNormDecoder, WinnerTakeAll
from aejax.models.tied import TiedAutoencoder, TransposedDecoder
from aejax.models.variational import Prior, StandardNormal, VariationalAutoencoder

__all__ = [
    "Autoencoder",
    "BottomDecoder",
    "ConditionalAutoencoder",
    "ConvDecoder",
    "ConvEncoder",
    "Decoder",
    "Density",
    "Encoder",
    "GaussianLatent",
    "HierarchicalLatent",
    "HierarchicalPrior",
    "Latent",
    "MLPDecoder",
    "MLPEncoder",
    "MixturePrior",
    "Model",
    "Normal",
    "Plain",
    "Point",
    "Posterior",
    "Prior",
    "Quantised",
    "SpatialWinnerTakeAll",
    "StandardNormal",
    "TiedAutoencoder",
    "TopK",
    "TransposedDecoder",
    "UnitNormDecoder",
    "VampPrior",
    "VariationalAutoencoder",
    "VectorQuantised",
    "WinnerTakeAll",
    "apply",
    "init",
]
