"""Defines a sparsity term whose norm is annealed: from L1, which shrinks codes, towards the number of active units."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import InputError, batch_mean, configurable, positive, static
from aejax.losses.terms import Forward, Term
from aejax.models import traits

REMEMBERED = 10
"""Number of steps over which two norms are compared when one takes the other's place."""


@configurable
class AnnealedLp(Term):
    """Penalises the sum of f^p over an example's code f, for a p that falls in steps from `start` to `end`.

    Karvonen et al. 2024 (Measuring progress in dictionary learning for language model interpretability with board game
    models), section 4. When p changes, the weight is multiplied by the mean of the sum with p before over that with p
    after, over the last 10 steps at most, so that the penalty stays as it was. Evaluation, which compares models, adds
    the term with `start` and `weight` alone.
    """

    of_batch = True
    across_devices = True
    meets = (traits.SPARSE,)
    start: float = positive(default=1.0)
    """p at first."""
    end: float = 0.0
    """p at last, at least 0: at 0 the sum is the number of active units, and has no gradient."""
    begin: int = static(default=15_000)
    """The step at which p changes first."""
    every: int = static(default=1_000)
    """The number of steps between two changes."""
    updates: int = static(default=10)
    """The number of changes."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the sum of each example. Raises `InputError` for numbers of steps or changes that are not positive.

        In training it is that of the step's p.
        """
        if min(self.begin, self.every, self.updates) < 1:
            raise InputError(
                f"AnnealedLp has begin={self.begin}, every={self.every}, updates={self.updates}: give at least 1 each"
            )
        return self._sum(forward, self._stage(forward.step if forward.train else None))

    def contribution(self, value: Float[Array, " batch"], forward: Forward) -> Float[Array, " batch"]:
        """Returns the sum times the weight and the factor that p's changes have led to, and moves that.

        Args:
            value: the sum of each example.
            forward: the forward pass.
        """
        weighted = self.weight_at(forward.step) * value
        if not forward.train:
            return weighted
        factor, past = self._state(forward)
        if forward.step is not None and not forward.model.is_initializing():
            stage = self._stage(forward.step)
            before, after = jnp.sum(past[:, 0]), jnp.sum(past[:, 1])
            changed = stage > self._stage(forward.step - 1)
            factor = jnp.where(changed & (after > 0), factor * before / jnp.where(after > 0, after, 1), factor)
            past = jnp.where(changed, 0, past)
            sums = jnp.stack([batch_mean(value), batch_mean(self._sum(forward, stage + 1))])
            past = jnp.concatenate([past[1:], sums[None]])
        forward.keep((factor, past))
        return jax.lax.stop_gradient(factor) * weighted

    def further(self, forward: Forward) -> dict[str, Float[Array, " batch"]]:
        """Returns the factor of the last step of training."""
        return {"multiplier": jnp.full(len(forward.batch), self._state(forward)[0])}

    def _stage(self, step: Int[Array, ""] | None) -> Any:
        """Returns how many times p has changed."""
        return 0 if step is None else jnp.clip((step - self.begin) // self.every + 1, 0, self.updates)

    def _sum(self, forward: Forward, stage: Any) -> Float[Array, " batch"]:
        p = self.start + (self.end - self.start) * jnp.minimum(stage / self.updates, 1)
        code = jnp.abs(forward.code)
        active = code > 0
        return jnp.sum(jnp.where(active, jnp.where(active, code, 1) ** p, 0), axis=1)

    def _state(self, forward: Forward) -> Any:
        """Returns the factor, and the two sums of each of the last steps: with that step's p and with the next one."""
        return forward.kept((jnp.ones(()), jnp.zeros((REMEMBERED, 2))))
