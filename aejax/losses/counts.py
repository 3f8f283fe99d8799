"""Defines likelihoods of counts, whose means are shares of each example's own total.

Lopez et al. 2018 (Deep generative modeling for single-cell transcriptomics): the decoder says which share of an
example's counts each value has, and the total, the library size, is that of the example. Masses are computed by Loader
2000 (Fast and accurate computation of binomial probabilities), as the difference of logarithms of gamma functions has
no digits left in float32.
"""

import math
from dataclasses import dataclass

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import Examples, configurable, positive, static
from aejax.losses.likelihoods import EDGE, Likelihood, flat, softplus
from aejax.models import LOG_2_PI, Trait, positive_scale, traits

LOWEST = -60.0
"""The logarithm of the least mean of a count. A value with a lower one costs as much, and its gradient is its own."""

_FAR = 8.0
"""The least number for which a few terms of an asymptotic series give all digits of float32."""


@dataclass(frozen=True)
class CountLikelihood(Likelihood):
    """Models counts by means that are the softmax of raw output times the total of the example's counts.

    The total is taken from the example itself, so log p(x | z) is that of counts whose total is known. Raw output has
    a last axis of parameters where there are several: the logit of the share, the logit of zero inflation, and what
    else a subclass has.
    """

    support = (0.0, math.inf)
    counts = True
    zero_inflated: bool = static(default=False)
    """Whether a count is zero for another reason too, with a probability that the decoder gives for each value."""
    library: float = positive(default=1e4)
    """The total of an example that is decoded from a code alone, such as a drawn one; others have their own."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """Means of each example's total; and whether raw output stands for given values, as zero inflation has none."""
        return (traits.OF_EXAMPLE,) if self.zero_inflated else (traits.OF_EXAMPLE, traits.CENTRED)

    @property
    def parameters(self) -> int:
        """The number of raw parameters of a value."""
        return 1 + self.zero_inflated

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the decoder's output, `shape` or `(*shape, parameters)`."""
        return shape if self.parameters == 1 else (*shape, self.parameters)

    def log_mass(
        self, x: Float[Array, "batch values"], log_mean: Float[Array, "batch values"], own: Float[Array, "batch values"]
    ) -> Float[Array, "batch values"]:
        """Returns the log-probability of each count in nats, were there no zero inflation.

        Args:
            x: the counts.
            log_mean: the logarithms of their means.
            own: the last raw parameter of each value.
        """
        raise NotImplementedError

    def rate(
        self, mean: Float[Array, "batch values"], own: Float[Array, "batch values"], key: Key[Array, ""]
    ) -> Float[Array, "batch values"]:
        """Draws the rate of the Poisson distribution that each count is drawn from.

        Args:
            mean: the means.
            own: the last raw parameter of each value.
            key: the key of the draw.
        """
        raise NotImplementedError

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns log p(x | raw) of each example in nats, given the example's total."""
        chex.assert_shape(raw, (len(x), *self.raw_shape(x.shape[1:])))
        each, inflation, own = self._parts(raw)
        values = flat(x)
        total = jnp.sum(values, axis=1, keepdims=True)
        log_mean = jnp.log(jnp.maximum(total, math.exp(LOWEST))) + jax.nn.log_softmax(each, axis=1)
        mass = self.log_mass(values, log_mean, own)
        if self.zero_inflated:
            mass = jnp.where(values == 0, inflated_zero(mass, inflation), mass - softplus(inflation))
        return jnp.sum(mass, axis=1)

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the mean counts for the total of each example, or for `library` where examples have no values."""
        each, inflation, _ = self._parts(raw)
        mean = self._total(batch) * jax.nn.softmax(each, axis=1)
        return self._shaped(mean * jax.nn.sigmoid(-inflation) if self.zero_inflated else mean, raw)

    def raw_for(self, values: Float[Array, "batch *shape"]) -> Float[Array, "batch *raw"]:
        """Returns raw output whose shares are those of the values, with zero for all other parameters.

        A value counts as at least `EDGE` times the mean of all: beyond it gradients vanish.
        """
        least = EDGE * jnp.mean(flat(values))
        share = jnp.log(jnp.maximum(values, least) + jnp.finfo(values.dtype).tiny)
        if self.parameters == 1:
            return share
        return jnp.stack([share, *[jnp.zeros_like(share)] * (self.parameters - 1)], axis=-1)

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws counts; their total is that of the example, or `library`, on average only.

        Args:
            raw: the decoder's output.
            batch: the examples that are decoded, whose totals are taken.
            key: the key of the draw.
        """
        each, inflation, own = self._parts(raw)
        rate, count, zero = jax.random.split(key, 3)
        mean = self._total(batch) * jax.nn.softmax(each, axis=1)
        drawn = jax.random.poisson(count, self.rate(mean, own, rate)).astype(raw.dtype)
        if self.zero_inflated:
            drawn = jnp.where(jax.random.bernoulli(zero, jax.nn.sigmoid(inflation)), 0, drawn)
        return self._shaped(drawn, raw)

    def _parts(self, raw: Float[Array, "batch *raw"]) -> tuple[Array, Array, Array]:
        """Returns the logit of the share, that of zero inflation, and the last parameter, `[batch, values]` each."""
        if self.parameters == 1:
            return (flat(raw),) * 3
        parts = raw.reshape(raw.shape[0], -1, self.parameters)
        return parts[..., 0], parts[..., 1], parts[..., -1]

    def _shaped(self, values: Float[Array, "batch values"], raw: Float[Array, "batch *raw"]) -> Array:
        return values.reshape(raw.shape if self.parameters == 1 else raw.shape[:-1])

    def _total(self, batch: Examples) -> Float[Array, "batch 1"]:
        target = flat(jnp.asarray(batch.target, jnp.float32))
        if target.shape[1]:
            return jnp.sum(target, axis=1, keepdims=True)
        return jnp.broadcast_to(jnp.asarray(self.library, jnp.float32), (target.shape[0], 1))  # converts to ONNX


