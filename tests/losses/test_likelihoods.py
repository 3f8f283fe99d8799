import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from scipy.special import expit, log_expit

from aejax.core import as_arrays, unseen
from aejax.losses import Bernoulli, Gaussian, NegativeBinomial, Poisson, SigmoidGaussian
from aejax.losses.likelihoods import GaussianLearnedScale, softplus

pytestmark = pytest.mark.usefixtures("strict")
SHAPES = [(), (5,), (4, 4, 1), (2, 3, 2, 2)]
OF_NUMBERS = [Bernoulli(), Gaussian(0.5), SigmoidGaussian(0.5), GaussianLearnedScale(0.1)]
LIKELIHOODS = [*OF_NUMBERS, Poisson(), NegativeBinomial(zero_inflated=True)]
key = jax.random.key(0)


def drawn(likelihood, shape, batch=4, seed=0):
    """Targets and raw parameters of a likelihood, as float64."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (batch, *shape))
    return x, rng.normal(0, 2, (batch, *likelihood.raw_shape(shape)))


def summed(values):
    return values.reshape(len(values), -1).sum(axis=1)


def bernoulli(x, logits):
    return summed(x * log_expit(logits) + (1 - x) * log_expit(-logits))


@jax.jit
def log_prob(likelihood, x, raw):
    return likelihood.log_prob(x, raw)


@jax.jit
def sample(likelihood, raw):
    return likelihood.sample(raw, unseen(len(raw)), key)


@jax.jit
def mean(likelihood, raw):
    return likelihood.mean(raw, unseen(len(raw)))


@pytest.mark.parametrize("shape", SHAPES)
def test_bernoulli_is_the_cross_entropy_of_grey_targets(shape):
    x, logits = drawn(Bernoulli(), shape)
    np.testing.assert_allclose(log_prob(Bernoulli(), x, logits), bernoulli(x, logits), rtol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_bernoulli_is_the_probability_mass_of_binary_targets(shape):
    x, logits = drawn(Bernoulli(), shape)
    x = np.round(x)
    expected = summed(stats.bernoulli.logpmf(x, expit(logits)))
    np.testing.assert_allclose(log_prob(Bernoulli(), x, logits), expected, rtol=2e-6)


@pytest.mark.parametrize("size", [90.0, 1e4])
@pytest.mark.parametrize(("target", "share"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_bernoulli_has_the_right_limit_at_huge_logits(size, target, share):
    x = np.full((2, 1), target)
    logits = np.array([[size], [-size]])
    expected = [-(1 - share) * size, -share * size]
    np.testing.assert_allclose(log_prob(Bernoulli(), x, logits), expected, rtol=1e-6)


@given(st.floats(-1e4, 1e4, width=32), st.floats(0, 1, width=32))
@settings(max_examples=50, deadline=None)
def test_bernoulli_equals_float64_at_any_logit(logit, target):
    x, logits = np.array([[target]]), np.array([[logit]])
    np.testing.assert_allclose(
        log_prob(Bernoulli(), x, logits), bernoulli(x, logits), rtol=1e-6, atol=1e-6 + 2e-7 * abs(logit)
    )


@pytest.mark.parametrize("size", [5.0, 20.0, 90.0])
def test_an_image_of_confident_pixels_is_right_to_two_thousandths_of_a_nat(size):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (64, 784)).astype(np.float64)
    logits = (np.where(x > 0, 1, -1) * size * rng.uniform(0.5, 1.5, x.shape)).astype(np.float32)
    np.testing.assert_allclose(log_prob(Bernoulli(), x, logits), bernoulli(x, logits.astype(np.float64)), atol=2e-3)


@jax.jit
def gradients(x, logits):
    """First and second derivative of Bernoulli's log-probability of one value."""
    first = jax.grad(lambda logit, x: Bernoulli().log_prob(x[None, None], logit[None, None])[0])
    return jax.vmap(first)(logits, x), jax.vmap(jax.grad(first))(logits, x)


def test_bernoulli_s_derivatives_are_those_of_the_logistic_function():
    logits = jnp.asarray([-1e4, -90.0, -3.0, -0.5, 0.0, 0.7, 4.0, 90.0, 1e4])
    x = jnp.linspace(0, 1, 9)
    first, second = gradients(x, logits)
    sigmoid = expit(np.asarray(logits, np.float64))
    np.testing.assert_allclose(first, np.asarray(x) - sigmoid, atol=1e-6)
    np.testing.assert_allclose(second, -sigmoid * (1 - sigmoid), atol=1e-6)


def test_softplus_is_exact_at_both_ends_and_between():
    x = np.array([-1e4, -90.0, -20.0, -1.0, 0.0, 1.0, 20.0, 90.0, 1e4])
    np.testing.assert_allclose(jax.jit(softplus)(x), np.logaddexp(0, x), rtol=1e-6, atol=1e-38)


