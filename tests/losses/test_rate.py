import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import InputError
from aejax.losses.rate import Capacity, FreeBits
from aejax.models import HierarchicalPrior, require
from tests.helpers.passes import of_pass, passed, posteriors

pytestmark = pytest.mark.usefixtures("strict")
MEAN, SCALE, CODE = posteriors(6, 3)


def rates(mean, scale):
    return 0.5 * (mean**2 + scale**2 - 1) - np.log(scale)


@pytest.mark.parametrize(("step", "capacity"), [(0, 1.0), (2, 3.0), (4, 5.0), (90, 5.0), (None, 5.0)])
def test_capacity_is_each_rate_s_distance_from_a_target_that_rises(step, capacity):
    term = Capacity(capacity=5.0, capacity_steps=5.0)
    expected = abs(rates(MEAN, SCALE).sum(axis=1) - capacity)
    np.testing.assert_allclose(of_pass(term, MEAN, SCALE, step=step), expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_capacity_raises_a_rate_below_it_and_lowers_one_above_it():
    total = jax.jit(jax.grad(lambda mean: Capacity(capacity=2.0)(passed(mean, 1.0)).sum()))
    slope = total(jnp.asarray([[1.0], [3.0]]))
    np.testing.assert_allclose(slope, [[-1.0], [3.0]], rtol=1e-6)  # the rates are 0.5 and 4.5


@pytest.mark.parametrize("free", [1e-6, 0.3, 1.2, 50.0])
def test_free_bits_are_the_sum_over_dimensions_of_the_larger_of_floor_and_mean_rate(free):
    expected = np.maximum(rates(MEAN, SCALE).mean(axis=0), free).sum()
    np.testing.assert_allclose(of_pass(FreeBits(free=free), MEAN, SCALE).mean(), expected, rtol=1e-5)


def test_a_dimension_that_spends_less_than_it_may_feels_nothing():
    mean = jnp.asarray([[0.1, 2.0], [-0.1, 1.0]])
    slope = jax.jit(jax.grad(lambda mean: FreeBits(free=0.5)(passed(mean, 1.0)).mean()))(mean)
    np.testing.assert_allclose(slope, [[0, 1.0], [0, 0.5]], rtol=1e-6)


def test_what_has_no_rate_for_each_dimension_is_refused():
    models = (passed(MEAN).model, passed(MEAN, SCALE).model.clone(prior=HierarchicalPrior((2, 1))))
    for model in models:
        with pytest.raises(InputError, match="by dimension or by layer, which VariationalAutoencoder does not have"):
            require(FreeBits(), model)
