"""Measures the parts of a variational autoencoder's bound, and how much of its code it uses.

The parts of the rate follow Hoffman & Johnson 2016 (ELBO surgery), section 2: mutual information of example and
code, and the divergence of the aggregate posterior q(z) from the prior. Chen et al. 2018, equation 2, divide the
latter further where the prior's dimensions are independent. q(z) mixes the posteriors of the part that is measured,
so that no mutual information is above the log of their number.
"""

from dataclasses import field
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.core import Examples, configurable, spread
from aejax.losses import KL, Bernoulli, Likelihood, Loss, Reconstruction, log_posterior, mixture_log_density
from aejax.models import Autoencoder, Normal, Part, require, traits

ACTIVE = 0.01
"""A unit is active if the variance of its posterior mean is above this: Burda et al. 2016, section 5.1."""

MOST_CODES = 1000
"""Largest number of codes at which q(z) is evaluated, of examples spread evenly over the part.

q(z) itself is made of the posteriors of all examples.
"""


@configurable
class Bound(Part):
    """Measures the negative evidence lower bound and its two parts, with every weight 1, and its posterior."""

    needs = (traits.PRIOR, traits.DENSITY)
    likelihood: Likelihood = field(default_factory=Bernoulli)
    """The likelihood, which gives the decoder's output its meaning."""

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, "batch *latent"]]:
        """Returns the bound and its parts for each example, in nats, and the posterior that they rest on.

        The parts of `negative_elbo_nats` are `distortion_nats` and `rate_nats`; those of the rate of a top-down
        hierarchy are `rate_layer_{number}_nats`, the lowest first. Of the code that was drawn, `prior` is log p(z)
        and `posterior` log q(z | x). `mean`, `code` and (of a normal posterior) `scale` are `[batch, latent]`. `model`
        is bound to its variables.

        Raises `InputError` for a model without densities over codes.
        """
        require(self, model)
        forward = Loss(self.likelihood).forward(model, batch)
        distortion, rate = Reconstruction()(forward), KL()(forward)
        terms = {"negative_elbo_nats": distortion + rate, "distortion_nats": distortion, "rate_nats": rate}
        layers = [] if forward.rates is None else list(forward.rates.T)
        terms |= {f"rate_layer_{number}_nats": layer for number, layer in enumerate(layers, 1)}
        scale = {"scale": cast(Normal, forward.posterior).scale} if traits.NORMAL in model.meets else {}
        densities = {"prior": model.prior_log_prob(forward.code), "posterior": log_posterior(forward)}
        return terms | densities | {"mean": forward.posterior.mean, "code": forward.code} | scale


def active_units(mean: Float[np.ndarray, "n latent"], deviation: float = 1.0) -> np.ndarray:
    """Returns, for each dimension, whether its posterior mean varies with the example by more than `ACTIVE`.

    Args:
        mean: the means.
        deviation: the standard deviation of a dimension under the prior, in whose square the variance is counted.
    """
    return mean.var(axis=0, dtype=np.float64) > ACTIVE * deviation**2


def rate_parts(values: dict[str, Float[np.ndarray, "n *latent"]], factorial: bool) -> dict[str, float]:
    """Returns the parts of the rate in nats, estimated from at most `MOST_CODES` drawn codes.

    The parts are `mutual_information_nats` and `marginal_kl_nats`, KL(q(z) || p(z)), which add up to the rate of these
    codes. With a factorial prior the latter is also given as its own parts, `total_correlation_nats` and
    `dimension_kl_nats`. `values` are those of `Bound` with a normal posterior, for all examples of a part.
    """
    mean, scale, code = (values[name] for name in ("mean", "scale", "code"))
    chosen = spread(len(code), MOST_CODES)
    aggregate, marginals = jax.device_get(_mixed(mean, scale, code[chosen]))
    own, prior = values["posterior"][chosen], values["prior"][chosen]
    parts = {"mutual_information": own - aggregate, "marginal_kl": aggregate - prior}
    if factorial:
        parts |= {"total_correlation": aggregate - marginals, "dimension_kl": marginals - prior}
    return {f"{name}_nats": float(part.mean(dtype=np.float64)) for name, part in parts.items()}


@jax.jit
def _mixed(mean: Float[Array, "n latent"], scale: Float[Array, "n latent"], codes: Float[Array, "codes latent"]) -> Any:
    """Evaluates `mixture_log_density` with equal weights at codes, one after the other, which needs less memory."""
    even = jnp.full((1, len(mean)), -jnp.log(len(mean)))
    posteriors = Normal(mean, scale)
    joint, marginals = jax.lax.map(lambda z: mixture_log_density(z[None], posteriors, even), codes)
    return joint[:, 0], marginals[:, 0]
