import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm

from aejax.core import InputError
from aejax.losses import SlicedWasserstein
from aejax.losses.sliced import squared_to_partner
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, require
from tests.helpers.passes import of_pass

pytestmark = pytest.mark.usefixtures("strict")


def test_on_a_line_it_is_the_cost_of_the_best_assignment():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(1, 2, (12, 3))
    made = jax.jit(squared_to_partner)(x.astype(np.float32), y.astype(np.float32))
    for column in range(3):
        cost = np.square(x[:, None, column] - y[None, :, column])
        best = cost[linear_sum_assignment(cost)]
        np.testing.assert_allclose(made[:, column], best, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("shift", "spread"), [(0.0, 1.0), (0.7, 2.0), (-3.0, 0.25)])
def test_it_is_the_distance_of_two_normals_on_a_line(shift, spread):
    """(m - 0)^2 + (s - 1)^2, of codes that lie as quantiles do."""
    codes = shift + spread * norm.ppf((np.arange(1000) + 0.5) / 1000)[:, None]
    exact = shift**2 + (spread - 1) ** 2
    assert abs(of_pass(SlicedWasserstein(), codes).mean() - exact) < 0.2 * np.sqrt(exact) + 0.02


def test_of_round_codes_it_is_the_same_in_any_number_of_dimensions():
    codes = 3 * np.random.default_rng(0).normal(size=(500, 5))
    np.testing.assert_allclose(of_pass(SlicedWasserstein(projections=20), codes).mean(), 4, rtol=0.2)


def test_the_gradient_moves_each_code_to_its_partner():
    codes = jnp.asarray([[3.0], [-2.0], [0.5]])
    slope = jax.jit(jax.grad(lambda x: squared_to_partner(x, jnp.asarray([[0.0], [1.0], [9.0]])).sum()))(codes)
    np.testing.assert_allclose(slope[:, 0], [2 * (3 - 9), 2 * (-2 - 0), 2 * (0.5 - 1)])


def test_a_model_without_a_prior_is_refused():
    model = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder())
    with pytest.raises(InputError, match="SlicedWasserstein needs a prior, which Autoencoder does not have"):
        require(SlicedWasserstein(), model)
