"""Defines the variational autoencoder, which adds a prior over codes to the autoencoder."""

from typing import Self

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import known
from aejax.models import traits
from aejax.models.autoencoder import Autoencoder, EncodeInputs, Prior
from aejax.models.distributions import normal_log_density
from aejax.models.traits import Trait


@known
class StandardNormal(Prior):
    """Models codes as standard normal: independent dimensions of mean 0 and variance 1, with nothing to learn."""

    meets = (traits.PRIOR, traits.STANDARD_NORMAL)

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """Returns the normal log-density of each code, in nats."""
        return jnp.sum(normal_log_density(z, jnp.zeros_like(z), jnp.ones_like(z)), axis=1)

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws normal noise.

        Args:
            key: the key of the draw.
            shape: the number of codes and their size, (n, latent).
            encode: not used.
        """
        return jax.random.normal(key, shape)


@known
class VariationalAutoencoder(Autoencoder):
    """Models p(z) p(x | z), and the approximate posterior q(z | x) by its latent.

    Kingma & Welling 2014; Rezende et al. 2014.
    """

    prior: Prior = StandardNormal()
    """The distribution p(z) of codes before any example is seen."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits of all parts, and a rate by dimension where posterior and prior have independent normals."""
        met = super().meets
        return (*met, traits.RATE_PARTS) if {traits.NORMAL, traits.STANDARD_NORMAL} <= {*met} else met

    @nn.nowrap
    def resolve(self, shape: tuple[int, ...], raw_shape: tuple[int, ...]) -> Self:
        """Returns the model for examples of `shape`, with that shape filled in for the prior too."""
        return super().resolve(shape, raw_shape).clone(prior=self.prior.resolve(shape))

    def prior_log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns log p(z) of each code, in nats."""
        return self.prior.log_prob(z, self.encode)

    def sample_prior(self, key: Key[Array, ""], n: int) -> Float[Array, "n latent"]:
        """Draws `n` codes from p(z)."""
        return self.prior.sample(key, (n, self.latent.size), self.encode)
