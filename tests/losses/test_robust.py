import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.core import as_arrays, unseen
from aejax.losses import Cauchy

pytestmark = pytest.mark.usefixtures("strict")


@pytest.mark.parametrize("shape", [(), (5,), (4, 4, 1)])
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_it_is_the_cauchy_density(rng, shape, scale):
    x, raw = rng.normal(0, 3, (2, 4, *shape)).astype(np.float32)
    expected = stats.cauchy.logpdf(x, raw, scale).reshape(4, -1).sum(axis=1)
    for likelihood in (Cauchy(scale), as_arrays(Cauchy(scale))):
        np.testing.assert_allclose(likelihood.log_prob(jnp.asarray(x), jnp.asarray(raw)), expected, rtol=2e-6)


def test_an_outlier_s_pull_fades_where_a_square_s_would_grow():
    pull = jax.vmap(jax.grad(lambda x: Cauchy().log_prob(x[None, None], jnp.zeros((1, 1)))[0]))
    np.testing.assert_allclose(pull(jnp.asarray([0.0, 1.0, 10.0, 1e6])), [0, -1, -20 / 101, -2e-6], rtol=1e-5)


def test_samples_have_its_quartiles():
    raw = jnp.full((40_000, 1), 3.0)
    draws = Cauchy(0.5).sample(raw, unseen(len(raw)), jax.random.key(0))
    np.testing.assert_allclose(np.quantile(draws, [0.25, 0.5, 0.75]), [2.5, 3, 3.5], atol=0.03)
    np.testing.assert_array_equal(Cauchy(0.5).mean(raw, unseen(len(raw))), raw)


@pytest.mark.parametrize(("given", "made"), [((4,), (4, 1)), ((4, 3), (4, 1))])
def test_shapes_that_differ_are_refused_not_broadcast(given, made):
    with pytest.raises((AssertionError, TypeError)):
        Cauchy().log_prob(jnp.zeros(given), jnp.zeros(made))
