import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aejax.core import means
from aejax.core.mean import Mean

pytestmark = pytest.mark.usefixtures("strict")


@given(st.lists(st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=7), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_ragged_batches_merge_exactly(batches):
    parts = [Mean.of(jnp.asarray(batch, jnp.float32)) for batch in batches]
    merged = Mean(*(np.stack([np.asarray(getattr(part, name)) for part in parts]) for name in ("sum", "count")))
    assert means({"loss": merged})["loss"] == pytest.approx(np.concatenate(batches).mean(), rel=1e-5, abs=1e-5)


def test_masked_examples_count_for_nothing_whatever_their_value():
    values = jnp.asarray([1.0, 2.0, jnp.nan, jnp.inf])
    mean = Mean.of(values, jnp.asarray([True, True, False, False]))
    assert (float(mean.sum), float(mean.count)) == (3.0, 2.0)


def test_without_a_mask_every_example_counts():
    mean = Mean.of(jnp.asarray([1.0, 2.0, 6.0]))
    assert (float(mean.sum), float(mean.count)) == (9.0, 3.0)
    assert mean.sum.dtype == mean.count.dtype == jnp.float32


def test_means_are_added_up_in_float64():
    steps = 50_000
    sums = np.full(steps, 0.1, np.float32)
    sums[0] = 1e8
    exact = (1e8 + (steps - 1) * float(np.float32(0.1))) / steps
    mean = means({"loss": Mean(jnp.asarray(sums), jnp.ones(steps))})["loss"]
    assert isinstance(mean, float)
    assert mean == pytest.approx(exact, rel=1e-12)


def test_each_metric_keeps_its_name_and_its_own_count():
    metrics = {"a": Mean(jnp.float32(6.0), jnp.float32(3.0)), "b": Mean(jnp.float32(6.0), jnp.float32(2.0))}
    assert means(metrics) == {"a": 2.0, "b": 3.0}


def test_a_mean_keeps_the_shape_of_one_example_s_value_over_ragged_steps_and_members():
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(size, 2, 3)).astype(np.float32) for size in (4, 1, 6)]
    parts = [Mean.of(jnp.asarray(batch)) for batch in batches]
    merged = Mean(*(np.stack([np.asarray(getattr(part, name)) for part in parts]) for name in ("sum", "count")))
    found = means({"code": merged})["code"]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.concatenate(batches).mean(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-6)


def test_masked_examples_of_any_shape_count_for_nothing():
    values = jnp.asarray([[1.0, 2.0], [jnp.nan, jnp.inf], [3.0, 4.0]])
    mean = Mean.of(values, jnp.asarray([True, False, True]))
    np.testing.assert_array_equal(mean.sum, [4.0, 6.0])
    assert float(mean.count) == 2.0
