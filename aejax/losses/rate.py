"""Other ways to hold the rate: at a capacity, or not below a few free nats in each dimension."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, configurable, positive
from aejax.losses.terms import Forward, Term, ramp
from aejax.losses.variational import KL, diagonal
from aejax.models import StandardNormal


@configurable
class Capacity(Term):
    """|KL(q(z | x) || p(z)) - C|, C rising in a line to `capacity`: each example is to spend just that many nats.

    Burgess et al. 2018 (Understanding disentangling in beta-VAE), equation 8, in place of `KL`.
    """

    weight: float = 1000.0
    """gamma."""
    capacity: float = 25.0
    """What C ends at, in nats; evaluation uses it."""
    capacity_steps: float = 100_000.0
    """Steps of training over which C rises."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """How far each example's rate is from C."""
        share = 1.0 if forward.step is None else ramp(forward.step, self.capacity_steps)
        return jnp.abs(KL()(forward) - self.capacity * share)


@configurable
class FreeBits(Term):
    """KL(q(z | x) || p(z)) with a floor below which the batch's mean rate of a dimension costs no less.

    Kingma et al. 2016 (Improved variational inference with inverse autoregressive flow), equation 15,
    with one dimension a group, in place of `KL`. Raises `InputError` without a rate for each dimension.
    """

    of_batch = True
    free: float = positive(default=0.1)
    """lambda: nats that every dimension may spend."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """An example's own rate in the dimensions whose mean is above the floor, and the floor in the others."""
        model, posterior = diagonal(forward)
        if not isinstance(model.prior, StandardNormal):
            raise InputError(
                f"FreeBits needs the rate of each dimension in closed form, which {type(model.prior).__name__} does "
                "not have: use StandardNormal"
            )
        rate = posterior.kl_to_standard()
        spends = jnp.mean(rate, axis=0, keepdims=True) > self.free
        return jnp.sum(jnp.where(spends, rate, self.free), axis=1)
