import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.models import Plain, Point

pytestmark = pytest.mark.usefixtures("strict")


def test_a_point_s_sample_is_its_mean_whatever_the_key():
    point = Point(jnp.arange(6.0).reshape(3, 2))
    for seed in (0, 1):
        np.testing.assert_array_equal(point.sample(jax.random.key(seed)), point.mean)


@pytest.mark.parametrize(("activation", "lowest"), [("linear", -np.inf), ("relu", 0.0), ("sigmoid", 0.0)])
def test_a_plain_code_is_a_dense_layer_and_its_activation(activation, lowest):
    features = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)
    point, variables = Plain(3, activation).init_with_output(jax.random.key(0), features)
    dense = features @ variables["params"]["code"]["kernel"]
    expected = {"linear": dense, "relu": np.maximum(dense, 0), "sigmoid": 1 / (1 + np.exp(-dense))}[activation]
    np.testing.assert_allclose(point.mean, expected, rtol=1e-5, atol=1e-6)
    assert point.mean.shape == (5, 3)
    assert point.mean.min() >= lowest
