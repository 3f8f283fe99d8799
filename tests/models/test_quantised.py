import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.cluster import KMeans

import aejax
from aejax.core import BATCH_AXIS, Examples, InputError
from aejax.losses import Commitment, Loss, Reconstruction
from aejax.losses.quantised import Codebook
from aejax.models import Autoencoder, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, Quantised, VectorQuantised
from aejax.models.quantised import nearest
from aejax.training import loop
from tests.helpers import compiled

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
FEATURES = jnp.asarray(RNG.normal(size=(40, 6)), jnp.float32)
STILL = VectorQuantised(2, 3, 5, patience=None)
EITHER = pytest.mark.parametrize("learning", ["average", "gradient"])


@partial(jax.jit, static_argnums=0)
def initial(latent, features):
    return latent.init({"params": KEY, "latent": KEY}, features, True)


def begun(latent, features=FEATURES):
    """Variables whose dense layer changes nothing, with codes as far apart as the features."""
    variables = initial(latent, features)
    rng = np.random.default_rng(1)
    codes = {
        name: jnp.asarray(rng.normal(size=(latent.codes, latent.dimension)), jnp.float32)
        for name in ("placed", *(f"placed_{book}" for book in range(1, latent.depth)))
    }
    code = {"kernel": jnp.eye(latent.dimension), "bias": jnp.zeros(latent.dimension)}
    params = {**variables["params"], "code": code}
    return {"params": params, "codebook": {**variables["codebook"], **codes}}


@partial(jax.jit, static_argnums=0)
def trained(latent, variables, features=FEATURES, seed=0):
    """The posterior of one step of training, and the variables after it."""
    posterior, changed = latent.apply(
        variables, features, True, rngs={"latent": jax.random.key(seed)}, mutable=["codebook"]
    )
    return posterior, {**variables, **changed}


@partial(jax.jit, static_argnums=0)
def held(latent, variables):
    """The posterior of an evaluation, and what became of the codebook."""
    return latent.apply(variables, FEATURES, mutable=["codebook"])


def codebook(variables):
    return np.asarray(variables["codebook"]["placed"]) + np.asarray(variables["params"].get("moved", np.float32(0)))


def distances(vectors, codes):
    return np.square(vectors[:, None].astype(np.float64) - codes[None]).sum(axis=2)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 100))
def test_the_nearest_code_is_the_one_that_brute_force_finds(codes, dimension, seed):
    rng = np.random.default_rng(seed)
    vectors, book = (rng.normal(size=(size, dimension)).astype(np.float32) for size in (12, codes))
    np.testing.assert_array_equal(jax.jit(nearest)(vectors, book), distances(vectors, book).argmin(1))


@pytest.mark.slow
@EITHER
def test_each_slot_holds_its_nearest_code_exactly(learning):
    latent = dataclasses.replace(STILL, learning=learning)
    variables = begun(latent)
    posterior, _ = held(latent, variables)
    vectors = np.asarray(FEATURES).reshape(80, 3)
    index = distances(vectors, codebook(variables)).argmin(axis=1)
    np.testing.assert_array_equal(posterior.index, index.reshape(40, 2))
    np.testing.assert_array_equal(posterior.features, FEATURES)
    for code in (posterior.mean, posterior.sample(KEY)):
        np.testing.assert_array_equal(code, codebook(variables)[index].reshape(40, 6))
    assert len(set(index)) == 5


@pytest.mark.slow
def test_the_slots_of_a_convolutional_encoder_are_the_places_of_its_maps(rng):
    model = Autoencoder(ConvEncoder((4, 3)), VectorQuantised(4, 2, 6), ConvDecoder((2, 2)), (7, 8, 1))
    x = jnp.asarray(rng.uniform(size=(5, 7, 8, 1)), jnp.float32)
    keys = {"params": KEY, "latent": KEY}

    def places(model, x):
        dense = model.latent.variables["params"]["code"]
        maps = model.encoder(x).reshape(5, 2, 2, 3)
        return maps @ dense["kernel"] + dense["bias"][None, None, None], model.encode(Examples(x)).features

    variables = compiled.init(
        lambda model, x: model.decode(model.encode(Examples(x)).mean, Examples(x)), model, keys, x
    )
    (maps, features), _ = compiled.apply(places, model, variables, {}, x)
    np.testing.assert_allclose(features.reshape(maps.shape), maps, rtol=1e-5, atol=1e-6)


def test_the_gradient_at_the_features_is_the_decoder_s_at_the_code(rng):
    features, code = (jnp.asarray(rng.normal(size=(3, 4)), jnp.float32) for _ in range(2))
    index = jnp.zeros((3, 2), jnp.int32)

    def decoded(code):
        return jnp.sin(code).sum() + jnp.prod(code)

    def through(features, code):
        return decoded(Quantised(features, code, index).mean)

    to_features, to_code = jax.jit(jax.grad(through, (0, 1)))(features, code)
    np.testing.assert_array_equal(to_features, jax.jit(jax.grad(decoded))(code))
    np.testing.assert_array_equal(to_code, 0)


