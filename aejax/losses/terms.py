"""The terms that losses are made of: each is an array `[batch]` in nats per example, before its weight."""

from typing import NamedTuple

from jaxtyping import Array, Float

from aejax.losses.likelihoods import Likelihood
from aejax.models import Autoencoder, Posterior
from aejax.pytree import configurable


class Forward(NamedTuple):
    """One forward pass, as the terms see it."""

    model: Autoencoder
    """Bound to its variables."""
    x: Float[Array, "batch *shape"]
    """The target."""
    given: Float[Array, "batch *shape"]
    """What the encoder saw: the target, corrupted where the loss says so."""
    posterior: Posterior
    code: Float[Array, "batch latent"]
    raw: Float[Array, "batch *raw"]
    likelihood: Likelihood


@configurable
class Term:
    """A named part of a loss."""

    weight: float = 1.0
    """What this term is multiplied by in the total; it is logged without it."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """The term's value for each example, in nats."""
        raise NotImplementedError


@configurable
class Reconstruction(Term):
    """-log p(x | z): the cross-entropy for Bernoulli, the squared error for Gaussian."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Negative log-likelihood."""
        return -forward.likelihood.log_prob(forward.x, forward.raw)
