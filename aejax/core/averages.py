"""Defines averages of the parameters over the updates of training, which are used in place of the latest ones."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core.settings import Number, configurable, positive


@configurable
class Average:
    """Says how much each update counts in the average of the parameters after it."""

    kept: ClassVar[bool] = True
    """Whether an average is kept beside the latest parameters, of the same size."""

    def share(self, update: Float[Array, ""], updates: Number) -> Float[Array, ""]:
        """Returns the weight of the newest parameters; the average before them has the rest.

        Args:
            update: the number of the update, counted from 1, where the weight is 1.
            updates: the number of updates of the whole run.
        """
        raise NotImplementedError


@configurable
class NoAverage(Average):
    """Keeps no average: the latest parameters are used."""

    kept = False

    def share(self, update: Float[Array, ""], updates: Number) -> Float[Array, ""]:
        """Returns 1: the newest parameters are all that counts.

        Args:
            update: the number of the update.
            updates: not used.
        """
        return jnp.ones_like(update)


@configurable
class ExponentialAverage(Average):
    """Lets the weight of older parameters fall exponentially: Polyak & Juditsky 1992, as it is used in deep learning.

    The bias towards the start is corrected as in Kingma & Ba 2015, section 3: the weights of all updates so far add up
    to 1, so that the initial parameters count for nothing.
    """

    decay: float = positive(default=0.999, below=1.0)
    """The share of its weight that an update keeps at the next one."""

    def share(self, update: Float[Array, ""], updates: Number) -> Float[Array, ""]:
        """Returns (1 - decay) / (1 - decay^t) at the update t.

        Args:
            update: the number of the update, counted from 1.
            updates: not used.
        """
        decay = jnp.asarray(self.decay, jnp.float32)
        return (1 - decay) / (1 - decay**update)


@configurable
class TailAverage(Average):
    """Takes the mean of the parameters after each update of the last part of training, all with one weight.

    Polyak & Juditsky 1992; Jain et al. 2018 (Parallelizing stochastic gradient descent for least squares regression),
    section 2.
    """

    tail: float = positive(default=0.25)
    """The share of the run's updates that are averaged; 1: all of them."""

    def share(self, update: Float[Array, ""], updates: Number) -> Float[Array, ""]:
        """Returns 1 before the tail, and in it 1 / n at its update n.

        Args:
            update: the number of the update, counted from 1.
            updates: the number of updates of the whole run.
        """
        before = jnp.floor(jnp.maximum(1 - jnp.asarray(self.tail, jnp.float32), 0) * updates)
        return 1 / jnp.maximum(update - before, 1)
