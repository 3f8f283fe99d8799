"""A decoder's kernels are divided by their largest singular values, which power iteration finds over the steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Adam, Examples, InputError, apply, as_arrays, init, step
from aejax.losses import Gaussian, Loss
from aejax.models import (
    Autoencoder,
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    Plain,
    SpectrallyNormalised,
)

X = np.random.default_rng(0).normal(size=(6, 6, 6, 1)).astype(np.float32)
DENSE = Autoencoder(MLPEncoder(), Plain(4), SpectrallyNormalised(MLPDecoder((7,), "tanh")), (6, 6, 1))
CONV = Autoencoder(ConvEncoder((3,)), Plain(4), SpectrallyNormalised(ConvDecoder((3,)), 2), (6, 6, 1))


def trained(model, rate, steps):
    loss, optimizer = as_arrays((Loss(Gaussian()), Adam(rate).over(steps)))
    key = jax.random.key(0)
    state = init(model, loss, optimizer, Examples(jnp.asarray(X)), key)
    advance = jax.jit(lambda state: step(model, loss, optimizer, state, Examples(jnp.asarray(X)), key)[0])
    for _ in range(steps):
        state = advance(state)
    return state


@pytest.mark.parametrize("model", [DENSE, pytest.param(CONV, marks=pytest.mark.slow)], ids=["dense", "convolution"])
def test_the_largest_singular_values_are_numpy_s(model):
    """With parameters that stand still the vectors turn to the first singular ones."""
    state = trained(model, 0.0, 60)
    raw = jax.tree.leaves(state.params["decoder"]["decoder"])
    kernels = {leaf.shape: np.asarray(leaf).reshape(-1, leaf.shape[-1]) for leaf in raw if leaf.ndim > 1}
    vectors = jax.tree.leaves(state.collections["spectral"])
    assert len(vectors) == len(kernels) == 2
    for vector in vectors:
        assert any(
            matrix.shape[1] == len(vector)
            and np.isclose(np.linalg.norm(matrix @ vector), np.linalg.svd(matrix)[1][0], rtol=1e-3)
            for matrix in kernels.values()
        )


def test_a_decoder_is_the_same_as_one_whose_kernels_were_divided():
    state = trained(DENSE, 0.01, 80)
    z = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    made, _ = apply(lambda model: model.decode(jnp.asarray(z), Examples(X[:5])), DENSE, state.variables, {})
    params = state.params["decoder"]["decoder"]
    layers = [params["Stack_0"]["Dense_0"], params["out"]]
    divided = [np.asarray(layer["kernel"]) / np.linalg.svd(layer["kernel"])[1][0] for layer in layers]
    hidden = np.tanh(z @ divided[0] + np.asarray(layers[0]["bias"]))
    expected = hidden @ divided[1] + np.asarray(layers[1]["bias"])
    np.testing.assert_allclose(made.reshape(5, -1), expected, rtol=0.02, atol=0.02)  # kernels moved until the last step
    apart = np.linalg.norm(np.diff(np.asarray(made).reshape(5, -1), axis=0), axis=1)
    assert (apart <= 1.02 * np.linalg.norm(np.diff(z, axis=0), axis=1)).all()  # no layer stretches, nor does tanh


@pytest.mark.slow
def test_the_gradient_is_that_of_the_division_with_vectors_held_fixed():
    """Miyato et al. 2018, equation 10: d sigma / dW is the product of the first singular vectors."""
    state = trained(DENSE, 0.0, 100)
    kernel = np.asarray(state.params["decoder"]["decoder"]["out"]["kernel"])
    left, values, right = np.linalg.svd(kernel, full_matrices=False)

    def largest(kernel):
        params = {
            **state.params,
            "decoder": {
                "decoder": {
                    **state.params["decoder"]["decoder"],
                    "out": {**state.params["decoder"]["decoder"]["out"], "kernel": kernel},
                }
            },
        }
        z = jnp.zeros((1, 4))
        bias = state.params["decoder"]["decoder"]["out"]["bias"]
        raw, _ = apply(
            lambda model: model.decode(z + 1, Examples(X[:1])), DENSE, {"params": params, **state.collections}, {}
        )
        return jnp.sum((raw.reshape(-1) - bias) * weights)

    weights = np.random.default_rng(2).normal(size=36).astype(np.float32)
    found = jax.grad(largest)(jnp.asarray(kernel))
    hidden = jnp.asarray(_hidden(state))
    direct = jax.grad(lambda kernel: jnp.sum((hidden @ kernel) / (left[:, 0] @ kernel @ right[0]) * weights))(
        jnp.asarray(kernel)
    )
    np.testing.assert_allclose(found, direct, rtol=0.01, atol=1e-3)
    assert values[0] > values[1]


def _hidden(state):
    layer = state.params["decoder"]["decoder"]["Stack_0"]["Dense_0"]
    kernel = np.asarray(layer["kernel"])
    return np.tanh(np.ones(4) @ (kernel / np.linalg.svd(kernel)[1][0]) + np.asarray(layer["bias"]))


def test_what_cannot_be_normalised_is_refused():
    z = jnp.zeros((1, 4))
    with pytest.raises(InputError, match="iterations of SpectrallyNormalised is 0"):
        SpectrallyNormalised(MLPDecoder(), 0).init(jax.random.key(0), z, (3,))
