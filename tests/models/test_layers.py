import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from aejax.models import activation
from aejax.models.layers import Activation, Stack

pytestmark = pytest.mark.usefixtures("strict")
X = np.linspace(-4, 4, 33)
EXPECTED = {
    "linear": X,
    "relu": np.maximum(X, 0),
    "leaky_relu": np.maximum(X, X / 5),
    "sigmoid": expit(X),
    "tanh": np.tanh(X),
    "elu": np.where(X > 0, X, np.expm1(X)),
    "gelu": X * norm.cdf(X),
    "silu": X * expit(X),
    "softplus": np.logaddexp(0, X),
}


@pytest.mark.parametrize("name", typing.get_args(Activation))
def test_an_activation_is_the_function_of_its_name(name):
    # GELU is the published tanh approximation, within 5e-4 of the exact one.
    np.testing.assert_allclose(jax.jit(activation(name))(X), EXPECTED[name], rtol=1e-5, atol=5e-4)


def test_a_stack_applies_its_activation_after_every_layer():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)), jnp.float32)
    out, variables = jax.jit(Stack((6, 3), "tanh").init_with_output)(jax.random.key(0), x)
    expected = np.asarray(x)
    for layer in jax.device_get([variables["params"][name] for name in ("Dense_0", "Dense_1")]):
        expected = np.tanh(expected @ layer["kernel"] + layer["bias"])
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


def test_a_gated_layer_is_half_of_its_values_times_the_sigmoid_of_the_other():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)
    out, variables = jax.jit(Stack((2,), "glu").init_with_output)(jax.random.key(0), x)
    values = np.asarray(x) @ np.asarray(variables["params"]["Dense_0"]["kernel"])
    np.testing.assert_allclose(out, values[:, :2] / (1 + np.exp(-values[:, 2:])), rtol=1e-5)


def test_an_empty_stack_is_the_identity():
    x = jnp.ones((4, 5))
    out, variables = Stack(()).init_with_output(jax.random.key(0), x)
    np.testing.assert_array_equal(out, x)
    assert not jax.tree.leaves(variables)
