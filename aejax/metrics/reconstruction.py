"""Measures how far a reconstruction is from its original."""

import math
from collections.abc import Mapping
from dataclasses import field

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import Examples, configurable
from aejax.losses import Bernoulli, Likelihood, flat
from aejax.models import Autoencoder


@configurable
class ReconstructionError:
    """Measures `squared_error`, summed over an example's values, of its reconstruction from its mean code."""

    likelihood: Likelihood = field(default_factory=Bernoulli)
    """The likelihood, whose mean is the reconstruction."""

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, " batch"]]:
        """Returns the squared error of each example; `model` is bound to its variables."""
        mean = self.likelihood.mean(model.decode(model.encode(batch).mean, batch), batch)
        return {"squared_error": jnp.sum(jnp.square(flat(batch.target - mean)), axis=1)}


def per_value(metrics: Mapping[str, float], shape: tuple[int, ...]) -> dict[str, float]:
    """Returns what is quoted per value: nats and squared error per pixel, bits per dimension.

    `metrics` are means over examples of `shape`; images count every channel of every pixel.
    """
    size = math.prod(shape)
    derived = {}
    if "reconstruction_nats" in metrics:
        derived["reconstruction_nats_per_pixel"] = metrics["reconstruction_nats"] / size
        derived["reconstruction_bits_per_dim"] = metrics["reconstruction_nats"] / size / math.log(2)
    if "squared_error" in metrics:
        derived["squared_error_per_pixel"] = metrics["squared_error"] / size
    return derived
