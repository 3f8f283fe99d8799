import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import aejax
from aejax.core import Examples, InputError
from aejax.models import Autoencoder, ConvDecoder, ConvEncoder, MLPEncoder, SpatialWinnerTakeAll, TopK, WinnerTakeAll
from aejax.models.sparse import UnitNormDecoder, largest
from aejax.training import loop
from tests.helpers import compiled

KEY = jax.random.key(0)
FEATURES = jnp.asarray(np.random.default_rng(0).normal(size=(10, 4)), jnp.float32)
TOP = TopK(12, 2)


def apply(latent, train, features=FEATURES, variables=None):
    """The code, before it the rectified activations, and the variables that are left."""
    variables = variables or init(latent, features)
    point, changed = applied(latent, train, variables, features)
    layer = jax.device_get(variables["params"]["code"])
    dense = np.asarray(features) @ layer["kernel"] + layer["bias"]
    return np.asarray(point.mean), np.maximum(dense, 0), {**variables, **changed}


@partial(jax.jit, static_argnums=0)
def init(latent, features):
    return latent.init(KEY, features, True)


@partial(jax.jit, static_argnums=(0, 1))
def applied(latent, train, variables, features):
    return latent.apply(variables, features, train, mutable=["counters"])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 3, 8]), st.integers(0, 100))
def test_the_largest_of_each_row_are_what_sorting_says(count, seed):
    values = np.random.default_rng(seed).permutation(40).reshape(5, 8).astype(np.float32)
    expected = np.where(values >= np.sort(values, axis=1)[:, [-count]], values, 0)
    np.testing.assert_array_equal(jax.jit(largest, static_argnums=(1, 2))(values, count, 8), expected)
    np.testing.assert_array_equal(jax.jit(largest, static_argnums=2)(values, count, 8), expected)


def test_top_k_keeps_the_k_largest_activations_of_each_example_after_relu():
    for features in (FEATURES, -FEATURES):
        code, dense, _ = apply(TOP, True, features)
        expected = np.where(dense >= np.sort(dense, axis=1)[:, [-2]], dense, 0)
        np.testing.assert_allclose(code, expected, rtol=1e-6)
        assert ((code > 0).sum(axis=1) <= 2).all()
        assert (code > 0).sum() > 10


def test_the_gradient_of_top_k_passes_through_the_survivors_alone():
    variables = init(TOP, FEATURES)

    def total(bias):
        params = {"code": {**variables["params"]["code"], "bias": bias}}
        return TOP.apply({"params": params}, FEATURES[:1]).mean.sum()

    code, _, _ = apply(TOP, False)
    np.testing.assert_array_equal(jax.jit(jax.grad(total))(jnp.zeros(12)), (code[0] > 0).astype(np.float32))


def test_outside_training_alpha_k_are_kept():
    wide = dataclasses.replace(TOP, alpha=2.5)
    positive = jnp.abs(FEATURES)
    variables = jax.tree.map(np.abs, jax.device_get(init(wide, positive)))
    for train, active in ((True, 2), (False, 5)):
        code, _, _ = apply(wide, train, positive, variables)
        assert ((code > 0).sum(axis=1) == active).all()


def test_the_survivors_of_training_fall_linearly_from_begin_to_k_and_evaluation_counts_no_step():
    latent = TopK(12, 2, begin=8, anneal_steps=3)
    positive = jnp.abs(FEATURES)
    variables = jax.tree.map(np.abs, jax.device_get(init(latent, positive)))
    assert variables["counters"]["steps"] == 0
    active = []
    for _ in range(5):
        held = np.asarray(applied(latent, False, variables, positive)[0].mean)
        assert ((held > 0).sum(axis=1) == 2).all()
        code, _, variables = apply(latent, True, positive, variables)
        active.append(set((code > 0).sum(axis=1).tolist()))
    assert active == [{8}, {6}, {4}, {2}, {2}]
    assert variables["counters"]["steps"] == 5


def test_winner_take_all_keeps_a_share_of_the_batch_for_each_unit_in_training():
    latent = WinnerTakeAll(12, 0.3)
    code, dense, variables = apply(latent, True)
    expected = np.where(dense >= np.sort(dense, axis=0)[[-3]], dense, 0)
    np.testing.assert_allclose(code, expected, rtol=1e-6)
    assert (code > 0).sum(axis=0).max() == 3
    np.testing.assert_allclose(apply(latent, False, variables=variables)[0], dense, rtol=1e-5, atol=1e-6)


