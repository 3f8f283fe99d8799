"""Defines the rate, the KL divergence of a VAE: with `Reconstruction` it adds up to the negative ELBO."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, configurable
from aejax.losses.terms import Forward, Term
from aejax.models import Density, Normal, StandardNormal, VariationalAutoencoder


@configurable
class KL(Term):
    """Measures the rate KL(q(z | x) || p(z)), in closed form for a normal posterior and a standard normal prior.

    Elsewhere the one code that was drawn estimates it. Kingma & Welling 2014, equations 3 and 7. A weight other than 1
    is the beta of Higgins et al. 2017, equation 4; `warmup_steps` anneals it.
    """

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the rate of each example in nats. Raises `InputError` for a model without densities over codes."""
        model, posterior = variational(forward)
        if isinstance(model.prior, StandardNormal) and isinstance(posterior, Normal):
            return jnp.sum(posterior.kl_to_standard(), axis=1)
        return posterior.log_prob(forward.code) - model.prior_log_prob(forward.code)


def variational(forward: Forward) -> tuple[VariationalAutoencoder, Density]:
    """Returns the model and the posterior. Raises `InputError` where one of them has no density over codes."""
    model, posterior = forward.model, forward.posterior
    if not isinstance(model, VariationalAutoencoder) or not isinstance(posterior, Density):
        raise InputError(
            f"the terms of a variational bound need a VariationalAutoencoder with a latent that has a density, "
            f"such as GaussianLatent; this is a {type(model).__name__} with {type(model.latent).__name__}"
        )
    return model, posterior


def diagonal(forward: Forward) -> tuple[VariationalAutoencoder, Normal]:
    """Returns the model and the posterior. Raises `InputError` where the posterior is not a diagonal normal."""
    model, posterior = variational(forward)
    if not isinstance(posterior, Normal):
        raise InputError(
            f"this term takes a code's dimensions one by one, which the posterior of {type(model.latent).__name__} "
            "does not let it do: use GaussianLatent"
        )
    return model, posterior
