import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import InputError
from aejax.data import Binarise, MeanLength, Scale, Standardise, StaticBinarise

GREY = np.random.default_rng(0).integers(0, 256, (400, 5, 4, 1), dtype=np.uint8)
FLOATS = np.random.default_rng(0).normal(3, [0.1, 1, 50], (500, 3)).astype(np.float32)


def test_scale_is_exact_on_every_grey_level():
    levels = np.arange(256, dtype=np.uint8)[:, None]
    scaled = Scale()(jnp.asarray(levels), None)
    assert scaled.dtype == jnp.float32
    np.testing.assert_allclose(scaled, levels / 255, rtol=1.2e-7)  # the last bit: XLA multiplies by 1/255
    assert (scaled[0, 0], scaled[255, 0]) == (0, 1)


def test_scale_leaves_floats_alone():
    np.testing.assert_array_equal(Scale()(jnp.asarray(FLOATS), None), FLOATS)


def test_binarise_is_bernoulli_of_the_grey_level_anew_for_each_key():
    x = jnp.broadcast_to(jnp.asarray(GREY[:1]), (4000, 5, 4, 1))
    one, same, other = (Binarise()(x, jax.random.key(seed)) for seed in (0, 0, 1))
    assert one.dtype == jnp.float32
    assert set(np.unique(one)) == {0.0, 1.0}
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_allclose(one.mean(0), GREY[0] / 255, atol=0.04)


def test_binarise_without_a_key_is_grey():
    np.testing.assert_array_equal(Binarise()(jnp.asarray(GREY), None), Scale()(jnp.asarray(GREY), None))


def test_static_binarise_is_one_draw_for_good():
    placed = StaticBinarise().place(jnp.asarray(GREY))
    assert placed.dtype == jnp.uint8
    assert set(np.unique(placed)) == {0, 255}
    np.testing.assert_array_equal(placed, StaticBinarise().place(jnp.asarray(GREY)))
    assert (placed != StaticBinarise(draw=1).place(jnp.asarray(GREY))).any()
    assert placed.mean() / 255 == pytest.approx(GREY.mean() / 255, abs=0.02)
    seen = StaticBinarise()(placed, jax.random.key(3))
    np.testing.assert_array_equal(seen, np.asarray(placed) / 255)


def test_black_and_white_survive_both_draws():
    x = jnp.asarray(np.array([[0, 255]] * 100, np.uint8))
    np.testing.assert_array_equal(Binarise()(x, jax.random.key(0)), np.asarray(x) / 255)
    np.testing.assert_array_equal(StaticBinarise().place(x), x)


@pytest.mark.parametrize("x", [GREY, FLOATS], ids=["grey", "floats"])
def test_standardise_centres_and_scales_the_training_set_and_can_go_back(x):
    fitted = Standardise().fit(x)
    seen = fitted(jnp.asarray(x), None)
    np.testing.assert_allclose(seen.mean(0), 0, atol=2e-4)
    np.testing.assert_allclose(seen.std(0), 1, rtol=1e-3)
    np.testing.assert_allclose(fitted.invert(seen), Scale()(jnp.asarray(x), None), rtol=1e-5, atol=1e-5)


def test_standardise_is_safe_for_a_constant_value():
    x = np.column_stack([np.full(50, 7, np.uint8), np.arange(50, dtype=np.uint8)])
    seen = Standardise().fit(x)(jnp.asarray(x), None)
    assert np.isfinite(seen).all()
    np.testing.assert_allclose(seen[:, 0], 0, atol=1e-6)


@pytest.mark.parametrize("size", [1e-45, 1e-40, 1e-38, 1e-36])
def test_standardise_is_safe_for_values_that_a_device_takes_for_zero(size):
    x = (size * np.arange(50)[:, None]).astype(np.float32)
    assert np.isfinite(Standardise().fit(x)(jnp.asarray(x), None)).all()


def test_standardise_uses_what_it_learned_on_training_examples_only():
    fitted = Standardise().fit(FLOATS)
    np.testing.assert_allclose(
        fitted(jnp.asarray(FLOATS + 1), None) - fitted(jnp.asarray(FLOATS), None),
        np.broadcast_to(1 / FLOATS.std(0), FLOATS.shape),
        rtol=1e-2,
    )


def test_clipped_values_are_those_of_before_within_the_bound_and_none_is_beyond_it():
    x = np.concatenate([FLOATS, np.array([[1e3, -1e6, 3.4e38]])]).astype(np.float32)
    fitted = Standardise(clip=2.5).fit(FLOATS)
    free, clipped = (each(jnp.asarray(x), None) for each in (Standardise().fit(FLOATS), fitted))
    assert jnp.abs(clipped).max() == 2.5
    np.testing.assert_array_equal(clipped, np.clip(free, -2.5, 2.5))
    within = np.abs(free).max(axis=1) <= 2.5
    np.testing.assert_allclose(fitted.invert(clipped)[within], x[within], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("preprocess", [Scale(), Binarise(), StaticBinarise()])
def test_fitting_changes_nothing_where_there_is_nothing_to_learn(preprocess):
    assert preprocess.fit(GREY) == preprocess


@pytest.mark.parametrize("x", [GREY, FLOATS], ids=["grey", "floats"])
def test_mean_length_makes_the_mean_length_the_root_of_the_number_of_values(x):
    fitted = MeanLength().fit(x)
    seen = np.asarray(fitted(jnp.asarray(x), None)).reshape(len(x), -1)
    assert np.linalg.norm(seen, axis=1).mean() == pytest.approx(np.sqrt(seen.shape[1]), rel=1e-5)
    np.testing.assert_allclose(fitted.invert(fitted(jnp.asarray(x), None)), Scale()(jnp.asarray(x), None), rtol=1e-5)
    directions = [
        values / np.linalg.norm(values, axis=1, keepdims=True)
        for values in (seen, np.asarray(Scale()(jnp.asarray(x), None)).reshape(len(x), -1))
    ]
    np.testing.assert_allclose(*directions, rtol=1e-4)  # one number for all values, and none is subtracted


def test_mean_length_needs_data_that_are_not_all_zero_and_a_fit():
    with pytest.raises(InputError, match="all training examples are zero"):
        MeanLength().fit(np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="has not been fitted"):
        MeanLength()(jnp.ones((2, 3)), None)
