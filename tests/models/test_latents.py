import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import known_subclasses
from aejax.models import Latent, Plain
from aejax.models.distributions import Point

pytestmark = pytest.mark.usefixtures("strict")


def test_a_point_s_sample_is_its_mean_whatever_the_key():
    point = Point(jnp.arange(6.0).reshape(3, 2))
    for seed in (0, 1):
        np.testing.assert_array_equal(point.sample(jax.random.key(seed)), point.mean)


@pytest.mark.parametrize(("activation", "lowest"), [("linear", -np.inf), ("relu", 0.0), ("sigmoid", 0.0)])
def test_a_plain_code_is_a_dense_layer_and_its_activation(activation, lowest):
    features = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)
    point, variables = jax.jit(Plain(3, activation).init_with_output)(jax.random.key(0), features)
    dense = np.asarray(features) @ np.asarray(variables["params"]["code"]["kernel"])
    expected = {"linear": dense, "relu": np.maximum(dense, 0), "sigmoid": 1 / (1 + np.exp(-dense))}[activation]
    np.testing.assert_allclose(point.mean, expected, rtol=1e-5, atol=1e-6)
    assert point.mean.shape == (5, 3)
    assert point.mean.min() >= lowest


@pytest.mark.parametrize("cls", [cls for cls in known_subclasses(Latent) if not cls.of_batch], ids=lambda c: c.__name__)
def test_a_latent_that_is_not_of_the_batch_takes_every_example_by_itself(cls):
    features = np.random.default_rng(0).normal(size=(4, 128)).astype(np.float32)
    features, other = jax.device_put((features, np.concatenate([features[:1], 1 - features[1:]])))
    latent = cls()

    def trained(latent, features):
        return latent(features, True).sample(jax.random.key(1))

    variables = jax.jit(lambda: latent.init(jax.random.key(0), features, method=trained))()
    step = jax.jit(lambda variables, batch: latent.apply(variables, batch, method=trained, mutable=["counters"]))
    (one, after), (two, after_other) = (jax.device_get(step(variables, batch)) for batch in (features, other))
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, after, after_other)
