"""The variational autoencoder: an autoencoder that also says how its codes are distributed beforehand."""

from collections.abc import Callable
from typing import Self

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import known
from aejax.models.autoencoder import Autoencoder, Posterior
from aejax.models.distributions import normal_log_density

EncodeInputs = Callable[[Float[Array, "n *shape"]], Posterior]


class Prior(nn.Module):
    """p(z). `encode` is the model's own, for priors that are made of posteriors."""

    @nn.nowrap
    def for_data(self, shape: tuple[int, ...]) -> Self:
        """The prior with the shape of one example filled in, where it has a use for it."""
        return self

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """log p(z) of each code, in nats."""
        raise NotImplementedError

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws codes, `shape` being (n, latent)."""
        raise NotImplementedError


@known
class StandardNormal(Prior):
    """Independent dimensions of zero mean and unit variance; nothing is learned."""

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """The normal log-density."""
        return jnp.sum(normal_log_density(z, jnp.zeros_like(z), jnp.ones_like(z)), axis=1)

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Normal noise."""
        return jax.random.normal(key, shape)


@known
class VariationalAutoencoder(Autoencoder):
    """p(z) p(x | z), and its latent's approximate posterior q(z | x). Kingma & Welling 2014; Rezende et al. 2014."""

    prior: Prior = StandardNormal()

    @nn.nowrap
    def for_data(self, shape: tuple[int, ...], raw_shape: tuple[int, ...]) -> Self:
        """Its prior's shape filled in, too."""
        return super().for_data(shape, raw_shape).clone(prior=self.prior.for_data(shape))

    def prior_log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """log p(z) of each code, in nats."""
        return self.prior.log_prob(z, self.encode)

    def sample_prior(self, key: Key[Array, ""], n: int) -> Float[Array, "n latent"]:
        """Draws `n` codes from p(z)."""
        return self.prior.sample(key, (n, self.latent.size), self.encode)
