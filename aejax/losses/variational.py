"""Defines the rate, the KL divergence of a VAE: with `Reconstruction` it adds up to the negative ELBO."""

from typing import cast

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable
from aejax.losses.terms import Forward, Term
from aejax.models import Density, Normal, traits


@configurable
class KL(Term):
    """Measures the rate KL(q(z | x) || p(z)), in closed form for a normal posterior and a standard normal prior.

    Elsewhere the one code that was drawn estimates it. Kingma & Welling 2014, equations 3 and 7. A weight other than 1
    is the beta of Higgins et al. 2017, equation 4; `warmup_steps` anneals it.
    """

    needs = (traits.PRIOR, traits.DENSITY)
    meets = (traits.RATE,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the rate of each example in nats."""
        if {traits.STANDARD_NORMAL, traits.NORMAL} <= {*forward.model.meets}:
            return jnp.sum(diagonal(forward).kl_to_standard(), axis=1)
        return density(forward).log_prob(forward.code) - forward.model.prior_log_prob(forward.code)


def density(forward: Forward) -> Density:
    """Returns the posterior of a model that meets `DENSITY`."""
    return cast(Density, forward.posterior)


def diagonal(forward: Forward) -> Normal:
    """Returns the posterior of a model that meets `NORMAL`."""
    return cast(Normal, forward.posterior)
