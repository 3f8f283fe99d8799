"""Defines likelihoods of data on a grid of levels, k / (levels - 1) in [0, 1].

They are probability masses, not densities, so nats convert to bits of a code. Grey levels k of 0 to 255 reach the
loss as the float32 nearest to k / 255, and the integer nearest to 255 x is exactly k again. `Experiment.resolve`
refuses data that lies off the grid.
"""

from dataclasses import dataclass

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from aejax.core import Examples, configurable, static
from aejax.losses.likelihoods import Likelihood, flat, softplus
from aejax.models import positive_scale, traits


@dataclass(frozen=True)
class Levels(Likelihood):
    """Gives a mass to every level of every value; raw output has a last axis of parameters."""

    support = (0.0, 1.0)
    levels: int = static(default=256)
    """Number of levels of each value, with 0 and 1 the lowest and highest."""

    def level(self, x: Float[Array, "*shape"]) -> Int[Array, "*shape"]:
        """Returns the number k of the level nearest to x."""
        return jnp.round(x * (self.levels - 1)).astype(jnp.int32)

    def value(self, level: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Returns the value k / (levels - 1) of level k."""
        return level.astype(jnp.float32) / (self.levels - 1)


@configurable
class Categorical(Levels):
    """Takes raw output as logits of all levels of every value, on a last axis. It knows no order of the levels."""

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the decoder's output, `(*shape, levels)`."""
        return (*shape, self.levels)

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns the logarithm of the softmax at each value's level in nats, summed over an example's values."""
        chex.assert_shape(raw, (*x.shape, self.levels))
        chosen = jnp.take_along_axis(raw, self.level(x)[..., None], axis=-1)[..., 0]
        return jnp.sum(flat(chosen - jax.nn.logsumexp(raw, axis=-1)), axis=1)

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the mean of the levels' values."""
        return jax.nn.softmax(raw, axis=-1) @ self.value(jnp.arange(self.levels))

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws one of the levels for each value.

        Args:
            raw: the decoder's output.
            batch: not used.
            key: the key of the draw.
        """
        return self.value(jax.random.categorical(key, raw))


@configurable
class DiscretisedLogistic(Levels):
    """Takes raw output as location and scale of a logistic distribution, and gives a level the mass around it.

    Salimans et al. 2017 (PixelCNN++), equation 2, with one component: the lowest level takes all mass below it, the
    highest all mass above it.
    """

    meets = (traits.DISPERSION,)

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the decoder's output, `(*shape, 2)`."""
        return (*shape, 2)

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns the logarithm of each level's mass in nats, summed over an example's values."""
        chex.assert_shape(raw, (*x.shape, 2))
        mass = logistic_log_mass(self, self.level(x), *_parameters(raw))
        return jnp.sum(flat(mass), axis=1)

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the mean of the levels' values: the mean of the probabilities of lying above each inner edge."""
        location, scale = _parameters(raw)
        edges = self.value(jnp.arange(self.levels - 1)) + 0.5 / (self.levels - 1)
        above = lambda total, edge: (total + jax.nn.sigmoid((location - edge) / scale), None)  # noqa: E731
        return jax.lax.scan(above, jnp.zeros_like(location), edges)[0] / len(edges)

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws from the logistic distribution, and moves the draw to the nearest level.

        Args:
            raw: the decoder's output.
            batch: not used.
            key: the key of the draw.
        """
        location, scale = _parameters(raw)
        drawn = location + scale * jax.random.logistic(key, location.shape)
        return self.value(self.level(jnp.clip(drawn, 0, 1)))


def logistic_log_mass(
    grid: Levels, level: Int[Array, "*shape"], location: Float[Array, "*shape"], scale: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Returns the logarithm of the mass that logistic distributions have between the edges of levels, in nats.

    With a and b the ends of the level's bin, less the location and over the scale, it is
    log (sigmoid(b) - sigmoid(a)) = -softplus(-b) - softplus(a) + log(1 - e^(a - b)); the lowest level has no lower end,
    and the highest no upper one.

    Args:
        grid: the levels that there are.
        level: the number of each level.
        location: the locations of the distributions.
        scale: their scales.
    """
    width = 1 / (grid.levels - 1)
    above, below = ((grid.value(level) + side * width / 2 - location) / scale for side in (1, -1))
    lowest, highest = level == 0, level == grid.levels - 1
    inside = jnp.where(lowest | highest, 0.0, jnp.log(-jnp.expm1(-width / scale)))
    return inside - jnp.where(highest, 0.0, softplus(-above)) - jnp.where(lowest, 0.0, softplus(below))


def _parameters(raw: Float[Array, "batch *raw"]) -> tuple[Float[Array, "batch *shape"], Float[Array, "batch *shape"]]:
    return raw[..., 0], positive_scale(raw[..., 1], "exp")
