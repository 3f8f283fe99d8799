import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from aejax.core import Examples, unseen
from aejax.losses import NegativeBinomial, Poisson
from aejax.losses.counts import inflated_zero, negative_binomial, poisson

pytestmark = pytest.mark.usefixtures("strict")
COUNTS = np.unique(np.concatenate([np.arange(12), np.geomspace(12, 1e4, 12).round()])).astype(np.float32)
LOG_MEANS = np.log(np.geomspace(1e-6, 1e5, 34)).astype(np.float32)
X, LOG_MEAN, LOG_R = (
    each.reshape(-1) for each in np.meshgrid(COUNTS, LOG_MEANS, np.linspace(-8, 10, 7).astype(np.float32))
)
EXACT = tuple(each.astype(np.float64) for each in (X, np.exp(LOG_MEAN.astype(np.float64)), LOG_R))


@jax.jit
def masses():
    """Of every count under every distribution: both masses, and the gradients of their sums."""
    x = jnp.asarray(X)

    def both(log_mean, log_r):
        return poisson(x, log_mean), negative_binomial(x, log_mean, log_r)

    values, pullback = jax.vjp(both, jnp.asarray(LOG_MEAN), jnp.asarray(LOG_R))
    ones, zeros = jnp.ones(len(x)), jnp.zeros(len(x))
    return values, pullback((ones, zeros))[0], pullback((zeros, ones))


def test_masses_are_scipy_s_for_any_count_and_mean():
    (first, second), _, _ = masses()
    x, mean, log_r = EXACT
    r = np.exp(log_r)
    np.testing.assert_allclose(first, stats.poisson.logpmf(x, mean), rtol=1e-5)
    np.testing.assert_allclose(second, stats.nbinom.logpmf(x, r, r / (r + mean)), rtol=1e-5)


def test_gradients_are_finite_and_those_of_the_masses():
    _, first, (along_mean, along_r) = masses()
    x, mean, log_r = EXACT
    r = np.exp(log_r)
    np.testing.assert_allclose(first, x - mean, rtol=1e-5, atol=2e-2)  # of differences of numbers of up to 1e5
    np.testing.assert_allclose(along_mean, r * (x - mean) / (r + mean), rtol=1e-5, atol=2e-2)
    exact = special.digamma(x + r) - special.digamma(r) + np.log(r / (r + mean)) + (mean - x) / (r + mean)
    np.testing.assert_allclose(along_r, r * exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mass", [poisson, lambda x, log_mean: negative_binomial(x, log_mean, jnp.zeros_like(x))])
def test_masses_of_all_counts_add_up_to_one(mass):
    counts = jnp.arange(400, dtype=jnp.float32)
    total = jnp.exp(jax.jit(mass)(counts, jnp.full_like(counts, np.log(20.0)))).sum()
    np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_an_inflated_zero_has_two_reasons():
    logit, log_zero = (each.reshape(-1) for each in np.meshgrid(np.linspace(-30, 30, 31), -np.geomspace(1e-6, 1e5, 31)))
    value, slopes = jax.jit(jax.vmap(jax.value_and_grad(inflated_zero, (0, 1))))(
        *(each.astype(np.float32) for each in (log_zero, logit))
    )
    share = special.expit(logit)
    exact = np.log1p(special.expit(-logit) * np.expm1(log_zero))
    exact = np.where(exact > -0.5, exact, np.logaddexp(special.log_expit(logit), special.log_expit(-logit) + log_zero))
    np.testing.assert_allclose(value, exact, rtol=1e-5)
    of_count = special.expit(log_zero - logit)
    np.testing.assert_allclose(slopes[0], of_count, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slopes[1], (1 - of_count) - share, atol=1e-6)


LIKELIHOODS = [Poisson(), NegativeBinomial(), Poisson(zero_inflated=True), NegativeBinomial(zero_inflated=True)]


def drawn(likelihood, shape=(5,), n=3):
    rng = np.random.default_rng(0)
    x = rng.poisson(3, (n, *shape)).astype(np.float32) * (rng.uniform(size=(n, *shape)) < 0.8)
    return x.astype(np.float32), rng.normal(0, 1, (n, *likelihood.raw_shape(shape))).astype(np.float32)


def parameters(likelihood, raw, total):
    """Means without inflation, the probability of a zero of another kind, and r: float64, one value an axis."""
    parts = raw.astype(np.float64).reshape(len(raw), -1, likelihood.parameters)
    mean = total * special.softmax(parts[..., 0], axis=1)
    share = special.expit(parts[..., 1]) if likelihood.zero_inflated else np.zeros_like(mean)
    r = np.exp(10 * np.tanh(parts[..., -1] / 10)) if isinstance(likelihood, NegativeBinomial) else np.full(1, np.inf)
    return mean, share, r


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("shape", [(5,), (2, 3, 1)])
def test_an_example_s_log_probability_is_that_of_shares_of_its_own_total(likelihood, shape):
    x, raw = drawn(likelihood, shape)
    counts = x.reshape(3, -1).astype(np.float64)
    mean, share, r = parameters(likelihood, raw, counts.sum(1, keepdims=True))
    mass = stats.poisson.pmf(counts, mean) if np.isinf(r).all() else stats.nbinom.pmf(counts, r, r / (r + mean))
    expected = np.log(share * (counts == 0) + (1 - share) * mass).sum(1)
    np.testing.assert_allclose(jax.jit(likelihood.log_prob)(x, raw), expected, rtol=1e-5)
    centre = jax.jit(likelihood.mean)(raw, Examples(x))
    np.testing.assert_allclose(np.asarray(centre).reshape(3, -1), (1 - share) * mean, rtol=1e-5)


@pytest.mark.slow
def test_samples_have_the_mean_and_the_variance_of_the_likelihood():
    likelihood = NegativeBinomial(zero_inflated=True, library=30.0)
    _, raw = drawn(likelihood, n=1)
    mean, share, r = parameters(likelihood, raw, 30.0)
    many = jnp.broadcast_to(raw, (3000, *raw.shape[1:]))
    x = np.asarray(jax.jit(likelihood.sample)(many, unseen(3000), jax.random.key(0)), np.float64)
    assert (x == np.rint(x)).all()
    assert x.min() >= 0
    error = x.std(axis=0) / np.sqrt(len(x))
    np.testing.assert_array_less(abs(x.mean(axis=0) - (1 - share[0]) * mean[0]), 5 * error)
    variance = (1 - share) * (mean + mean**2 / r + share * mean**2)
    np.testing.assert_allclose(x.var(axis=0), variance[0], rtol=0.12)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_nothing_breaks_without_counts_and_with_extreme_output(likelihood):
    x = jnp.asarray([[0, 0, 0], [0, 9e4, 1], [3, 0, 0]], jnp.float32)
    raw = 200 * drawn(likelihood, (3,))[1]
    value, slope = jax.jit(jax.value_and_grad(lambda raw: likelihood.log_prob(x, raw).sum()))(raw)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("likelihood", LIKELIHOODS[:2])
def test_the_raw_output_for_values_has_them_as_its_mean(likelihood):
    values = np.array([[3.0, 0.5, 7.0, 1.5]], np.float32)
    raw = likelihood.raw_for(jnp.asarray(values))
    assert raw.shape == (1, *likelihood.raw_shape((4,)))
    np.testing.assert_allclose(likelihood.mean(raw, Examples(values)), values, rtol=1e-5)
