"""Measures how far a reconstruction is from its original."""

import math
from collections.abc import Mapping
from dataclasses import field

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.core import Examples, configurable
from aejax.data import Preprocess
from aejax.losses import Bernoulli, Likelihood, flat
from aejax.models import Autoencoder, traits


@configurable
class ReconstructionError:
    """Measures `squared_error`, summed over an example's values, of its reconstruction from its mean code."""

    likelihood: Likelihood = field(default_factory=Bernoulli)
    """The likelihood, whose mean is the reconstruction."""

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, " batch"]]:
        """Returns the squared error of each example; `model` is bound to its variables."""
        mean = self.likelihood.mean(model.decode(model.encode(batch).mean, batch), batch)
        return {"squared_error": jnp.sum(jnp.square(flat(batch.target - mean)), axis=1)}


def is_mass(likelihood: Likelihood, preprocess: Preprocess, part: Examples) -> bool:
    """Tells whether the likelihood gives the examples masses, so that its nats are those of a code.

    That of levels does, and that of zeros and ones where the targets are such. A density does not: its nats depend on
    the unit of the values and have no lower bound. The cross-entropy of grey levels is neither.
    """
    if traits.BITS not in likelihood.meets:
        return likelihood.levels is not None
    if preprocess.binary and part.y is None:
        return True
    target = np.asarray(part.target)
    white = 255 if target.dtype == np.uint8 else 1
    return bool(((target == 0) | (target == white)).all())


def per_value(metrics: Mapping[str, float], shape: tuple[int, ...], mass: bool) -> dict[str, float]:
    """Returns what is quoted per value: nats and squared error, `_per_pixel` of images, and bits per dimension.

    Args:
        metrics: means over examples.
        shape: the shape of an example; images `[h, w, c]` count every channel of every pixel.
        mass: whether the likelihood gives masses, see `is_mass`; of any other no bits are returned.
    """
    size, value = math.prod(shape), "pixel" if len(shape) == 3 else "value"
    derived = {}
    if "reconstruction_nats" in metrics:
        derived[f"reconstruction_nats_per_{value}"] = metrics["reconstruction_nats"] / size
        if mass:
            derived["reconstruction_bits_per_dim"] = metrics["reconstruction_nats"] / size / math.log(2)
    if "squared_error" in metrics:
        derived[f"squared_error_per_{value}"] = metrics["squared_error"] / size
    return derived
