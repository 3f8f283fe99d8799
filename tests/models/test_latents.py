import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.core import InputError, known_subclasses
from aejax.models import (
    FiniteScalarQuantised,
    GaussianLatent,
    HierarchicalLatent,
    Latent,
    MixturePrior,
    Normal,
    Plain,
    StandardNormal,
    TopDownLatent,
    traits,
)
from aejax.models.distributions import Point

pytestmark = pytest.mark.usefixtures("strict")
KEY = jax.random.key(0)


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


@pytest.mark.parametrize("latent", [Plain(6, "tanh", places=3), GaussianLatent(6, places=3)], ids=["plain", "normal"])
def test_each_place_makes_its_part_of_the_code_by_the_same_layer(latent):
    features = np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)
    posterior, variables = jax.jit(latent.init_with_output)(jax.random.key(0), jnp.asarray(features))
    code = (features.reshape(5, 3, 4) @ np.asarray(variables["params"]["code"]["kernel"])).reshape(5, 6)
    np.testing.assert_allclose(posterior.mean, np.tanh(code) if isinstance(latent, Plain) else code, rtol=1e-5)
    assert latent.dense == ()
    assert traits.DENSE_LAYER not in latent.meets
    with pytest.raises(InputError, match="places is 5, for a code of 6 and 12 features: it must divide both"):
        jax.eval_shape(latent.clone(places=5).init, jax.random.key(0), jnp.asarray(features))


SINGLE = [cls for cls in known_subclasses(Latent) if not cls.of_batch and cls is not TopDownLatent]


@pytest.mark.parametrize("cls", SINGLE, ids=lambda c: c.__name__)
def test_a_latent_that_is_not_of_the_batch_takes_every_example_by_itself(cls):
    features = np.random.default_rng(0).normal(size=(4, 128)).astype(np.float32)
    features, other = jax.device_put((features, np.concatenate([features[:1], 1 - features[1:]])))
    latent = cls(slots=4) if cls is FiniteScalarQuantised else cls()  # which must divide the features

    def trained(latent, features):
        return latent(features, True).sample(jax.random.key(1))

    variables = jax.jit(lambda: latent.init(jax.random.key(0), features, method=trained))()
    step = jax.jit(lambda variables, batch: latent.apply(variables, batch, method=trained, mutable=["counters"]))
    (one, after), (two, after_other) = (jax.device_get(step(variables, batch)) for batch in (features, other))
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, after, after_other)


def test_a_draw_and_its_log_density_come_together():
    rng = np.random.default_rng(0)
    normal = Normal(
        *(jnp.asarray(each, jnp.float32) for each in (rng.normal(size=(3, 4)), rng.uniform(0.3, 2, (3, 4))))
    )
    code, density = normal.sample_and_log_prob(KEY, 5)
    assert (code.shape, density.shape) == ((5, 3, 4), (5, 3))
    for number in range(5):
        np.testing.assert_allclose(density[number], normal.log_prob(code[number]), rtol=1e-4)
    one, _ = normal.sample_and_log_prob(KEY)
    np.testing.assert_array_equal(one, normal.sample(KEY))


def test_the_log_density_of_a_draw_is_exact_where_that_of_its_code_has_cancelled():
    noise = jax.random.normal(KEY, (3, 2))
    narrow = Normal(jnp.full((3, 2), 1e4), jnp.full((3, 2), 1e-4))  # float32 has steps of 1e-3 there
    expected = stats.norm.logpdf(np.asarray(noise, np.float64)).sum(axis=1) - 2 * np.log(1e-4)
    code, density = narrow.sample_and_log_prob(KEY)
    np.testing.assert_allclose(density, expected, rtol=1e-5)
    assert np.abs(narrow.log_prob(code) - expected).max() > 1


@pytest.fixture
def chain():
    latent = HierarchicalLatent((3, 2), (4,))
    features = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6)), jnp.float32)
    variables = latent.init(KEY, features, method=lambda latent, features: latent(features).mean)
    return latent.bind(variables)(features)


@pytest.mark.slow
def test_a_chain_draws_all_its_layers_with_their_log_density(chain):
    code, density = chain.sample_and_log_prob(KEY, 4)
    assert (code.shape, density.shape) == ((4, 5, 5), (4, 5))
    for number in range(4):
        np.testing.assert_allclose(density[number], chain.log_prob(code[number]), rtol=1e-4)
    one, _ = chain.sample_and_log_prob(KEY)
    np.testing.assert_array_equal(one, chain.sample(KEY))


def test_a_chain_stays_in_the_scope_of_its_model(chain):
    """It holds functions that are bound to variables, which no transformation may carry off."""
    assert jax.tree.leaves(chain) == [chain]


def test_a_pair_says_whether_its_divergence_has_a_closed_form(chain):
    normal = Normal(jnp.asarray([[0.5, -1.0]]), jnp.asarray([[0.3, 2.0]]))
    expected = 0.5 * (0.25 + 1 + 0.09 + 4 - 2) - np.log(0.6)
    np.testing.assert_allclose(normal.kl(StandardNormal()), [expected], rtol=1e-5)
    assert normal.kl(MixturePrior()) is None
    assert chain.kl(StandardNormal()) is None