@configurable
class Poisson(CountLikelihood):
    """Models counts whose variance is their mean: the softmax of raw output times the example's total."""

    def log_mass(self, x: Array, log_mean: Array, own: Array) -> Array:
        """Returns the Poisson log-probability of each count: see `CountLikelihood.log_mass`."""
        return poisson(x, log_mean)

    def rate(self, mean: Array, own: Array, key: Key[Array, ""]) -> Array:
        """Returns the means: see `CountLikelihood.rate`."""
        return mean


@configurable
class NegativeBinomial(CountLikelihood):
    """Models counts of the mean m, the softmax of raw output times the total, and the variance m + m^2 / r.

    The last raw parameter of each value is the logarithm of r, the inverse dispersion, between e^-10 and e^10. A
    decoder gives one for each value of each example, or by `SharedDispersion` one for each value.
    """

    @property
    def meets(self) -> tuple[Trait, ...]:
        """A dispersion, beside what any likelihood of counts has."""
        return (*super().meets, traits.DISPERSION)

    @property
    def parameters(self) -> int:
        """The number of raw parameters of a value."""
        return super().parameters + 1

    def log_mass(self, x: Array, log_mean: Array, own: Array) -> Array:
        """Returns the negative binomial log-probability of each count: see `CountLikelihood.log_mass`."""
        return negative_binomial(x, log_mean, jnp.log(positive_scale(own)))

    def rate(self, mean: Array, own: Array, key: Key[Array, ""]) -> Array:
        """Draws from the gamma distribution of shape r around the mean: see `CountLikelihood.rate`."""
        shape = positive_scale(own)
        return mean * jax.random.gamma(key, shape) / shape