@pytest.mark.parametrize(("shape", "scale"), [*((shape, 0.5) for shape in SHAPES), ((5,), 0.01), ((5,), 3.0)])
def test_gaussian_is_the_normal_density(shape, scale):
    x, mean = drawn(Gaussian(), shape)
    expected = summed(stats.norm.logpdf(x, mean, scale))
    np.testing.assert_allclose(log_prob(Gaussian(scale), x, mean), expected, rtol=5e-6)


def test_gaussian_with_scale_1_is_half_the_squared_error_plus_a_constant():
    x, mean = drawn(Gaussian(), (6,))
    constant = 6 * 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(-log_prob(Gaussian(), x, mean), summed((x - mean) ** 2) / 2 + constant, rtol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sigmoid_gaussian_is_the_normal_density_around_the_sigmoid(shape):
    x, logits = drawn(SigmoidGaussian(), shape)
    expected = summed(stats.norm.logpdf(x, expit(logits), 0.5))
    np.testing.assert_allclose(log_prob(SigmoidGaussian(0.5), x, logits), expected, rtol=5e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_learned_scale_is_the_normal_density_at_each_value_s_own_scale(shape):
    x, raw = drawn(GaussianLearnedScale(), shape)
    scale = np.logaddexp(0, raw[..., 1]) + 0.1
    expected = summed(stats.norm.logpdf(x, raw[..., 0], scale))
    np.testing.assert_allclose(log_prob(GaussianLearnedScale(0.1), x, raw), expected, rtol=2e-5)


def test_a_learned_scale_never_falls_below_its_floor():
    x = np.zeros((1, 3))
    raw = np.stack([np.zeros((1, 3)), np.full((1, 3), -1e4)], axis=-1)
    expected = 3 * stats.norm.logpdf(0, 0, 1e-3)
    np.testing.assert_allclose(log_prob(GaussianLearnedScale(1e-3), x, raw), [expected], rtol=1e-6)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_raw_shape_is_the_shape_that_log_prob_mean_and_sample_take(likelihood, shape):
    x, raw = (jax.ShapeDtypeStruct((4, *each), jnp.float32) for each in (shape, likelihood.raw_shape(shape)))
    per_example, batch = jax.eval_shape(likelihood.log_prob, x, raw), unseen(4)
    assert (per_example.shape, per_example.dtype) == ((4,), jnp.float32)
    for made in (jax.eval_shape(likelihood.mean, raw, batch), jax.eval_shape(likelihood.sample, raw, batch, key)):
        assert (made.shape, made.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize("likelihood", OF_NUMBERS)
def test_samples_have_the_likelihood_s_mean(likelihood):
    _, raw = drawn(likelihood, (6,), batch=1)
    draws = np.asarray(sample(likelihood, np.broadcast_to(raw, (20_000, *raw.shape[1:]))))
    error = draws.std(axis=0) / np.sqrt(20_000)
    np.testing.assert_array_less(abs(draws.mean(axis=0) - mean(likelihood, raw)[0]), 5 * error + 1e-6)


@pytest.mark.parametrize("likelihood", [Gaussian(0.5), SigmoidGaussian(0.5), GaussianLearnedScale(0.1)])
def test_samples_spread_by_the_likelihood_s_scale(likelihood):
    _, raw = drawn(likelihood, (6,), batch=1)
    scale = 0.5 if isinstance(likelihood, Gaussian) else np.logaddexp(0, raw[0, :, 1]) + 0.1
    draws = np.asarray(sample(likelihood, np.broadcast_to(raw, (20_000, *raw.shape[1:]))))
    np.testing.assert_allclose(draws.std(axis=0), np.broadcast_to(scale, 6), rtol=0.03)


def test_bernoulli_samples_zeros_and_ones_and_its_mean_is_the_sigmoid():
    logits = np.linspace(-4, 4, 50).reshape(5, 10)
    assert set(np.unique(sample(Bernoulli(), logits))) <= {0.0, 1.0}
    np.testing.assert_allclose(mean(Bernoulli(), logits), expit(logits), rtol=1e-6)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("given", "made"), [((4,), (4, 1)), ((4, 1), (4,)), ((4, 3), (4, 1)), ((4, 2, 3), (4, 3, 2))])
def test_shapes_that_differ_are_refused_not_broadcast(likelihood, given, made):
    x, raw = jnp.zeros(given), jnp.zeros((made[0], *likelihood.raw_shape(made[1:])))
    with pytest.raises((AssertionError, TypeError)):
        likelihood.log_prob(x, raw)


@pytest.mark.parametrize("last", [1, 3])
def test_a_learned_scale_refuses_raw_output_that_is_not_a_pair(last):
    with pytest.raises((AssertionError, TypeError)):
        GaussianLearnedScale().log_prob(jnp.zeros((4, 3)), jnp.zeros((4, 3, last)))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_numbers_as_arrays_change_nothing(likelihood):
    x, raw = drawn(likelihood, (5,))
    np.testing.assert_allclose(log_prob(as_arrays(likelihood), x, raw), log_prob(likelihood, x, raw), rtol=1e-6)
