"""Defines likelihoods, which give a decoder's raw output its meaning.

Log-probabilities are in nats, summed over an example's values.
"""

import math
from typing import ClassVar

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import Examples, configurable, positive
from aejax.models import Part, Trait, normal_log_density, traits

EDGE = 1e-3
"""The least distance from 0 and 1 of a probability that is turned into a logit: beyond it gradients vanish."""


@configurable
class Likelihood(Part):
    """Models p(x | z), independent over an example's values, with the decoder's output as its raw parameters."""

    support: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """The closed interval that holds every value of the data."""
    counts: ClassVar[bool] = False
    """Whether every value is a count: a whole number from 0 on, in its own unit."""

    @property
    def levels(self) -> int | None:
        """The number of levels that a value can have; None: it is a real number."""
        return None

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the decoder's output for an example of `shape`."""
        return shape

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns log p(x | raw) of each example, in nats."""
        raise NotImplementedError

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the mean in data space: the reconstruction that is shown and measured.

        `batch` are the examples that are decoded: of codes that were drawn, `core.unseen` ones without values.
        """
        raise NotImplementedError

    def raw_for(self, values: Float[Array, "batch *shape"]) -> Float[Array, "batch *raw"]:
        """Returns the raw output whose mean is nearest to the values; likelihoods that meet `CENTRED` have it."""
        raise NotImplementedError

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws from p(x | raw).

        Args:
            raw: the decoder's output.
            batch: the examples that are decoded, as `mean` gets them.
            key: the key of the draw.
        """
        raise NotImplementedError


@configurable
class Bernoulli(Likelihood):
    """Takes raw output as logits; for grey levels in [0, 1] its negative log-likelihood is the binary cross-entropy.

    With grey targets the cross-entropy cannot fall below the entropy of the pixels themselves, which is above zero.
    """

    support = (0.0, 1.0)
    meets = (traits.BITS, traits.CENTRED)

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns the sum of x log sigmoid(l) + (1 - x) log sigmoid(-l) over an example's values, in nats.

        It is computed as x l - softplus(l), which is finite at any logit l.
        """
        chex.assert_equal_shape([x, raw])
        x, raw = flat(x), flat(raw)
        # There are two sums, not the sum of a difference, because XLA turns the first into a product of matrices.
        return jnp.sum(x * raw, axis=1) - jnp.sum(softplus(raw), axis=1)

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the sigmoid of the logits."""
        return jax.nn.sigmoid(raw)

    def raw_for(self, values: Float[Array, "batch *shape"]) -> Float[Array, "batch *raw"]:
        """Returns the logits of values between `EDGE` and 1 - `EDGE`, and of the nearer end for all others."""
        return logit(values)

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws zeros and ones.

        Args:
            raw: the decoder's output.
            batch: not used.
            key: the key of the draw.
        """
        return jax.random.bernoulli(key, jax.nn.sigmoid(raw)).astype(raw.dtype)


@configurable
class Gaussian(Likelihood):
    """Takes raw output as means, with one fixed standard deviation.

    With scale 1 the negative log-likelihood is half the squared error plus a constant.
    """

    meets: ClassVar[tuple[Trait, ...]] = (traits.CENTRED, traits.LINEAR)
    scale: float = positive(default=1.0)
    """Standard deviation of every value."""

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns the normal log-density of each example in nats, with its normalising constant."""
        chex.assert_equal_shape([x, raw])
        return jnp.sum(normal_log_density(flat(x), flat(self._mean(raw)), jnp.asarray(self.scale)), axis=1)

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the raw output itself, or what a subclass makes of it."""
        return self._mean(raw)

    def _mean(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        return raw

    def raw_for(self, values: Float[Array, "batch *shape"]) -> Float[Array, "batch *raw"]:
        """Returns the values themselves."""
        return values

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws the mean plus noise.

        Args:
            raw: the decoder's output.
            batch: not used.
            key: the key of the draw.
        """
        return self._mean(raw) + self.scale * jax.random.normal(key, raw.shape)


@configurable
class SigmoidGaussian(Gaussian):
    """Takes raw output as logits, whose sigmoid is the mean: the squared error behind a sigmoid, for values in [0, 1].

    It is the cost of Ng 2011 (CS294A notes), section 2, whose output units are sigmoids too.
    """

    meets: ClassVar[tuple[Trait, ...]] = (traits.CENTRED,)

    def _mean(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        return jax.nn.sigmoid(raw)

    def raw_for(self, values: Float[Array, "batch *shape"]) -> Float[Array, "batch *raw"]:
        """Returns the logits of values between `EDGE` and 1 - `EDGE`, and of the nearer end for all others."""
        return logit(values)


@configurable
class GaussianLearnedScale(Likelihood):
    """Takes raw output as a mean and, through a softplus, a standard deviation for every value, on a last axis of 2."""

    meets = (traits.CENTRED, traits.DISPERSION)
    minimum: float = positive(default=1e-3)
    """Added to every standard deviation: without it the likelihood of a constant pixel has no upper bound."""

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the decoder's output, `(*shape, 2)`."""
        return (*shape, 2)

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns the normal log-density of each example in nats, with each value's own standard deviation."""
        chex.assert_shape(raw, (*x.shape, 2))
        return jnp.sum(normal_log_density(flat(x), flat(raw[..., 0]), flat(self.scale(raw))), axis=1)

    def scale(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        """Returns the standard deviation of each value."""
        return softplus(raw[..., 1]) + self.minimum

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the mean of each value."""
        return raw[..., 0]

    def raw_for(self, values: Float[Array, "batch *shape"]) -> Float[Array, "batch *raw"]:
        """Returns the values as means, with a standard deviation of log 2 and the minimum."""
        return jnp.stack([values, jnp.zeros_like(values)], axis=-1)

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws the mean plus noise with each value's own standard deviation.

        Args:
            raw: the decoder's output.
            batch: not used.
            key: the key of the draw.
        """
        return raw[..., 0] + self.scale(raw) * jax.random.normal(key, raw[..., 0].shape)


def flat(x: Float[Array, "batch *shape"]) -> Float[Array, "batch values"]:
    """Flattens each example to one axis of values.

    This is done before elementwise work, which then keeps the fastest layout.
    """
    return x.reshape(x.shape[0], -1)


def logit(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns log p / (1 - p) of values that are first brought between `EDGE` and 1 - `EDGE`."""
    inside = jnp.clip(values, EDGE, 1 - EDGE)
    return jnp.log(inside) - jnp.log1p(-inside)


@jax.custom_jvp
def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns log(1 + e^x), accurate for large and small x.

    The derivative is written out, because the one that JAX derives costs a second pass.
    """
    small = jnp.exp(-jnp.abs(x))
    # log(1 + e) = 2 artanh(e / (2 + e)), whose series converges fast, e being at most 1: it is as exact as XLA's log1p,
    # and several times as fast on a CPU, where the loss of a small model is most of a step.
    ratio = small / (2 + small)
    square = jnp.square(ratio)
    series = jnp.zeros_like(x)
    for power in (13, 11, 9, 7, 5, 3):
        series = (series + 1 / power) * square
    return jnp.maximum(x, 0) + 2 * ratio * (1 + series)


softplus.defjvps(lambda tangent, _, x: tangent * jax.nn.sigmoid(x))
