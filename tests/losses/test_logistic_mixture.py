import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import log_softmax, logsumexp

from aejax.core import InputError, unseen
from aejax.losses import DiscretisedLogistic, LogisticMixture
from aejax.models import ConvDecoder, ResidualDecoder

pytestmark = pytest.mark.usefixtures("strict")


@jax.jit
def log_prob(likelihood, x, raw):
    return likelihood.log_prob(x, raw)


@jax.jit
def sample(likelihood, raw, key):
    return likelihood.sample(raw, unseen(len(raw)), key)


@jax.jit
def mean_of(likelihood, raw):
    return likelihood.mean(raw, unseen(len(raw)))


def parameters(likelihood, shape, seed=0, scale=-1.5):
    """Raw output `[1, ...]` for one image, with locations about the middle and scales of many sizes."""
    raw = np.random.default_rng(seed).normal(0, 0.8, (1, *likelihood.raw_shape(shape)))
    raw[..., 1 + shape[2] : 1 + 2 * shape[2]] += scale
    return raw.astype(np.float32)


def independent(x, raw, levels):
    """The log-mass of each pixel `[n, h, w]` by the paper's equations, with values in [-1, 1], in float64."""
    x, raw = 2 * np.asarray(x, np.float64) - 1, np.asarray(raw, np.float64)
    count = x.shape[-1]
    total = log_softmax(raw[..., 0], axis=-1)
    factors = iter(np.moveaxis(np.tanh(raw[..., 1 + 2 * count :]), -1, 0))
    for channel in range(count):
        value, location = x[..., None, channel], raw[..., 1 + channel].copy()
        for before in range(channel):
            location += next(factors) * x[..., None, before]
        scale = np.exp(10 * np.tanh(raw[..., 1 + count + channel] / 10))
        side = np.where(value > location, -1, 1)  # on which differences of the distribution function keep their digits
        ends = [side * (value + end / (levels - 1) - location) / scale for end in (1, -1)]
        ends[0] = np.where(value > 1 - 1e-6, side * np.inf, ends[0])
        ends[1] = np.where(value < -1 + 1e-6, -side * np.inf, ends[1])
        total = total + np.log(np.abs(stats.logistic.cdf(ends[0]) - stats.logistic.cdf(ends[1])))
    return logsumexp(total, axis=-1)


def every(levels, channels):
    """All pixels that there are, `[levels^channels, 1, 1, channels]`."""
    grid = itertools.product(range(levels), repeat=channels)
    return (np.asarray([*grid], np.float32) / (levels - 1))[:, None, None]


def masses(likelihood, x, raw):
    """The mass of each of many pixels under one raw output."""
    return np.exp(np.asarray(log_prob(likelihood, x, np.repeat(raw, len(x), axis=0)), np.float64))


@pytest.mark.parametrize(("levels", "channels", "components"), [(256, 1, 3), (256, 1, 1), (7, 3, 4), (12, 2, 5)])
def test_the_masses_of_all_pixels_sum_to_one(levels, channels, components):
    likelihood = LogisticMixture(levels, components)
    raw = parameters(likelihood, (1, 1, channels))
    np.testing.assert_allclose(masses(likelihood, every(levels, channels), raw).sum(), 1, rtol=2e-5)


@pytest.mark.parametrize("red", [0, 17, 128, 255])
@pytest.mark.parametrize("green", [0, 200, 255])
def test_summed_over_256_levels_of_a_channel_the_mass_is_that_of_the_channels_before_it(red, green):
    likelihood = LogisticMixture(components=4)
    raw = parameters(likelihood, (1, 1, 3))
    two, one = raw[..., [0, 1, 2, 4, 5, 7]], raw[..., [0, 1, 4]]
    last = np.arange(256) / 255
    pixels = np.stack([np.full(256, red / 255), np.full(256, green / 255), last], axis=-1)[:, None, None].astype(
        np.float32
    )
    np.testing.assert_allclose(
        masses(likelihood, pixels, raw).sum(), masses(likelihood, pixels[:1, ..., :2], two)[0], rtol=5e-5
    )
    pairs = pixels[..., [0, 2]]
    np.testing.assert_allclose(
        masses(likelihood, pairs, two).sum(), masses(likelihood, pixels[:1, ..., :1], one)[0], rtol=5e-5
    )


@pytest.mark.parametrize("shape", [(3, 2, 1), (2, 4, 3)], ids=str)
def test_it_is_the_papers_equations_in_float64_summed_over_pixels(shape):
    likelihood, rng = LogisticMixture(components=3), np.random.default_rng(1)
    raw = np.concatenate([parameters(likelihood, shape, seed) for seed in range(6)])
    level = rng.choice([0, 1, 30, 100, 127, 128, 200, 254, 255], (6, *shape))
    x = (level / 255).astype(np.float32)
    expected = independent(level / 255, raw, 256).sum(axis=(1, 2))
    np.testing.assert_allclose(log_prob(likelihood, x, raw), expected, rtol=2e-5)


