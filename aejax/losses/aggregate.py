"""Defines terms on the aggregate posterior q(z) = E q(z | x): parts of the KL divergence, estimated from a batch.

Chen et al. 2018 (Isolating sources of disentanglement), equation 2: the mutual information of example and code,
the total correlation of the code's dimensions, and the divergences of single dimensions from the prior add up to
the rate, as estimated from the drawn codes. With a `TotalCorrelation` of weight beta beside the other two, or of
weight beta - 1 beside `KL`, the loss is that of the beta-TCVAE (equation 4, alpha = gamma = 1).
"""

import dataclasses
from typing import Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import Number, configurable, positive, static
from aejax.losses.terms import Forward, Term
from aejax.losses.variational import diagonal, log_posterior
from aejax.models import Normal, normal_log_density, traits

Sampling = Literal["stratified", "weighted"]
"""The names of the estimates of q(z): see `KLPart.sampling`."""


class Densities(NamedTuple):
    """Holds log-densities of the code that was drawn for each example, in nats."""

    posterior: Float[Array, " batch"]
    """log q(z | x), under the example's own posterior."""
    aggregate: Float[Array, " batch"]
    """log q(z), under the aggregate posterior."""
    marginals: Float[Array, " batch"]
    """sum_j log q(z_j), under the aggregate posterior's single dimensions."""
    prior: Float[Array, " batch"]
    """log p(z), under the prior."""


@dataclasses.dataclass(frozen=True)
class KLPart(Term):
    """Measures one of the three parts of the KL divergence, which its subclasses are."""

    of_batch = True
    needs = (traits.PRIOR, traits.NORMAL)
    examples: float | None = positive(default=None)
    """N, the number of examples that an epoch trains on; None: taken from the data when training starts."""
    sampling: Literal["stratified", "weighted"] = static(default="stratified")
    """How q(z) is estimated. `stratified` has no bias before the logarithm is taken; `weighted` is too low, in its
    logarithm by between log batch and log examples nats.
    """

    def resolve(self, examples: int) -> Self:
        """Returns the term with the number of training examples filled in, unless it is set already."""
        return self if self.examples is not None else dataclasses.replace(self, examples=float(examples))

    def densities(self, forward: Forward) -> Densities:
        """Returns the log-densities that the parts are made of; a program with several parts computes them once.

        Raises `ValueError` where the number of examples is not set.
        """
        if self.examples is None:
            raise ValueError(f"{type(self).__name__} has no number of examples: Experiment.resolve takes it from data")
        return densities(forward, self.examples, self.sampling)


@configurable
class MutualInformation(KLPart):
    """Measures log q(z | x) - log q(z): what a code tells about which example it came from (index-code MI)."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of each example's code, in nats; the mean estimates the mutual information."""
        values = self.densities(forward)
        return values.posterior - values.aggregate


@configurable
class TotalCorrelation(KLPart):
    """Measures log q(z) - sum_j log q(z_j): how far the code's dimensions are from independent. Watanabe 1960."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of each example's code, in nats; the mean estimates the total correlation."""
        values = self.densities(forward)
        return values.aggregate - values.marginals


@configurable
class DimensionwiseKL(KLPart):
    """Measures sum_j log q(z_j) - log p(z): how far each dimension by itself is from a factorial prior."""

    meets = (traits.RATE,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of each example's code, in nats; the mean estimates the sum of the divergences."""
        values = self.densities(forward)
        return values.marginals - values.prior


def densities(forward: Forward, examples: Number, sampling: Sampling) -> Densities:
    """Returns the log-densities of the codes that were drawn; the batch's posteriors stand for those of all examples.

    Args:
        forward: the forward pass.
        examples: N, the number of examples that an epoch trains on.
        sampling: how q(z) is estimated.
    """
    posterior = diagonal(forward)
    aggregate, marginals = mixture_log_density(
        forward.code, posterior, log_weights(len(forward.code), examples, sampling)
    )
    prior = forward.model.prior_log_prob(forward.code)
    return Densities(log_posterior(forward), aggregate, marginals, prior)


def mixture_log_density(
    z: Float[Array, "n latent"], posteriors: Normal, weights: Float[Array, "n examples"]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Returns log q(z) and sum_j log q(z_j) of each code in nats, where q is a mixture of posteriors.

    Args:
        z: the codes.
        posteriors: the posteriors that are mixed.
        weights: the logarithm of each posterior's weight for each code; `[1, examples]` gives all codes the same.
    """

    def pairs(values: Float[Array, "_ _ latent"]) -> Float[Array, "n examples latent"]:
        return jnp.broadcast_to(values, (*weights.shape, z.shape[1]))

    each = normal_log_density(pairs(z[:, None]), pairs(posteriors.mean[None]), pairs(posteriors.scale[None]))
    joint = jax.nn.logsumexp(weights + jnp.sum(each, axis=2), axis=1)
    return joint, jnp.sum(jax.nn.logsumexp(weights[:, :, None] + each, axis=1), axis=1)


def log_weights(batch: int, examples: Number, sampling: Sampling) -> Float[Array, "batch batch"]:
    """Returns the logarithm of how much the posterior of column j counts in q(z) for the code of row i.

    Weighted: 1 / (N batch), equation 3. Stratified: 1 / N on the diagonal, because the example is one of N, and an
    equal share of the rest for each other, appendix C.2. There one of the others, any one, counts for less than the
    rest; this is the mean over which one that is, equally free of bias and with less variance.

    Args:
        batch: the number of examples in the batch.
        examples: N, the number of examples that an epoch trains on.
        sampling: which of the two.
    """
    n = jnp.asarray(examples, jnp.float32)
    if sampling == "weighted":
        return jnp.full((batch, batch), -jnp.log(n * batch))
    other = (1 - 1 / n) / max(batch - 1, 1)
    return jnp.log(jnp.where(jnp.eye(batch, dtype=bool), 1 / n, other))
