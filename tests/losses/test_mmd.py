import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics.pairwise import euclidean_distances

from aejax.core import InputError
from aejax.losses.mmd import IMQ, MMD, RBF
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, require
from tests.helpers.passes import of_pass, passed

pytestmark = pytest.mark.usefixtures("strict")
KERNELS = [RBF(0.8), IMQ(1.3)]


def by_pairs(kernel, a, b):
    ratio = euclidean_distances(a, b, squared=True) / (2 * a.shape[1] * kernel.scale**2)
    return np.exp(-ratio) if isinstance(kernel, RBF) else 1 / (1 + ratio)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_mean_is_the_u_statistic_over_all_pairs(kernel):
    codes = np.random.default_rng(0).normal(0.5, 2, (12, 3))
    key = passed(codes, key=3).model.make_rng("latent")  # what the term's own first draw is made with
    prior = np.asarray(jax.random.normal(key, (12, 3)), np.float64)
    off = ~np.eye(12, dtype=bool)
    own, other = by_pairs(kernel, codes, codes)[off].mean(), by_pairs(kernel, prior, prior)[off].mean()
    expected = own + other - 2 * by_pairs(kernel, codes, prior).mean()
    np.testing.assert_allclose(of_pass(MMD(kernel=kernel), codes, key=3).mean(), expected, rtol=1e-4)


def rbf_between_normals(shift, variance, scale, size):
    """E k(a, b) for a - b normal with this mean in every dimension, and variance."""
    width = size * scale**2  # exp(-|a - b|^2 / (2 width))
    return (width / (width + variance)) ** (size / 2) * np.exp(-size * shift**2 / (2 * (width + variance)))


@pytest.mark.parametrize(("shift", "spread"), [(0.0, 1.0), (0.7, 2.0)])
def test_its_expectation_is_the_discrepancy_of_two_normals_for_any_size_of_batch(shift, spread):
    between = lambda shift, variance: rbf_between_normals(shift, variance, 1.0, 2)  # noqa: E731
    exact = between(0, 2 * spread**2) + between(0, 2) - 2 * between(shift, 1 + spread**2)

    def estimate(key, batch):
        codes = shift + spread * jax.random.normal(jax.random.fold_in(key, 1), (batch, 2))
        model = passed(jnp.zeros((batch, 2))).model
        forward = passed(codes)._replace(model=model.clone().bind({}, rngs={"latent": key}))
        return MMD(kernel=RBF())(forward).mean()

    for batch in (2, 16):
        keys = jax.random.split(jax.random.key(batch), 4000)
        values = jax.jit(jax.vmap(lambda key, batch=batch: estimate(key, batch)))(keys)
        error = values.std() / np.sqrt(len(keys))
        assert abs(values.mean() - exact) < 4 * error


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "codes", [np.zeros((5, 3)), np.ones((1, 3)), np.full((5, 3), 1e25), 1e4 * np.arange(15.0).reshape(5, 3)]
)
def test_value_and_gradient_are_finite_where_codes_meet_and_where_they_are_far(kernel, codes):
    value, slope = jax.jit(jax.value_and_grad(lambda codes: MMD(kernel=kernel)(passed(codes)).mean()))(codes)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@pytest.mark.slow
def test_the_gradient_of_imq_draws_far_codes_to_the_prior():
    codes = jnp.asarray([[30.0, 0.0], [-30.0, 0.0]])
    slope = jax.jit(jax.grad(lambda codes: MMD()(passed(codes)).mean()))(codes)
    np.testing.assert_array_equal(np.sign(slope[:, 0]), [1, -1])


def test_a_model_without_a_prior_is_refused():
    model = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder())
    with pytest.raises(InputError, match="MMD needs a prior, which Autoencoder does not have: use Variational"):
        require(MMD(), model)