@jax.custom_jvp
def poisson(x: Float[Array, "*shape"], log_mean: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the log-probability of counts under Poisson distributions, in nats.

    The gradient is that of the means alone, x - mean: it is finite everywhere.
    """
    mean, some = _mean(log_mean), jnp.maximum(x, 1)
    mass = -_stirling_error(some) - _deviance(some, mean, some - mean) - 0.5 * (jnp.log(some) + LOG_2_PI)
    return jnp.where(x > 0, mass, -mean)


poisson.defjvps(None, lambda tangent, _, x, log_mean: tangent * (x - jnp.exp(log_mean)))


@jax.custom_jvp
def negative_binomial(
    x: Float[Array, "*shape"], log_mean: Float[Array, "*shape"], log_r: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Returns the log-probability of counts of the given means and variances mean + mean^2 / r, in nats.

    The gradient is that of the means and of r alone.
    """
    mean, r, some = _mean(log_mean), jnp.exp(log_r), jnp.maximum(x, 1)
    n, scale = some + r, r + mean
    apart = r * (some - mean) / scale  # of the count from what is expected of it, given n
    fit = _deviance(r, n * r / scale, -apart) + _deviance(some, n * mean / scale, apart)
    errors = _stirling_error(n) - _stirling_error(r) - _stirling_error(some)
    mass = errors - fit - 0.5 * (jnp.log(some) + LOG_2_PI + jnp.log1p(some / r))
    return jnp.where(x > 0, mass, -r * jnp.log1p(mean / r))


def _along_mean(tangent: Array, _: Array, x: Array, log_mean: Array, log_r: Array) -> Array:
    mean, r = jnp.exp(log_mean), jnp.exp(log_r)
    return tangent * r * (x - mean) / (r + mean)


def _along_r(tangent: Array, _: Array, x: Array, log_mean: Array, log_r: Array) -> Array:
    mean, r = jnp.exp(log_mean), jnp.exp(log_r)
    curvature = -_deviance(r + mean, r + x, mean - x) / (r + mean)  # log(1 + w) - w, of w = (x - mean) / (r + mean)
    return tangent * r * (_digamma_error(r + x) - _digamma_error(r) + curvature)


negative_binomial.defjvps(None, _along_mean, _along_r)


@jax.custom_jvp
def inflated_zero(log_zero: Float[Array, "*shape"], inflation: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns log(s + (1 - s) e^l) in nats: the log-probability of a zero that has two reasons.

    Args:
        log_zero: l, the log-probability of zero without inflation.
        inflation: the logit of s, the probability that the count is zero anyway.
    """
    some = jax.nn.sigmoid(-inflation) * -jnp.expm1(log_zero)  # the probability of any other count
    likely = jnp.log1p(-jnp.minimum(some, 0.5))
    return jnp.where(some < 0.5, likely, jnp.logaddexp(inflation, log_zero) - softplus(inflation))


inflated_zero.defjvps(
    lambda tangent, _, zero, inflation: tangent * jax.nn.sigmoid(zero - inflation),
    lambda tangent, _, zero, inflation: tangent * (jax.nn.sigmoid(inflation - zero) - jax.nn.sigmoid(inflation)),
)


def _mean(log_mean: Array) -> Array:
    return jnp.exp(jnp.maximum(log_mean, LOWEST))


def _deviance(a: Array, b: Array, apart: Array) -> Array:
    """Returns a log(a / b) - (a - b) of positive numbers, whose difference is given as it would lose its digits.

    Loader 2000, section 4: near each other, by the series of atanh v, v = (a - b) / (a + b).
    """
    v = apart / (a + b)
    square, series = jnp.square(v), jnp.zeros_like(v)
    for power in range(15, 1, -2):
        series = square * (series + 1 / power)
    near = apart * v + 2 * a * v * series
    return jnp.where(jnp.abs(v) < 1 / 3, near, a * jnp.log(a / b) - apart)


def _stirling_error(y: Array) -> Array:
    """Returns by how much the logarithm of y! is above Stirling's formula, log(2 pi y) / 2 + y log y - y."""
    far = jnp.maximum(y, _FAR)
    series = (1 / 12 - (1 / 360 - 1 / (1260 * jnp.square(far))) / jnp.square(far)) / far
    near = jnp.minimum(y, _FAR)
    exact = jax.lax.lgamma(near + 1) - (near + 0.5) * jnp.log(near) + near - 0.5 * LOG_2_PI
    return jnp.where(y < _FAR, exact, series)


def _digamma_error(y: Array) -> Array:
    """Returns by how much the digamma function of y is above log y."""
    far, near = jnp.maximum(y, _FAR), jnp.minimum(y, _FAR)
    series = -(0.5 + (1 / 12 - (1 / 120 - 1 / (252 * jnp.square(far))) / jnp.square(far)) / far) / far
    return jnp.where(y < _FAR, jax.lax.digamma(near) - jnp.log(near), series)
