"""Defines distributions over codes, as pytrees of their parameters with one row for each example."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import pytree
from aejax.models import traits

LOG_2_PI = math.log(2 * math.pi)
"""The natural logarithm of 2 pi."""


@pytree
@dataclass(frozen=True)
class Point:
    """Puts all probability on one code for each example, as a deterministic autoencoder does."""

    mean: Float[Array, "batch latent"]

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Returns the code itself."""
        return self.mean


@pytree
@dataclass(frozen=True)
class Normal:
    """Represents a diagonal Gaussian over codes: the posterior of Kingma & Welling 2014, equation 9."""

    mean: Float[Array, "batch latent"]
    scale: Float[Array, "batch latent"]
    """Standard deviation of each dimension."""

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Draws mean + scale * noise, the reparameterisation trick."""
        return self.mean + self.scale * jax.random.normal(key, self.mean.shape)

    def sample_and_log_prob(
        self, key: Key[Array, ""], samples: int | None = None
    ) -> tuple[Float[Array, "*samples batch latent"], Float[Array, "*samples batch"]]:
        """Draws codes of each example as `sample` does, and gives their log-densities in nats, from the noise itself.

        Args:
            key: the key of the draw.
            samples: the number of codes for each example, which have an axis of their own; None: one, without it.
        """
        mean, scale = self.mean, self.scale
        if samples is not None:
            mean, scale = (jnp.broadcast_to(each[None], (samples, *each.shape)) for each in (mean, scale))
        noise = jax.random.normal(key, mean.shape)
        log_density = -jnp.sum(0.5 * jnp.square(noise) + jnp.log(scale) + 0.5 * LOG_2_PI, axis=-1)
        return mean + scale * noise, log_density

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the log-density of one code for each example, in nats."""
        return jnp.sum(normal_log_density(z, self.mean, self.scale), axis=1)

    def fixed(self) -> "Normal":
        """Returns the same distribution without a gradient of its parameters."""
        return jax.lax.stop_gradient(self)

    def log_prob_each(self, z: Float[Array, "n latent"]) -> Float[Array, "n batch"]:
        """Returns the log-density of every code under every row's distribution, `[n, batch]`, in nats."""

        # Written out, (z - m)^2 would be products of matrices, but their difference has no digits left at small scales.
        # Going through the dimensions needs no array of [n, batch, latent], nor does its gradient, which repeats them.
        @jax.checkpoint
        def add(squares: Array, dimension: tuple[Array, Array, Array]) -> tuple[Array, None]:
            z, mean, precision = dimension
            return squares + jnp.square((z[:, None] - mean[None]) * precision[None]), None

        nothing = jnp.zeros((len(z), len(self.mean)), z.dtype)
        squares, _ = jax.lax.scan(add, nothing, (z.T, self.mean.T, 1 / self.scale.T))
        return -0.5 * squares - jnp.sum(jnp.log(self.scale) + 0.5 * LOG_2_PI, axis=1)[None]

    def kl(self, prior: Any) -> Float[Array, " batch"] | None:
        """Returns KL(self || prior) of each example in nats for a standard normal prior, and None for any other."""
        if traits.STANDARD_NORMAL not in prior.meets:
            return None
        return jnp.sum(self.kl_to_standard(), axis=1)

    def kl_to_standard(self) -> Float[Array, "batch latent"]:
        """Returns KL(self || N(0, 1)) of each dimension, in nats: Kingma & Welling 2014, appendix B."""
        return 0.5 * (jnp.square(self.mean) + jnp.square(self.scale) - 1) - jnp.log(self.scale)


def normal_log_density(
    x: Float[Array, "*shape"], mean: Float[Array, "*shape"], scale: Float[Array, "..."]
) -> Float[Array, "*shape"]:
    """Returns log N(x; mean, scale^2) elementwise, in nats.

    Args:
        x: the values.
        mean: the means.
        scale: the standard deviations, of a shape that broadcasts with `x`.
    """
    return -0.5 * jnp.square((x - mean) / scale) - jnp.log(scale) - 0.5 * LOG_2_PI