def test_one_component_of_one_channel_is_the_discretised_logistic():
    raw = parameters(LogisticMixture(components=1), (4, 5, 1))
    own = np.stack(
        [0.5 + 0.5 * raw[..., 0, 1], 10 * np.arctanh(np.tanh(raw[..., 0, 2] / 10) - np.log(2) / 10)], axis=-1
    )
    x = np.random.default_rng(2).integers(0, 256, (1, 4, 5, 1)).astype(np.float32) / 255
    other = log_prob(DiscretisedLogistic(), x, own[..., None, :].astype(np.float32))
    np.testing.assert_allclose(log_prob(LogisticMixture(components=1), x, raw), other, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_follow_the_masses_of_levels_and_of_pairs_of_channels(channels):
    likelihood, n = LogisticMixture(5, 3), 40_000
    raw = parameters(likelihood, (1, 1, channels), seed=4)
    drawn = np.asarray(sample(likelihood, np.repeat(raw, n, axis=0), jax.random.key(1)))
    pixels = every(5, channels)
    expected = masses(likelihood, pixels, raw)
    numbers = np.round(drawn[:, 0, 0] * 4).astype(int) @ 5 ** np.arange(channels)[::-1]
    counts = np.bincount(numbers, minlength=5**channels)
    likely = expected * n > 5
    assert (
        stats.chisquare(
            [*counts[likely], n - counts[likely].sum()], [*expected[likely] * n, n - expected[likely].sum() * n]
        ).pvalue
        > 1e-3
    )


def test_the_mean_is_that_of_the_levels_within_half_a_level_for_one_channel():
    likelihood = LogisticMixture(64, 3)
    for seed in range(8):
        raw = parameters(likelihood, (1, 1, 1), seed, scale=seed - 6)
        expected = (masses(likelihood, every(64, 1), raw) * every(64, 1)[:, 0, 0, 0]).sum()
        np.testing.assert_allclose(mean_of(likelihood, raw)[0, 0, 0, 0], expected, atol=0.5 / 63)


@pytest.mark.parametrize("scale", [-8, -4, -1, 0, 2, 4, 8])
def test_the_mean_of_a_component_keeps_its_digits_at_any_scale(scale):
    location = np.linspace(-2, 3, 101).astype(np.float32)
    raw = np.stack([0 * location, 2 * location - 1, np.full(101, scale, np.float32)], axis=-1)[:, None, None, None]
    width = 0.5 * np.exp(10 * np.tanh(scale / 10))
    edges = np.linspace(0, 1, 20_001)
    expected = integrate.simpson(stats.logistic.cdf((location[:, None] - edges) / width), x=edges, axis=1)
    np.testing.assert_allclose(mean_of(LogisticMixture(components=1), raw)[:, 0, 0, 0], expected, atol=2e-6)


def test_the_mean_of_three_channels_is_that_of_samples_where_little_lies_beyond_the_ends():
    likelihood, n = LogisticMixture(components=3), 20_000
    raw = parameters(likelihood, (1, 1, 3), scale=-3.5) * np.asarray([1, *[0.3] * 3, *[1] * 6], np.float32)
    drawn = np.asarray(sample(likelihood, np.repeat(raw, n, axis=0), jax.random.key(2)))
    error = 5 * drawn.std(axis=0) / np.sqrt(n) + 0.5 / 255
    assert (np.abs(mean_of(likelihood, raw)[0] - drawn.mean(axis=0)) < error).all()


def test_it_and_its_gradient_are_finite_anywhere():
    likelihood = LogisticMixture(components=2)
    rng = np.random.default_rng(3)
    raw = rng.choice([-1e4, -30.0, -1.0, 0.0, 2.0, 1e4], (500, *likelihood.raw_shape((1, 1, 3)))).astype(np.float32)
    x = rng.choice([0.0, 100 / 255, 1.0], (500, 1, 1, 3)).astype(np.float32)
    slopes = jax.jit(jax.grad(lambda raw: likelihood.log_prob(jnp.asarray(x), raw).sum()))
    assert np.isfinite(log_prob(likelihood, x, raw)).all()
    assert np.isfinite(slopes(raw)).all()
    assert np.isfinite(mean_of(likelihood, raw)).all()


@pytest.mark.parametrize(
    "decoder", [ConvDecoder((2,)), ResidualDecoder((2,))], ids=lambda decoder: type(decoder).__name__
)
def test_decoders_make_as_many_outputs_a_pixel_as_it_needs(decoder):
    shape = LogisticMixture(components=4).raw_shape((6, 5, 3))
    assert shape == (6, 5, 4, 10)
    made, _ = jax.eval_shape(lambda z: decoder.init_with_output(jax.random.key(0), z, shape), jnp.zeros((2, 3)))
    assert made.shape == (2, *shape)


@pytest.mark.parametrize(("components", "shape"), [(5, (30,)), (5, (4, 4)), (0, (4, 4, 3))])
def test_what_has_no_pixels_or_no_component_is_refused(components, shape):
    with pytest.raises(InputError, match=f"LogisticMixture of {components} components models the pixels of images"):
        LogisticMixture(components=components).raw_shape(shape)
