"""Likelihoods: what a decoder's raw output means. Log-probabilities are in nats, summed over an example's values."""

import math
from typing import ClassVar

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import configurable, positive
from aejax.models import normal_log_density


@configurable
class Likelihood:
    """p(x | z) with the decoder's output as its raw parameters, independent over the values of an example."""

    support: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """The closed interval that every value of the data must lie in."""

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the decoder's output for examples of `shape`."""
        return shape

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """log p(x | raw) in nats per example."""
        raise NotImplementedError

    def mean(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        """The mean in data space: the reconstruction that is shown and measured."""
        raise NotImplementedError

    def sample(self, raw: Float[Array, "batch *raw"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """A draw from p(x | raw)."""
        raise NotImplementedError


@configurable
class Bernoulli(Likelihood):
    """Raw output: logits. On grey levels in [0, 1] its negative log-likelihood is the binary cross-entropy.

    With grey targets that cross-entropy has a floor above zero: the entropy of the pixels themselves.
    """

    support = (0.0, 1.0)

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """x log sigmoid(l) + (1 - x) log sigmoid(-l) = x l - softplus(l), finite at any logit."""
        chex.assert_equal_shape([x, raw])
        x, raw = flat(x), flat(raw)
        # Two sums, not the sum of a difference: XLA turns the first into a product of matrices.
        return jnp.sum(x * raw, axis=1) - jnp.sum(softplus(raw), axis=1)

    def mean(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        """sigmoid of the logits."""
        return jax.nn.sigmoid(raw)

    def sample(self, raw: Float[Array, "batch *raw"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Zeros and ones."""
        return jax.random.bernoulli(key, jax.nn.sigmoid(raw)).astype(raw.dtype)


@configurable
class Gaussian(Likelihood):
    """Raw output: means; one fixed standard deviation. With scale 1 it is half the squared error plus a constant."""

    scale: float = positive(default=1.0)
    """Standard deviation of every value."""

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """The normal log-density with its normalising constant."""
        chex.assert_equal_shape([x, raw])
        return jnp.sum(normal_log_density(flat(x), flat(self.mean(raw)), jnp.asarray(self.scale)), axis=1)

    def mean(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        """The raw output itself."""
        return raw

    def sample(self, raw: Float[Array, "batch *raw"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """The mean plus noise."""
        return self.mean(raw) + self.scale * jax.random.normal(key, raw.shape)


@configurable
class SigmoidGaussian(Gaussian):
    """Raw output: logits, whose sigmoid is the mean: the squared error behind a sigmoid, for values in [0, 1].

    The cost of Ng 2011 (CS294A notes), section 2, whose output units are sigmoids too.
    """

    def mean(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        """sigmoid of the logits."""
        return jax.nn.sigmoid(raw)


@configurable
class GaussianLearnedScale(Likelihood):
    """Raw output: a mean and a softplus-parametrised standard deviation for every value, on a last axis of 2."""

    minimum: float = positive(default=1e-3)
    """Added to every standard deviation: without a floor the likelihood of a constant pixel has no upper bound."""

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """`(*shape, 2)`."""
        return (*shape, 2)

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """The normal log-density at each value's own standard deviation."""
        chex.assert_shape(raw, (*x.shape, 2))
        return jnp.sum(normal_log_density(flat(x), flat(raw[..., 0]), flat(self.scale(raw))), axis=1)

    def scale(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        """The standard deviations."""
        return softplus(raw[..., 1]) + self.minimum

    def mean(self, raw: Float[Array, "batch *raw"]) -> Float[Array, "batch *shape"]:
        """The means alone."""
        return raw[..., 0]

    def sample(self, raw: Float[Array, "batch *raw"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """The mean plus noise of each value's own size."""
        return raw[..., 0] + self.scale(raw) * jax.random.normal(key, raw[..., 0].shape)


def flat(x: Float[Array, "batch *shape"]) -> Float[Array, "batch values"]:
    """One axis of values an example; done before elementwise work, which then keeps the fastest layout."""
    return x.reshape(x.shape[0], -1)


@jax.custom_jvp
def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 + e^x), exact at both ends; its derivative is written out because XLA's own costs a second pass."""
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


softplus.defjvps(lambda tangent, _, x: tangent * jax.nn.sigmoid(x))
