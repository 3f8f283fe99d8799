"""What a variational autoencoder's bound is made of, how much of its code it uses, and how likely it holds examples.

The parts of the rate follow Hoffman & Johnson 2016 (ELBO surgery), section 2: mutual information of
example and code, and the divergence of the aggregate posterior q(z) from the prior; Chen et al. 2018,
equation 2, divide the latter further where the prior's dimensions are independent. q(z) mixes the
posteriors of the part that is measured, so that no mutual information is above the log of their number.
"""

from dataclasses import field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.core import Examples, configurable
from aejax.losses import KL, Bernoulli, Likelihood, Loss, Reconstruction, mixture_log_density
from aejax.models import Normal, VariationalAutoencoder

ACTIVE = 0.01
"""A unit is active where the variance of its posterior mean is above this: Burda et al. 2016, section 5.1."""

MOST_CODES = 1000
"""Codes at which q(z) is asked for, of examples spread evenly over the part; all its posteriors make up q(z)."""


@configurable
class Bound:
    """The negative evidence lower bound in its two parts, every weight 1, and the posterior that it rests on."""

    likelihood: Likelihood = field(default_factory=Bernoulli)

    def __call__(self, model: VariationalAutoencoder, batch: Examples) -> dict[str, Float[Array, "batch *latent"]]:
        """In nats of each example; `mean`, `code` and, of a normal posterior, `scale` have an axis of latents."""
        forward = Loss(self.likelihood).forward(model, batch)
        distortion, rate = Reconstruction()(forward), KL()(forward)
        terms = {"negative_elbo_nats": distortion + rate, "distortion_nats": distortion, "rate_nats": rate}
        scale = {"scale": forward.posterior.scale} if isinstance(forward.posterior, Normal) else {}
        prior = {"prior": model.prior_log_prob(forward.code)}
        return terms | prior | {"mean": forward.posterior.mean, "code": forward.code} | scale


def active_units(mean: Float[np.ndarray, "n latent"]) -> np.ndarray:
    """Which dimensions' posterior means vary with the example."""
    return mean.var(axis=0, dtype=np.float64) > ACTIVE


def rate_parts(values: dict[str, Float[np.ndarray, "n *latent"]], factorial: bool) -> dict[str, float]:
    """The parts of the rate by at most `MOST_CODES` codes, as which they add up to it, in nats.

    `mutual_information` and `marginal_kl`, KL(q(z) || p(z)); of the latter, with a factorial prior,
    `total_correlation` and `dimension_kl`.
    """
    mean, scale, code = (jnp.asarray(values[name]) for name in ("mean", "scale", "code"))
    chosen = np.linspace(0, len(code) - 1, min(MOST_CODES, len(code))).round().astype(int)
    own = Normal(mean[chosen], scale[chosen]).log_prob(code[chosen])
    aggregate, marginals = _mixed(code[chosen], Normal(mean, scale))
    prior = values["prior"][chosen]
    parts = {"mutual_information": own - aggregate, "marginal_kl": aggregate - prior}
    if factorial:
        parts |= {"total_correlation": aggregate - marginals, "dimension_kl": marginals - prior}
    return {f"{name}_nats": float(np.asarray(part).mean(dtype=np.float64)) for name, part in parts.items()}


@jax.jit
def _mixed(code: Float[Array, "codes latent"], posteriors: Normal) -> Any:
    """`mixed` with all posteriors alike, one code after the other: memory for one code's pairs."""
    even = jnp.full((1, len(posteriors.mean)), -jnp.log(len(posteriors.mean)))
    joint, marginals = jax.lax.map(lambda z: mixture_log_density(z[None], posteriors, even), code)
    return joint[:, 0], marginals[:, 0]
