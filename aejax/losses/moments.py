"""Defines a term for codes whose dimensions are uncorrelated and have unit variance over the batch."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable, static
from aejax.losses.terms import Forward, Term
from aejax.losses.variational import diagonal
from aejax.models import Trait, traits


@configurable
class DIP(Term):
    """Penalises the squared distance of the codes' covariance from the identity: DIP-VAE, Kumar et al. 2018.

    It is used beside the KL divergence. Kind I takes the covariance of the posteriors' means, equation 6. Kind II takes
    that of the codes themselves, equation 7: the covariance of the means plus the mean of the posteriors' variances.
    Covariances are sums over the batch divided by its size.
    """

    of_batch = True
    weight: float = 10.0
    """lambda_od, the weight of the covariances off the diagonal."""
    diagonal: float = 10.0
    """lambda_d / lambda_od, the relative weight of the variances; the paper has 10 for I and 1 for II."""
    kind: Literal["I", "II"] = static(default="I")
    """Which covariance is taken. II needs a posterior of independent normals."""

    @property
    def needs(self) -> tuple[Trait, ...]:
        """For kind II, the posteriors' variances."""
        return (traits.NORMAL,) if self.kind == "II" else ()

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the penalty, the same for every example."""
        mean = forward.posterior.mean
        centred = mean - jnp.mean(mean, axis=0, keepdims=True)
        covariance = centred.T @ centred / len(mean)
        if self.kind == "II":
            covariance += jnp.diag(jnp.mean(jnp.square(diagonal(forward).scale), axis=0))
        variance = jnp.diag(covariance)
        correlated = jnp.sum(jnp.square(covariance - jnp.diag(variance)))
        return jnp.full(len(mean), correlated + self.diagonal * jnp.sum(jnp.square(variance - 1)))
