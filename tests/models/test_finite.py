import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import InputError
from aejax.models import FiniteScalarQuantised

KEY = jax.random.key(0)
LATENT = FiniteScalarQuantised(2, (8, 5, 2))
Z = np.random.default_rng(0).normal(0, 3, (60, 6)).astype(np.float32)
SAME = {
    "params": {
        "spread": {"scale": jnp.full(3, 3.0), "bias": jnp.zeros(3)},
        "code": {"kernel": jnp.eye(3), "bias": jnp.zeros(3)},
    }
}
"""Variables by which z is three times the normalised features."""


@jax.jit
def quantised(z):
    return LATENT.apply(SAME, z)


def test_codes_are_those_of_the_paper_by_hand():
    posterior = quantised(Z)
    parts, levels = Z.reshape(-1, 3).astype(np.float64), np.array([8, 5, 2])
    z = 3 * (parts - parts.mean(axis=1, keepdims=True)) / parts.std(axis=1, keepdims=True)
    half, offset = (levels - 1) * 1.001 / 2, np.array([0.5, 0, 0.5])
    bounded = np.tanh(z + np.arctanh(offset / half)) * half - offset
    rounded = np.rint(bounded)
    assert (rounded.min(0) == -(levels // 2)).all()
    assert (rounded.max(0) == (levels - 1) // 2).all()
    np.testing.assert_allclose(posterior.mean, (rounded / (levels // 2)).reshape(60, 6), rtol=1e-6)
    np.testing.assert_allclose(posterior.features, (bounded / (levels // 2)).reshape(60, 6), rtol=1e-4, atol=1e-5)


def test_zero_is_a_code_and_every_code_has_an_index_of_its_own():
    np.testing.assert_array_equal(quantised(np.zeros_like(Z)).mean, 0)
    index = jnp.arange(80).reshape(40, 2)
    codes = LATENT.restore({}, index)
    assert len(np.unique(np.asarray(codes).reshape(80, 3), axis=0)) == LATENT.codes == 80
    posterior = quantised(Z)
    np.testing.assert_array_equal(LATENT.restore({}, posterior.index), posterior.mean)


def test_features_of_any_size_begin_with_many_codes():
    """Were all of them rounded to 0, a decoder without biases would give no gradient, and nothing would be learned."""
    posterior, _ = jax.jit(lambda: LATENT.init_with_output(KEY, jnp.asarray(0.01 * Z)))()
    assert len(np.unique(posterior.index)) > 10


def test_the_gradient_passes_straight_through_the_rounding():
    through, of_bounded = (
        jax.jit(jax.grad(lambda z, part=part: jnp.sum(jnp.arange(6.0)[None] * getattr(LATENT.apply(SAME, z), part))))(Z)
        for part in ("mean", "features")
    )
    np.testing.assert_array_equal(through, of_bounded)
    assert np.abs(through).max() > 0.1


def test_in_training_a_share_of_the_examples_gets_noise_as_wide_as_a_level_in_place_of_rounding():
    z, levels = np.random.default_rng(1).normal(0, 3, (2000, 6)).astype(np.float32), np.array([8, 5, 2])
    noisy = LATENT.clone(noise=0.3)
    found = jax.jit(lambda z: noisy.apply(SAME, z, train=True, rngs={"latent": KEY}))(z)
    rounded = np.asarray(quantised(z).mean)
    same = (np.asarray(found.mean) == rounded).all(axis=1)
    assert 0.66 < same.mean() < 0.74
    added = (np.asarray(found.mean - found.features).reshape(2000, 2, 3) * (levels // 2))[~same]
    assert np.abs(added).max() <= 0.5 + 1e-5
    np.testing.assert_allclose(added.mean(axis=(0, 1)), 0, atol=0.03)
    np.testing.assert_allclose(added.var(axis=(0, 1)), 1 / 12, atol=0.01)
    np.testing.assert_array_equal(found.index, quantised(z).index)
    np.testing.assert_array_equal(noisy.apply(SAME, jnp.asarray(z)).mean, rounded)


def test_values_begin_in_the_middle_of_the_levels():
    """With as many below as above, whatever the number of levels: a dimension that begins at its end has few codes."""
    latent = FiniteScalarQuantised(50, (8, 5, 2))
    posterior, _ = jax.jit(
        lambda: latent.init_with_output(KEY, jnp.asarray(np.random.default_rng(0).normal(0, 1, (99, 800))))
    )()
    bounded = np.asarray(posterior.features).reshape(-1, 3) * np.array([4, 2, 1])
    np.testing.assert_allclose(np.median(bounded, axis=0), [-0.5, 0, -0.5], atol=0.1)
    assert (np.abs(bounded + np.array([0.5, 0, 0.5])) < 0.9 * np.array([3.5, 2, 0.5])).mean() > 0.95


@pytest.mark.parametrize("noise", [-0.1, 1.5])
def test_a_share_that_is_none_is_refused(noise):
    with pytest.raises(InputError, match=r"noise is .*, but it is a share of the examples"):
        LATENT.clone(noise=noise).init(KEY, jnp.asarray(Z))


@pytest.mark.parametrize("settings", [{"slots": 4}, {"levels": (8, 1)}, {"levels": ()}])
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(InputError, match=r"slots=\d and levels=.*the encoder gives 6 features"):
        LATENT.clone(**settings).init(KEY, jnp.asarray(Z))
