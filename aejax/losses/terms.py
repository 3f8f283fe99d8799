"""Defines the terms that losses are made of: each gives an array `[batch]`, in nats or its own unit."""

from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import Examples, Number, configurable, static
from aejax.losses.likelihoods import Likelihood
from aejax.models import Autoencoder, Part, Posterior

STATE = "loss"
"""The name of the collection in which terms keep their state."""


class Forward(NamedTuple):
    """Holds one forward pass, as the terms see it."""

    model: Autoencoder
    """The model, bound to its variables."""
    batch: Examples
    """The examples: `batch.target` is what is to be reconstructed."""
    given: Examples
    """The encoder's input: the examples, their `x` corrupted where the loss says so."""
    posterior: Posterior
    """The posterior over codes that the encoder inferred."""
    code: Float[Array, "batch latent"]
    """The code that was drawn from the posterior."""
    raw: Float[Array, "batch *raw"]
    """The decoder's output for that code."""
    likelihood: Likelihood
    """The likelihood, which gives the decoder's output its meaning."""
    train: bool = False
    """Whether the model is being trained."""
    step: Int[Array, ""] | None = None
    """The step of training; None in evaluation."""
    log_posterior: Float[Array, " batch"] | None = None
    """log q(z | x) of the code that was drawn, in nats; None where the latent does not meet `DENSITY`."""
    rates: Float[Array, "batch layers"] | None = None
    """The rate of each stochastic layer given those drawn above it, in nats; None where the posterior says its rate."""
    term: str = ""
    """The name of the term that is computed."""

    def kept(self, initial: Any) -> Any:
        """Returns what the term keeps from step to step, or `initial` before it has kept anything.

        `initial` is a tree of arrays, whose shapes stay as they are.
        """
        return self.model.get_variable(STATE, self.term, initial)

    def keep(self, state: Any) -> None:
        """Keeps the term's state until the next step of training; in evaluation, nothing is kept.

        What it is made of must be of the whole batch: see `core.batch_mean`.
        """
        if self.train:
            self.model.put_variable(STATE, self.term, jax.lax.stop_gradient(state))


@configurable
class Term(Part):
    """Computes a named part of a loss; the base of all terms."""

    of_batch: ClassVar[bool] = False
    """Whether an example's value depends on the other examples of its batch.

    A device with only a share of the batch does not see the rest, so `pmap` refuses such terms, but for those that meet
    it across devices.
    """
    across_devices: ClassVar[bool] = False
    """Whether what it needs of the other examples is a sum or a mean over all devices: see `core.batch_sum`."""
    weight: float = 1.0
    """Factor on this term in the total; the term is logged without it."""
    warmup_steps: float = 0.0
    """Number of training steps over which the weight rises in a line to `weight`. Bowman et al. 2016, section 3.1."""
    monitored: bool = static(default=False, kw_only=True)
    """Whether the term is only logged: it adds nothing to the total, and no gradient knows of it."""

    @property
    def unit(self) -> str:
        """The unit of the term's values, one word, with which the name of its metric ends."""
        return "nats"

    def resolve(self, examples: int) -> Self:
        """Returns the term with the number of examples that an epoch trains on filled in, if it uses that."""
        return self

    def weight_at(self, step: Int[Array, ""] | None) -> Number:
        """Returns the weight at a step of training, counted from 0; for None, the weight that warm-up ends at."""
        return self.weight if step is None else self.weight * ramp(step, self.warmup_steps)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the term's value for each example, which is logged."""
        raise NotImplementedError

    def contribution(self, value: Float[Array, " batch"], forward: Forward) -> Float[Array, " batch"]:
        """Returns what the term adds to the total for each example: its value times its weight, unless it says more.

        Args:
            value: what the term gave.
            forward: the forward pass.
        """
        return self.weight_at(forward.step) * value

    def further(self, forward: Forward) -> dict[str, Float[Array, " batch"]]:
        """Returns what else is logged of each example, by names that end with a unit; it is called last."""
        return {}


@configurable
class Reconstruction(Term):
    """Measures -log p(x | z), which is the cross-entropy for Bernoulli, and a squared error for Gaussian.

    For a Gaussian of scale 1 it is half the squared error plus a constant.
    """

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the negative log-likelihood of each example, in nats."""
        return -forward.likelihood.log_prob(forward.batch.target, forward.raw)


def ramp(step: Int[Array, ""], steps: Number) -> Float[Array, ""]:
    """Returns a factor that rises in a line from 1 / steps at step 0 to 1, and then stays there: it anneals weights."""
    return jnp.minimum((step.astype(jnp.float32) + 1) / jnp.maximum(steps, 1.0), 1.0)