def test_moving_averages_are_those_of_the_appendix_by_hand():
    latent = dataclasses.replace(STILL, decay=0.8)
    variables = begun(latent)
    codes = codebook(variables).astype(np.float64)
    count, total = np.full(5, 1 / 5), codes / 5
    for seed in range(6):
        features = np.random.default_rng(seed).normal(size=(40, 6)).astype(np.float32)
        vectors = features.reshape(80, 3)
        chosen = np.eye(5)[distances(vectors, codes).argmin(axis=1)]
        count = 0.8 * count + 0.2 * chosen.sum(axis=0) / 80
        total = 0.8 * total + 0.2 * chosen.T @ vectors / 80
        codes = total / count[:, None]
        _, variables = trained(latent, variables, jnp.asarray(features))
        np.testing.assert_allclose(codebook(variables), codes, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(variables["codebook"]["share"], count, rtol=1e-4)


def test_without_memory_the_averages_are_k_means():
    latent = dataclasses.replace(STILL, decay=0.0)
    variables = begun(latent)
    vectors = np.asarray(FEATURES).reshape(80, 3)
    lloyd = KMeans(5, init=codebook(variables), n_init=1, tol=0, algorithm="lloyd").fit(vectors)
    for _ in range(30):
        posterior, variables = trained(latent, variables)
    np.testing.assert_array_equal(posterior.index.reshape(-1), lloyd.labels_)
    np.testing.assert_allclose(codebook(variables), lloyd.cluster_centers_, rtol=1e-3, atol=1e-4)
    error = np.square(np.asarray(posterior.mean) - np.asarray(posterior.features)).sum()
    assert error == pytest.approx(lloyd.inertia_, rel=1e-3)


@EITHER
def test_the_next_codebook_is_the_same_when_the_batch_is_duplicated(learning):
    latent = dataclasses.replace(STILL, learning=learning, decay=0.5)
    variables = begun(latent)
    (_, once), (_, twice) = (
        trained(latent, variables, features) for features in (FEATURES, jnp.concatenate([FEATURES, FEATURES]))
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), once, twice)
    assert np.array_equal(codebook(once), codebook(variables)) == (learning == "gradient")


@EITHER
def test_evaluation_leaves_the_codebook_alone_and_gives_what_training_gives(learning):
    latent = dataclasses.replace(STILL, learning=learning, patience=3)
    variables = begun(latent)
    evaluated, changed = held(latent, variables)
    jax.tree.map(np.testing.assert_array_equal, changed["codebook"], variables["codebook"])
    posterior, _ = trained(latent, variables)
    jax.tree.map(np.testing.assert_array_equal, posterior, evaluated)


@EITHER
def test_a_dead_code_moves_to_a_feature_of_the_batch_once_its_time_is_up(learning):
    latent = dataclasses.replace(STILL, learning=learning, patience=3)
    variables = begun(latent)
    far = codebook(variables) + 100 * (np.arange(5) >= 3)[:, None]
    offset = {} if learning == "average" else {"moved": jnp.full((5, 3), 7.0)}
    placed = jnp.asarray(far - (7 if offset else 0), jnp.float32)
    variables["params"] |= offset
    variables["codebook"] |= {"placed": placed, "unused": jnp.zeros(5, jnp.int32)}
    steps, unused = [], []
    for seed in range(4):
        _, variables = trained(latent, variables, seed=seed)
        steps.append(codebook(variables))
        unused.append(variables["codebook"]["unused"][3:].tolist())
    for step in steps[:2]:
        assert (step[3:] > 90).all()
    gaps = distances(steps[2], np.asarray(FEATURES).reshape(80, 3)).min(axis=1)
    np.testing.assert_allclose(gaps[3:], 0, atol=1e-9)
    assert (gaps[:3] > 1e-3).all()
    index = held(latent, variables)[0].index
    assert set(np.unique(index)) == set(range(5))
    assert unused == [[1, 1], [2, 2], [0, 0], [0, 0]]


