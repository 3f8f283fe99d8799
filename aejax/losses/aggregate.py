"""Terms on the aggregate posterior q(z) = E q(z | x): the parts of the KL divergence, estimated from a batch.

Chen et al. 2018 (Isolating sources of disentanglement), equation 2: the mutual information of example
and code, the total correlation of the code's dimensions, and their own divergences from the prior add
up to the rate by samples. With a `TotalCorrelation` of weight beta beside the other two, or of
beta - 1 beside `KL`, the loss is that of the beta-TCVAE (equation 4, alpha = gamma = 1).
"""

import dataclasses
from typing import Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import Number, configurable, positive, static
from aejax.losses.terms import Forward, Term
from aejax.losses.variational import diagonal
from aejax.models import Normal, normal_log_density

Sampling = Literal["stratified", "weighted"]


class Densities(NamedTuple):
    """Of each example's own code, in nats."""

    posterior: Float[Array, " batch"]
    """log q(z | x)."""
    aggregate: Float[Array, " batch"]
    """log q(z)."""
    marginals: Float[Array, " batch"]
    """sum_j log q(z_j)."""
    prior: Float[Array, " batch"]
    """log p(z)."""


@dataclasses.dataclass(frozen=True)
class KLPart(Term):
    """One of the three parts. Raises `InputError` for a posterior that is not a diagonal normal."""

    of_batch = True
    examples: float | None = positive(default=None)
    """N: those that an epoch trains on; None: taken from the data when training starts."""
    sampling: Literal["stratified", "weighted"] = static(default="stratified")
    """How q(z) is estimated: stratified is free of bias before its logarithm is taken; weighted is too low, its
    logarithm by between log batch and log examples nats."""

    def for_data(self, examples: int) -> Self:
        """With so many examples, unless it has been told how many."""
        return self if self.examples is not None else dataclasses.replace(self, examples=float(examples))

    def densities(self, forward: Forward) -> Densities:
        """What the parts are made of; compiled together they share it. Raises `ValueError` where N is not known."""
        if self.examples is None:
            raise ValueError(f"{type(self).__name__} has no number of examples: Experiment.resolve takes it from data")
        return densities(forward, self.examples, self.sampling)


@configurable
class MutualInformation(KLPart):
    """log q(z | x) - log q(z): what a code says about which example it came from (index-code MI)."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Of each example's code, in nats; its mean is the part."""
        values = self.densities(forward)
        return values.posterior - values.aggregate


@configurable
class TotalCorrelation(KLPart):
    """log q(z) - sum_j log q(z_j): how far the code's dimensions are from independent. Watanabe 1960."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Of each example's code, in nats; its mean is the part."""
        values = self.densities(forward)
        return values.aggregate - values.marginals


@configurable
class DimensionwiseKL(KLPart):
    """sum_j log q(z_j) - log p(z): how far each dimension by itself is from a factorial prior."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Of each example's code, in nats; its mean is the part."""
        values = self.densities(forward)
        return values.marginals - values.prior


def densities(forward: Forward, examples: Number, sampling: Sampling) -> Densities:
    """Every density of the codes that were drawn, the batch's posteriors standing for all `examples` ones."""
    model, posterior = diagonal(forward)
    aggregate, marginals = mixture_log_density(
        forward.code, posterior, log_weights(len(forward.code), examples, sampling)
    )
    prior = model.prior_log_prob(forward.code)
    return Densities(posterior.log_prob(forward.code), aggregate, marginals, prior)


def mixture_log_density(
    z: Float[Array, "n latent"], posteriors: Normal, weights: Float[Array, "n examples"]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """log q(z) and sum_j log q(z_j) of each code, q mixing the posteriors by weights that are given as logarithms."""

    def pairs(values: Float[Array, "_ _ latent"]) -> Float[Array, "n examples latent"]:
        return jnp.broadcast_to(values, (*weights.shape, z.shape[1]))

    each = normal_log_density(pairs(z[:, None]), pairs(posteriors.mean[None]), pairs(posteriors.scale[None]))
    joint = jax.nn.logsumexp(weights + jnp.sum(each, axis=2), axis=1)
    return joint, jnp.sum(jax.nn.logsumexp(weights[:, :, None] + each, axis=1), axis=1)


def log_weights(batch: int, examples: Number, sampling: Sampling) -> Float[Array, "batch batch"]:
    """The log of how much the posterior of column j counts in q(z) for the code of row i.

    Weighted: 1 / (N batch), equation 3. Stratified: 1 / N on the diagonal, as the example is one of N,
    and the others share the rest, appendix C.2. There one of them, any one, counts for less than the
    others; this is the mean over which one, as free of bias and with less variance.
    """
    n = jnp.asarray(examples, jnp.float32)
    if sampling == "weighted":
        return jnp.full((batch, batch), -jnp.log(n * batch))
    other = (1 - 1 / n) / max(batch - 1, 1)
    return jnp.log(jnp.where(jnp.eye(batch, dtype=bool), 1 / n, other))
