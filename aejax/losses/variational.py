"""Defines the rate, the KL divergence of a VAE: with `Reconstruction` it adds up to the negative ELBO."""

from typing import cast

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable
from aejax.losses.terms import Forward, Term
from aejax.models import Density, Evaluable, Normal, traits


@configurable
class KL(Term):
    """Measures the rate KL(q(z | x) || p(z)), in closed form where the two have one, as normal and standard normal.

    Of a top-down hierarchy it is the sum over layers, each in closed form given the layers that were drawn above it.
    Elsewhere the one code that was drawn estimates it. Kingma & Welling 2014, equations 3 and 7. A weight other than 1
    is the beta of Higgins et al. 2017, equation 4; `warmup_steps` anneals it.
    """

    needs = (traits.PRIOR, traits.DENSITY)
    meets = (traits.RATE,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the rate of each example in nats."""
        if forward.rates is not None:
            return jnp.sum(forward.rates, axis=1)
        model = forward.model
        assert model.prior is not None  # `needs` says so
        exact = density(forward).kl(model.prior)
        return log_posterior(forward) - model.prior_log_prob(forward.code) if exact is None else exact


def density(forward: Forward) -> Density:
    """Returns the posterior of a model that meets `DENSITY`."""
    return cast(Density, forward.posterior)


def evaluable(forward: Forward) -> Evaluable:
    """Returns the posterior of a model that meets `EVALUABLE`."""
    return cast(Evaluable, forward.posterior)


def rates(forward: Forward) -> Float[Array, "batch parts"]:
    """Returns the rate of each stochastic layer, or of each dimension, of a model that meets `RATE_PARTS`, in nats."""
    return diagonal(forward).kl_to_standard() if forward.rates is None else forward.rates


def log_posterior(forward: Forward) -> Float[Array, " batch"]:
    """Returns log q(z | x) of the code that was drawn for each example, of a model that meets `DENSITY`."""
    assert forward.log_posterior is not None
    return forward.log_posterior


def diagonal(forward: Forward) -> Normal:
    """Returns the posterior of a model that meets `NORMAL`."""
    return cast(Normal, forward.posterior)