@pytest.mark.slow
def test_the_first_batch_places_the_codes_that_it_leaves_unused_by_its_key():
    latent = VectorQuantised(2, 3, 30, decay=0.0)
    start = initial(latent, FEATURES)
    posterior, _ = trained(latent, start)
    first, again, other = (codebook(trained(latent, start, seed=seed)[1]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    unused = np.setdiff1d(np.arange(30), posterior.index)
    gaps = distances(first, np.asarray(posterior.features).reshape(80, 3)).min(axis=1)
    assert len(unused) > 5
    np.testing.assert_allclose(gaps[unused], 0, atol=1e-9)
    assert not np.array_equal(first[unused], other[unused])


def test_each_codebook_takes_what_those_before_it_have_left():
    latent = dataclasses.replace(STILL, depth=3)
    variables = begun(latent)
    posterior, _ = held(latent, variables)
    left, indices = np.asarray(FEATURES).reshape(80, 3).astype(np.float64), []
    for name in ("placed", "placed_1", "placed_2"):
        book = np.asarray(variables["codebook"][name])
        indices.append(distances(left, book).argmin(axis=1))
        left = left - book[indices[-1]]
    np.testing.assert_array_equal(posterior.index, np.stack(indices, axis=1).reshape(40, 6))
    np.testing.assert_allclose(posterior.mean, np.asarray(FEATURES) - left.reshape(40, 6), atol=1e-5)
    restored = jax.jit(latent.restore)(variables, posterior.index)
    np.testing.assert_array_equal(restored, posterior.mean)
    single, _ = held(STILL, {**variables, "codebook": {"placed": variables["codebook"]["placed"]}})
    np.testing.assert_array_equal(single.index, posterior.index.reshape(40, 2, 3)[:, :, 0])


@pytest.mark.slow
def test_the_error_falls_with_the_depth():
    errors = []
    for depth in (1, 3):
        latent = dataclasses.replace(STILL, depth=depth, decay=0.0, patience=2)
        variables = begun(latent)
        for seed in range(8):
            posterior, variables = trained(latent, variables, seed=seed)
        errors.append(float(jnp.mean(jnp.square(posterior.mean - FEATURES))))
    assert errors[1] < 0.5 * errors[0]


def divided(latent, variables, devices):
    """The codebook's variables after a step whose batch is divided among so many devices, as each has them."""

    def share(features, key):
        _, changed = latent.apply(variables, features, True, rngs={"latent": key}, mutable=["codebook"])
        return changed["codebook"]

    parts = FEATURES.reshape(devices, -1, 6)
    return jax.jit(jax.vmap(share, axis_name=BATCH_AXIS))(parts, jax.random.split(KEY, devices))


@pytest.mark.parametrize("devices", [2, 4])
def test_codes_move_by_the_whole_batch_where_devices_divide_it(devices):
    latent = dataclasses.replace(STILL, decay=0.5)
    variables = begun(latent)
    _, whole = trained(latent, variables)
    for name, kept in divided(latent, variables, devices).items():
        for own in kept:
            np.testing.assert_allclose(own, whole["codebook"][name], rtol=1e-5, atol=1e-6)


def test_devices_that_divide_a_batch_move_unused_codes_to_the_same_vectors_of_it_all():
    latent = VectorQuantised(2, 3, 30, decay=0.0)
    variables = begun(latent)
    used = np.unique(held(latent, variables)[0].index)
    kept = divided(latent, variables, 4)
    for own in jax.tree.leaves(kept):
        np.testing.assert_array_equal(own, np.broadcast_to(own[0], own.shape))
    unused = np.setdiff1d(np.arange(30), used)
    nearest_vector = distances(np.asarray(kept["placed"][0]), np.asarray(FEATURES).reshape(80, 3))[unused]
    np.testing.assert_allclose(nearest_vector.min(axis=1), 0, atol=1e-9)
    assert len(np.unique(nearest_vector.argmin(axis=1) // 20)) == 4  # vectors of each device


def test_a_depth_of_one_has_the_names_that_runs_have():
    names = {name: set(held) for name, held in initial(VectorQuantised(2, 3, 5), FEATURES).items()}
    assert names == {"params": {"code"}, "codebook": {"placed", "share", "unused"}}


@pytest.mark.slow
@pytest.mark.parametrize("learning", ["average", "gradient"])
def test_resumed_from_the_middle_training_ends_with_the_same_bits(learning, tiny, tmp_path):
    terms = {"reconstruction": Reconstruction(), "commitment": Commitment()}
    terms |= {"codebook": Codebook()} if learning == "gradient" else {}
    latent = VectorQuantised(4, 2, 16, learning, patience=2)
    model = Autoencoder(MLPEncoder((8,)), latent, MLPDecoder())
    experiment = dataclasses.replace(tiny.experiment, model=model, loss=Loss(terms=terms))
    whole = aejax.fit(experiment, dataset=tiny.dataset)
    half = loop.train(dataclasses.replace(experiment, epochs=1), dataset=tiny.dataset, folder=tmp_path)
    resumed = loop.train(experiment, dataset=tiny.dataset, resume=half.run.path)
    for ours, theirs in zip(jax.tree.leaves(resumed.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    before, after = (run.state.collections["codebook"]["latent"]["placed"] for run in (half, whole))
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    "latent",
    [
        VectorQuantised(4),
        VectorQuantised(2, 0),
        VectorQuantised(2, 3, 0),
        VectorQuantised(0),
        VectorQuantised(2, depth=0),
    ],
)
def test_slots_that_do_not_divide_the_features_are_refused(latent):
    with pytest.raises(InputError, match=rf"slots={latent.slots}.*the encoder gives 6 features"):
        latent.init(KEY, FEATURES)


@pytest.mark.parametrize("settings", [{"decay": 1.0}, {"decay": -0.1}, {"patience": 0}])
def test_a_memory_that_is_none_is_refused(settings):
    with pytest.raises(InputError, match=r"decay must be at least 0 and below 1, patience at least 1 or None"):
        dataclasses.replace(STILL, **settings).init(KEY, FEATURES)