def test_winners_are_the_same_when_the_batch_is_duplicated():
    latent = WinnerTakeAll(12, 0.3)
    once, _, variables = apply(latent, True)
    twice, _, _ = apply(latent, True, jnp.concatenate([FEATURES, FEATURES]), variables)
    np.testing.assert_allclose(twice, np.concatenate([once, once]), rtol=1e-6)


def test_each_feature_map_keeps_its_largest_activation_in_training():
    model = Autoencoder(
        ConvEncoder((3,), activation="linear"), SpatialWinnerTakeAll(12, 3), ConvDecoder((2,)), (4, 4, 1)
    )
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4, 4, 1)), jnp.float32)
    variables = compiled.init(
        lambda model, x: model.decode(model.encode(Examples(x)).mean, Examples(x)), model, {"params": KEY}, x
    )
    maps, held, kept = (
        compiled.apply(function, model, variables, {}, x)[0]
        for function in (
            lambda model, x: model.encoder(x).reshape(5, 4, 3),
            lambda model, x: model.encode(Examples(x)).mean.reshape(5, 4, 3),
            lambda model, x: model.encode(Examples(x), True).mean.reshape(5, 4, 3),
        )
    )
    np.testing.assert_array_equal(held, np.maximum(maps, 0))
    np.testing.assert_array_equal(kept, np.where(maps == maps.max(axis=1, keepdims=True), np.maximum(maps, 0), 0))
    assert ((kept > 0).sum(axis=1) <= 1).all()
    assert (kept > 0).sum() > 10


@pytest.mark.parametrize("latent", [SpatialWinnerTakeAll(5, 2), SpatialWinnerTakeAll(4, 3)])
def test_features_that_are_not_such_maps_are_refused(latent):
    with pytest.raises(InputError, match="the encoder gives 4 features"):
        latent.apply({}, FEATURES)


def test_rows_of_a_unit_norm_decoder_have_length_1_whatever_its_kernel():
    decoder = UnitNormDecoder()
    variables = jax.tree.map(lambda leaf: 3 * leaf, decoder.init(KEY, jnp.eye(4), (2, 3, 1)))
    rows = np.asarray(jax.jit(lambda variables: decoder.apply(variables, jnp.eye(4), (2, 3, 1)))(variables)).reshape(
        4, 6
    )
    kernel = np.asarray(variables["params"]["out"]["kernel"])
    assert kernel.shape == (4, 6)
    np.testing.assert_allclose(rows, kernel / np.linalg.norm(kernel, axis=1, keepdims=True), rtol=1e-5)


def test_the_gradient_of_a_unit_norm_decoder_has_no_part_along_its_rows():
    decoder, target = UnitNormDecoder(), jnp.asarray(np.random.default_rng(1).normal(size=(4, 6)), jnp.float32)
    params = decoder.init(KEY, FEATURES[:4], (6,))["params"]
    total = lambda params: (decoder.apply({"params": params}, FEATURES[:4], (6,)) * target).sum()  # noqa: E731
    gradient, params = jax.device_get((jax.jit(jax.grad(total))(params), params))
    along = (gradient["out"]["kernel"] * params["out"]["kernel"]).sum(axis=1)
    assert abs(gradient["out"]["kernel"]).max() > 0.1
    np.testing.assert_allclose(along, 0, atol=1e-5)


@pytest.mark.parametrize(
    "latent",
    [TopK(12, 0), TopK(12, 13), TopK(12, 5, begin=4), TopK(12, 5, alpha=3.0), TopK(12, 2, begin=13), TopK(12, 2, 0.1)],
)
def test_a_k_that_does_not_fit_is_refused(latent):
    with pytest.raises(InputError, match=f"of a code of 12, TopK cannot keep k={latent.k}"):
        apply(latent, True)


@pytest.mark.parametrize("rate", [0.0, 1.1])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(InputError, match=f"rate of WinnerTakeAll is {rate}"):
        apply(WinnerTakeAll(12, rate), True)


@pytest.mark.slow
def test_training_counts_its_steps_and_resumes_with_the_same_bits(tiny, tmp_path):
    model = Autoencoder(MLPEncoder(), TopK(6, 2, begin=5, anneal_steps=8), UnitNormDecoder())
    experiment = dataclasses.replace(tiny.experiment, model=model)
    whole = aejax.fit(experiment, dataset=tiny.dataset)
    half = loop.train(dataclasses.replace(experiment, epochs=1), dataset=tiny.dataset, folder=tmp_path)
    resumed = loop.train(experiment, dataset=tiny.dataset, resume=half.run.path)
    assert jax.tree.leaves(resumed.state.collections) == [10]
    for ours, theirs in zip(jax.tree.leaves(resumed.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
