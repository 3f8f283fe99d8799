"""Defines constraints: terms whose weight follows from how far a value is from its target."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import batch_mean, configurable, positive
from aejax.losses.sparsity import CodeL1
from aejax.losses.terms import Forward, Reconstruction, Term
from aejax.models import Trait

BOUND = 1e6
"""The largest multiplier of a constraint; the smallest is its inverse."""

_FEWEST = 1e-2
"""The least share of its target that a number of active units counts as, whose logarithm is taken."""


@dataclass(frozen=True)
class Steered(Term):
    """Measures what another term does, and steers how much that counts in the loss: the base of controllers."""

    term: Term = field(default_factory=Reconstruction)
    """The inner term, whose own weight is not used."""

    @property
    def unit(self) -> str:
        """The unit of the inner term."""
        return self.term.unit

    @property
    def needs(self) -> tuple[Trait, ...]:
        """What the inner term needs."""
        return self.term.needs

    @property
    def meets(self) -> tuple[Trait, ...]:
        """What the inner term has."""
        return self.term.meets

    def resolve(self, examples: int) -> Self:
        """Returns this term with the number of training examples filled in its inner one, if that uses it."""
        return replace(self, term=self.term.resolve(examples))

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of the inner term."""
        return self.term(forward)


@configurable
class GECO(Steered):
    """Holds the mean of a term at or below `target`, by a Lagrange multiplier that follows how far it is from it.

    Rezende & Viola 2018 (Taming VAEs), algorithm 1: beside `KL`, the rate is minimised under a constraint on the
    reconstruction. With C the mean over the batch of the term's value less the target, and its moving average m, the
    multiplier l becomes l exp(rate m) after each step, whose gradient has the multiplier before it. Evaluation, which
    compares models, adds `weight` times the value in place of the constraint: it does not move with the multiplier.
    """

    term: Term = field(default_factory=Reconstruction)
    """The term that is constrained; its own weight is not used."""
    target: float = 100.0
    """The value, in the term's unit, that its mean is to come down to."""
    decay: float = positive(default=0.99, below=1.0)
    """alpha, the share of the moving average that a step keeps."""
    rate: float = positive(default=1e-4)
    """How fast the multiplier follows: the change of its logarithm in a step, per unit of distance from the target."""

    def contribution(self, value: Float[Array, " batch"], forward: Forward) -> Float[Array, " batch"]:
        """Returns the multiplier times the distance from the target, and moves the multiplier.

        Args:
            value: the value of the term that is constrained.
            forward: the forward pass.
        """
        if not forward.train:
            return self.weight * value
        multiplier, average = self._state(forward)
        if not forward.model.is_initializing():
            now = batch_mean(value) - self.target
            first = jnp.logical_not(jnp.isfinite(average))
            average = jnp.where(first, now, self.decay * average + (1 - self.decay) * now)
            moved = jnp.clip(multiplier * jnp.exp(self.rate * average), 1 / BOUND, BOUND)
        else:
            moved = multiplier
        forward.keep((moved, average))
        return jax.lax.stop_gradient(multiplier) * (value - self.target)

    def further(self, forward: Forward) -> dict[str, Float[Array, " batch"]]:
        """Returns the multiplier after this step."""
        return {"multiplier": jnp.full(len(forward.batch), self._state(forward)[0])}

    def _state(self, forward: Forward) -> Any:
        """Returns the multiplier, and the moving average, which is infinite before the first step."""
        return forward.kept((jnp.ones(()), jnp.full((), jnp.inf)))


@configurable
class TargetL0(Steered):
    """Holds the mean number of active units of an example at `target`, by the weight of a term that makes codes sparse.

    It is a controller of the factor on that weight, (L0 / target)^damping times a factor m that becomes
    m (L0 / target)^rate after each step, for the mean L0 over the batch; m begins at 1. What follows at once keeps what
    adds up from swinging. So a target is asked for in place of a weight, as for latents that keep k units. Evaluation,
    which compares models, adds the term with `weight` alone: it does not move with the factor.
    """

    term: Term = field(default_factory=CodeL1)
    """The term that makes codes sparse; its own weight is not used."""
    target: float = positive(default=32.0)
    """The mean number of active units of an example."""
    rate: float = positive(default=3e-3)
    """The integral gain: the change of log m in a step, per logarithm of L0 / target."""
    damping: float = 0.5
    """The proportional gain, at least 0."""

    def contribution(self, value: Float[Array, " batch"], forward: Forward) -> Float[Array, " batch"]:
        """Returns the value times the weight and the factor, and moves the factor.

        Args:
            value: the value of the term.
            forward: the forward pass.
        """
        weighted = self.weight_at(forward.step) * value
        if not forward.train:
            return weighted
        integral = self._state(forward)[0]
        active = batch_mean(jnp.sum(forward.code != 0, axis=1).astype(jnp.float32))
        away = jnp.log(jnp.maximum(active / self.target, _FEWEST))
        logarithm = integral + self.damping * away
        if not forward.model.is_initializing():
            integral = jnp.clip(integral + self.rate * away, -math.log(BOUND), math.log(BOUND))
        forward.keep((integral, logarithm))
        return jax.lax.stop_gradient(jnp.exp(logarithm)) * weighted

    def further(self, forward: Forward) -> dict[str, Float[Array, " batch"]]:
        """Returns the factor of the last step of training."""
        return {"multiplier": jnp.full(len(forward.batch), jnp.exp(self._state(forward)[1]))}

    def _state(self, forward: Forward) -> Any:
        """Returns the logarithms of m and of the factor of the last step."""
        return forward.kept((jnp.zeros(()), jnp.zeros(())))
