import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aejax.core import BATCH_AXIS
from aejax.models import Chosen, least_of_batch, selection, top_indices

ROUGH = st.tuples(st.integers(0, 100), st.sampled_from([1, 8]), st.sampled_from([2, 50]))
"""A seed, k, and the number of different values: with two, nearly all are tied."""


@settings(max_examples=25, deadline=None)
@given(ROUGH, st.sampled_from([2, 8]))
def test_two_stages_choose_what_one_does_in_the_same_order_ties_included(rough, size):
    seed, k, levels = rough
    values = np.random.default_rng(seed).integers(0, levels, (4, 67)).astype(np.float32)
    values[0, :3] = -np.inf
    expected = jax.lax.top_k(values, k)[1]
    staged = jax.jit(selection._in_two_stages, static_argnums=(1, 2))(values, k, size)
    np.testing.assert_array_equal(staged, expected)


def test_groups_are_used_where_there_are_many_columns():
    assert selection._group(4096, 32) == 1
    assert selection._group(131_072, 32) > 8
    values = jnp.asarray(np.random.default_rng(0).integers(0, 30, (2, 16_384)), jnp.float32)
    np.testing.assert_array_equal(jax.jit(top_indices, static_argnums=1)(values, 9), jax.lax.top_k(values, 9)[1])


def test_no_more_than_k_are_kept_where_values_are_equal_and_the_gradient_is_a_mask():
    values = jnp.asarray([[2.0, 2.0, 2.0, -1.0], [-1.0, 3.0, -2.0, -3.0]])
    code = Chosen.largest(values, 2).dense()
    np.testing.assert_array_equal(code, [[2, 2, 0, 0], [0, 3, 0, 0]])
    slope = jax.grad(lambda values: Chosen.largest(values, 2).dense().sum())(values)
    np.testing.assert_array_equal(slope, np.asarray(code) > 0)


@settings(max_examples=25, deadline=None)
@given(ROUGH)
def test_the_least_of_a_batch_is_what_sorting_says(rough):
    seed, k, levels = rough
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.integers(-levels, levels, (5, 9)) * rng.choice([1e-30, 1.0, 1e30]), 0).astype(np.float32)
    ranked = np.sort(values[values > 0])[::-1]
    expected = ranked[min(5 * k, len(ranked)) - 1] if len(ranked) else np.inf
    assert float(jax.jit(least_of_batch, static_argnums=1)(values, k)) == expected


def test_the_least_of_a_batch_is_that_of_all_devices_together():
    values = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (3, 4, 7)), jnp.float32)
    each = jax.vmap(lambda share: least_of_batch(share, 2), axis_name=BATCH_AXIS)(values)
    np.testing.assert_array_equal(each, np.full(3, least_of_batch(values.reshape(12, 7), 2)))


@pytest.mark.parametrize("odd", [0.0, -1.0])
def test_a_batch_without_a_positive_value_has_no_least_one(odd):
    assert np.isinf(least_of_batch(jax.nn.relu(jnp.full((2, 3), odd)), 1))
