import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax

from aejax.core import unseen
from aejax.data.preprocess import scale
from aejax.losses.levels import Categorical, DiscretisedLogistic

pytestmark = pytest.mark.usefixtures("strict")
LIKELIHOODS = [Categorical(7), DiscretisedLogistic(7)]
KEY = jax.random.key(0)


@jax.jit
def log_prob(likelihood, x, raw):
    return likelihood.log_prob(x, raw)


@jax.jit
def sample(likelihood, raw):
    return likelihood.sample(raw, unseen(len(raw)), KEY)


@jax.jit
def mean_of(likelihood, raw):
    return likelihood.mean(raw, unseen(len(raw)))


def parameters(likelihood, shape, batch, seed=0):
    """Raw output around the middle of the data, as float64."""
    raw = np.random.default_rng(seed).normal(0, 1, (batch, *likelihood.raw_shape(shape)))
    return raw if isinstance(likelihood, Categorical) else raw * [0.3, 1] + [0.5, -2]


def all_levels(likelihood, size=5):
    """A value on each level under one raw output, and the masses of all of them `[level, value]`."""
    raw = np.repeat(parameters(likelihood, (size, 1), 1), likelihood.levels, axis=0)
    x = np.broadcast_to(np.arange(likelihood.levels)[:, None, None] / (likelihood.levels - 1), (*raw.shape[:2], 1))
    each = jax.jit(jax.vmap(likelihood.log_prob, (1, 1), 1))(x, raw)
    return x, raw, np.exp(np.asarray(each, np.float64))


def test_every_grey_level_comes_back_from_the_batch_s_floats():
    for place in (scale, jax.jit(scale)):
        grey = Categorical().level(place(jnp.arange(256, dtype=jnp.uint8)))
        np.testing.assert_array_equal(grey, np.arange(256))
    again = jax.jit(lambda level: Categorical(7).level(Categorical(7).value(level)))
    np.testing.assert_array_equal(again(jnp.arange(7)), np.arange(7))


@pytest.mark.parametrize("likelihood", [*LIKELIHOODS, Categorical(), DiscretisedLogistic(), DiscretisedLogistic(2)])
def test_the_masses_of_all_levels_sum_to_one(likelihood):
    np.testing.assert_allclose(all_levels(likelihood)[2].sum(axis=0), 1, rtol=1e-5)


def test_categorical_is_the_softmax():
    _, raw, masses = all_levels(Categorical(7))
    np.testing.assert_allclose(np.log(masses), log_softmax(raw[0], axis=-1)[:, 0].T, rtol=1e-5)


def test_discretised_logistic_is_the_logistic_s_mass_between_the_edges_and_open_at_the_ends():
    x, raw, masses = all_levels(DiscretisedLogistic(7))
    scales = np.exp(10 * np.tanh(raw[..., 1] / 10))
    above, below = (stats.logistic.cdf(x + side / 12, raw[..., 0], scales) for side in (1, -1))
    expected = np.where(x == 1, 1, above) - np.where(x == 0, 0, below)
    np.testing.assert_allclose(masses, expected[..., 0], rtol=1e-4)


def test_discretised_logistic_and_its_gradient_are_finite_anywhere():
    locations, scales, levels = [-1e4, -3.0, 0.5, 1e4], [-1e6, -5.0, 0.0, 1e6], [0.0, 0.4, 1.0]
    location, scale, x = (each.reshape(-1, 1) for each in np.meshgrid(locations, scales, levels))
    value = lambda raw: log_prob(DiscretisedLogistic(6), x, raw)  # noqa: E731
    raw = np.stack([location, scale], axis=-1).astype(np.float32)
    assert np.isfinite(value(raw)).all()
    assert np.isfinite(jax.jit(jax.grad(lambda raw: value(raw).sum()))(raw)).all()


def test_categorical_is_finite_at_huge_logits():
    raw = np.array([[[1e6, -1e6, 0.0]]], np.float32)
    total = jax.value_and_grad(lambda raw: Categorical(3).log_prob(jnp.ones((1, 1)), raw).sum())
    value, slope = jax.jit(total)(raw)
    np.testing.assert_allclose(value, -1e6)
    np.testing.assert_allclose(slope, [[[-1, 0, 1]]], atol=1e-6)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_mean_is_that_of_the_masses_and_samples_follow_them(likelihood):
    x, raw, masses = all_levels(likelihood)
    mean = (masses * x[..., 0]).sum(axis=0)
    np.testing.assert_allclose(mean_of(likelihood, raw)[0, :, 0], mean, rtol=1e-5)
    draws = np.asarray(sample(likelihood, np.broadcast_to(raw[:1], (20_000, *raw.shape[1:]))))[..., 0]
    counts = (np.round(draws * 6)[None] == np.arange(7)[:, None, None]).mean(axis=1)
    np.testing.assert_allclose(counts, masses, atol=5 * 0.5 / np.sqrt(20_000))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_values_are_summed_over_an_example(likelihood):
    raw = parameters(likelihood, (2, 2, 1), 3)
    x = np.asarray(sample(likelihood, raw))
    assert x.shape == (3, 2, 2, 1)
    parts = [np.asarray(log_prob(likelihood, x[:, rows], raw[:, rows])) for rows in (slice(0, 1), slice(1, 2))]
    np.testing.assert_allclose(log_prob(likelihood, x, raw), sum(parts), rtol=1e-6)


def test_two_levels_of_a_categorical_are_a_bernoulli():
    x, logits = np.array([[0.0], [1.0]]), np.array([[1.5], [1.5]])
    expected = stats.bernoulli.logpmf([0, 1], 1 / (1 + np.exp(-1.5)))
    raw = np.stack([np.zeros_like(logits), logits], axis=-1)
    np.testing.assert_allclose(log_prob(Categorical(2), x, raw), expected, rtol=1e-6)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("shape", [(4, 3, 1), (4, 1, 5), (4, 3)])
def test_raw_output_of_another_shape_is_refused(likelihood, shape):
    with pytest.raises((AssertionError, TypeError)):
        likelihood.log_prob(jnp.zeros((4, 3)), jnp.zeros(shape))
