"""The regularised linear autoencoder's exact optimum. Kunin et al. 2019, theorem 4.2."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Adam, Cosine, Examples, as_arrays, train_step
from aejax.losses import Gaussian, Loss, Reconstruction, WeightL2
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain

DECAY = 0.3
MODEL = Autoencoder(MLPEncoder(), Plain(3), MLPDecoder(), (6,))


def drawn():
    """Six values with well separated principal directions, away from the axes and from the origin."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(60, 6)) * [3.0, 2.0, 1.2, 0.5, 0.3, 0.2]
    return (factors @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + rng.normal(size=6)).astype(np.float32)


@pytest.fixture(scope="module")
def optimum():
    """The data, and encoder's and decoder's kernels after training with decay on both."""
    x = drawn()
    terms = {"reconstruction": Reconstruction(), "decay": WeightL2(DECAY)}
    loss, optimizer = as_arrays((Loss(Gaussian(), terms), Adam(2e-2, Cosine(), horizon=4000.0)))
    key = jax.random.key(0)
    state = train_step.init(MODEL, loss, optimizer, Examples(jnp.asarray(x[:1])), key)

    def body(state, _):
        return train_step.step(MODEL, loss, optimizer, state, Examples(jnp.asarray(x)), key)[0], None

    state = jax.jit(lambda state: jax.lax.scan(body, state, length=4000)[0])(state)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params)
    return x.astype(np.float64), params["latent"]["code"]["kernel"], params["decoder"]["out"]["kernel"]


def principal(x):
    """Eigenvalues of the covariance (largest first) and their directions, in rows."""
    _, singular, directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return singular**2 / len(x), directions


@pytest.mark.slow
def test_the_decoder_s_singular_vectors_are_the_principal_directions(optimum):
    x, _, decoder = optimum
    directions = np.linalg.svd(decoder.T, full_matrices=False)[0].T
    cosines = np.abs(directions @ principal(x)[1][:3].T)
    np.testing.assert_allclose(cosines, np.eye(3), atol=0.01)


def test_its_singular_values_give_the_eigenvalues_by_kunin_s_formula(optimum):
    x, _, decoder = optimum
    shrunk = np.linalg.svd(decoder, compute_uv=False)
    np.testing.assert_allclose(DECAY / (1 - shrunk**2), principal(x)[0][:3], rtol=0.01)
    np.testing.assert_allclose(shrunk, np.sqrt(1 - DECAY / principal(x)[0][:3]), rtol=1e-3)


def test_the_encoder_becomes_the_decoder_s_transpose(optimum):
    _, encoder, decoder = optimum
    np.testing.assert_allclose(encoder, decoder.T, atol=1e-3)
