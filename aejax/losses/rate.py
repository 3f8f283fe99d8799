"""Defines other terms on the rate: a capacity that it is held at, or a few nats that are free in each dimension."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import batch_mean, configurable, positive
from aejax.losses.terms import Forward, Term, ramp
from aejax.losses.variational import KL, rates
from aejax.models import traits


@configurable
class Capacity(Term):
    """Holds each example's rate at C nats by |KL(q(z | x) || p(z)) - C|, where C rises in a line to `capacity`.

    It replaces `KL`. Burgess et al. 2018 (Understanding disentangling in beta-VAE), equation 8.
    """

    needs = KL.needs
    meets = (traits.RATE,)
    weight: float = 1000.0
    """gamma, the weight of the distance from C."""
    capacity: float = 25.0
    """The value that C ends at, in nats; evaluation uses it."""
    capacity_steps: float = 100_000.0
    """Number of training steps over which C rises."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns how far each example's rate is from C, in nats."""
        share = 1.0 if forward.step is None else ramp(forward.step, self.capacity_steps)
        return jnp.abs(KL()(forward) - self.capacity * share)


@configurable
class FreeBits(Term):
    """Measures KL(q(z | x) || p(z)) with a floor, below which a part's mean rate over the batch costs no less.

    It replaces `KL`. A part is a dimension of the code, or a layer of a top-down hierarchy. Kingma et al. 2016
    (Improved variational inference with inverse autoregressive flow), equation 15.
    """

    of_batch = True
    across_devices = True
    needs = (traits.PRIOR, traits.RATE_PARTS)
    meets = (traits.RATE,)
    free: float = positive(default=0.1)
    """lambda, the floor: the nats that every part may spend at no cost."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the example's own rate in each part whose mean is above the floor, plus the floor in the others.

        The sum is in nats.
        """
        rate = rates(forward)
        spends = batch_mean(rate)[None] > self.free
        return jnp.sum(jnp.where(spends, rate, self.free), axis=1)
