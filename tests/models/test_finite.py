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


def test_the_gradient_passes_straight_through_the_rounding():
    through, of_bounded = (
        jax.jit(jax.grad(lambda z, part=part: jnp.sum(jnp.arange(6.0)[None] * getattr(LATENT.apply(SAME, z), part))))(Z)
        for part in ("mean", "features")
    )
    np.testing.assert_array_equal(through, of_bounded)
    assert np.abs(through).max() > 0.1


@pytest.mark.parametrize("settings", [{"slots": 4}, {"levels": (8, 1)}, {"levels": ()}])
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(InputError, match=r"slots=\d and levels=.*the encoder gives 6 features"):
        LATENT.clone(**settings).init(KEY, jnp.asarray(Z))
