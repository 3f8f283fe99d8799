"""The terms that losses are made of: each is an array `[batch]` in nats per example, before its weight."""

from typing import ClassVar, NamedTuple, Self

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import Number, configurable
from aejax.losses.likelihoods import Likelihood
from aejax.models import Autoencoder, Posterior


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
    label: Int[Array, " batch"] | None = None
    train: bool = False
    step: Int[Array, ""] | None = None
    """Of training; None in evaluation."""


@configurable
class Term:
    """A named part of a loss."""

    of_batch: ClassVar[bool] = False
    """Whether an example's value depends on the others of its batch, which a device that is given a share does not
    see: `pmap` refuses such terms."""
    weight: float = 1.0
    """What this term is multiplied by in the total; it is logged without it."""
    warmup_steps: float = 0.0
    """Steps of training over which the weight rises in a line to what it is. Bowman et al. 2016, section 3.1."""

    def for_data(self, examples: int) -> Self:
        """The term with what only the data can say filled in: how many examples an epoch trains on."""
        return self

    def weight_at(self, step: Int[Array, ""] | None) -> Number:
        """The weight at a step of training, counted from 0; None: the one it ends at."""
        return self.weight if step is None else self.weight * ramp(step, self.warmup_steps)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """The term's value for each example, in nats."""
        raise NotImplementedError


@configurable
class Reconstruction(Term):
    """-log p(x | z): the cross-entropy for Bernoulli, the squared error for Gaussian."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Negative log-likelihood."""
        return -forward.likelihood.log_prob(forward.x, forward.raw)


def ramp(step: Int[Array, ""], steps: Number) -> Float[Array, ""]:
    """1 / steps at step 0, rising in a line to 1: what is annealed follows it."""
    return jnp.minimum((step.astype(jnp.float32) + 1) / jnp.maximum(steps, 1.0), 1.0)
