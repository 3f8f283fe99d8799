"""Defines a likelihood that outliers hardly affect."""

import math

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import Examples, configurable, positive
from aejax.losses.likelihoods import Likelihood, flat
from aejax.models import traits


@configurable
class Cauchy(Likelihood):
    """Takes raw output as medians, with one fixed scale.

    An error far above the scale costs in proportion to its logarithm, not to its square.
    """

    meets = (traits.CENTRED,)
    scale: float = positive(default=1.0)
    """Half the distance between the quartiles of the distribution of each value."""

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns -log(pi s (1 + ((x - m) / s)^2)), summed over an example's values, in nats."""
        chex.assert_equal_shape([x, raw])
        error = flat(x - raw) / self.scale
        return -jnp.sum(jnp.log1p(jnp.square(error)) + jnp.log(math.pi * jnp.asarray(self.scale)), axis=1)

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the median, as a Cauchy distribution has no mean."""
        return raw

    def raw_for(self, values: Float[Array, "batch *shape"]) -> Float[Array, "batch *raw"]:
        """Returns the values themselves."""
        return values

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws the median plus noise with heavy tails.

        Args:
            raw: the decoder's output.
            batch: not used.
            key: the key of the draw.
        """
        return raw + self.scale * jax.random.cauchy(key, raw.shape)
