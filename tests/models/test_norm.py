"""Normalisation and dropout, from the layer to a resumed run."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Examples, InputError, Stopped
from aejax.models import Autoencoder, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, Plain, TiedAutoencoder
from aejax.models.layers import Finish
from aejax.models.tied import TransposedDecoder
from aejax.runs import Run
from aejax.training import loop
from tests.helpers import compiled
from tests.helpers.small import same_bits, stop_after, without_times

X = np.random.default_rng(0).normal(2, 3, (64, 3, 5)).astype(np.float32)
BATCH = Autoencoder(MLPEncoder((8,), norm="batch", dropout=0.2), Plain(3), MLPDecoder((8,), norm="batch", dropout=0.2))


@partial(jax.jit, static_argnums=(0, 2))
def finish(layer, variables, train=True, key=None):
    return layer.apply(
        variables, jnp.asarray(X), train, mutable=["batch_stats"], rngs={} if key is None else {"dropout": key}
    )


@partial(jax.jit, static_argnums=0)
def begun(layer):
    return layer.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, jnp.asarray(X), True)


def test_batch_normalisation_takes_the_batch_in_training_and_running_averages_at_inference():
    layer = Finish("linear", "batch")
    variables = begun(layer)
    out, updated = finish(layer, variables)
    mean, variance = X.mean(axis=(0, 1), dtype=np.float64), X.var(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(out, (X - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-4)
    running = updated["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(running["mean"], 0.01 * mean, rtol=1e-4)
    np.testing.assert_allclose(running["var"], 0.99 + 0.01 * variance, rtol=1e-4)
    out, unchanged = finish(layer, {**variables, **updated}, False)
    np.testing.assert_allclose(out, (X - 0.01 * mean) / np.sqrt(0.99 + 0.01 * variance + 1e-5), rtol=1e-4, atol=1e-4)
    assert same_bits(unchanged, updated)


@pytest.mark.parametrize("train", [True, False])
def test_layer_normalisation_takes_each_example_alone(train):
    layer = Finish("linear", "layer")
    out, _ = finish(layer, begun(layer), train)
    expected = (X - X.mean(axis=-1, keepdims=True)) / np.sqrt(X.var(axis=-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-3)


def test_dropout_scales_what_it_keeps_and_is_off_at_inference():
    layer = Finish("linear", dropout=0.3)
    out, _ = finish(layer, {}, key=jax.random.key(3))
    kept = np.asarray(out) != 0
    np.testing.assert_allclose(np.asarray(out)[kept], X[kept] / 0.7, rtol=1e-5)
    assert abs(kept.mean() - 0.7) < 0.06
    np.testing.assert_array_equal(finish(layer, {}, False)[0], X)


DROPPING = {
    "mlp encoder": Autoencoder(MLPEncoder((8,), dropout=0.5), Plain(3), MLPDecoder()),
    "mlp decoder": Autoencoder(MLPEncoder(), Plain(3), MLPDecoder((8,), dropout=0.5)),
    "conv encoder": Autoencoder(ConvEncoder((4,), dropout=0.5), Plain(3), MLPDecoder()),
    "conv decoder": Autoencoder(MLPEncoder(), Plain(3), ConvDecoder((4,), dropout=0.5)),
    "tied decoder": TiedAutoencoder(MLPEncoder((8,)), Plain(3), TransposedDecoder(dropout=0.5)),
}


@pytest.mark.parametrize("model", DROPPING.values(), ids=DROPPING)
def test_every_encoder_and_decoder_drops_by_its_key_in_training_and_nothing_at_inference(model):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4, 4, 1)), jnp.float32)
    model = model.clone(shape=(4, 4, 1))

    def reconstructed(model, x, train):
        batch = Examples(x)
        return model.decode(model.encode(batch, train).mean, batch, train)

    variables = compiled.init(reconstructed, model, {"params": jax.random.key(0)}, x, False)

    @partial(jax.jit, static_argnums=0)
    def run(train, key):
        return compiled.apply(reconstructed, model, variables, {"dropout": key}, x, train)[0]

    (whole, same), (one, again, other) = (
        [run(train, jax.random.key(seed)) for seed in seeds] for train, seeds in ((False, (1, 2)), (True, (1, 1, 2)))
    )
    np.testing.assert_array_equal(whole, same)
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_cannot_be_dropped_is_refused(share):
    with pytest.raises(InputError, match="dropout is"):
        begun(Finish(dropout=share))


MODELS = {
    "mlp": (BATCH, "encoder/Stack_0/Finish_0 decoder/Stack_0/Finish_0"),
    "conv": (
        Autoencoder(ConvEncoder((2,), norm="batch"), Plain(3), ConvDecoder((2,), norm="batch")),
        "encoder/Finish_0 decoder/Finish_0",
    ),
}


def experiment_of(tiny, model=BATCH, epochs=2):
    return dataclasses.replace(tiny.experiment, model=model, epochs=epochs)


@pytest.mark.parametrize(
    ("model", "places"),
    [pytest.param(*case, marks=[pytest.mark.slow] * (name == "conv")) for name, case in MODELS.items()],
    ids=MODELS,
)
def test_training_updates_the_running_averages_of_every_hidden_layer(tiny, model, places):
    trained = aejax.fit(experiment_of(tiny, model), dataset=tiny.dataset)
    for place in places.split():
        statistics = trained.state.collections["batch_stats"]
        for name in place.split("/"):
            statistics = statistics[name]
        (norm,) = statistics.values()
        assert abs(np.asarray(norm["mean"])).max() > 0.001
        assert not np.allclose(norm["var"], 1)


def test_a_trained_model_uses_running_averages_whatever_it_is_given(tiny):
    trained = aejax.fit(experiment_of(tiny), dataset=tiny.dataset)
    x = tiny.dataset.test.x
    together = trained.encode(x)
    np.testing.assert_allclose(
        np.concatenate([trained.encode(x[i : i + 1]) for i in range(4)]), together[:4], atol=1e-5
    )
    params, statistics = jax.device_get((trained.state.params, trained.state.collections["batch_stats"]))
    dense, code = params["encoder"]["Stack_0"]["Dense_0"], params["latent"]["code"]
    affine, norm = (tree["encoder"]["Stack_0"]["Finish_0"]["BatchNorm_0"] for tree in (params, statistics))
    hidden = x.reshape(10, 16) / 255 @ dense["kernel"] + dense["bias"]
    hidden = (hidden - norm["mean"]) / np.sqrt(norm["var"] + 1e-5) * affine["scale"] + affine["bias"]
    np.testing.assert_allclose(together, np.maximum(hidden, 0) @ code["kernel"] + code["bias"], rtol=1e-4, atol=1e-4)
    # Evaluation too: were it to use the batch, or to drop, it would depend on how many examples go together.
    metrics = trained.evaluate(tiny.dataset.test)
    parts = [trained.evaluate(tiny.dataset.test.take(np.arange(i, i + 5)))["loss_nats"] for i in (0, 5)]
    assert metrics["loss_nats"] == pytest.approx(np.mean(parts), rel=1e-5)
    assert trained.history[-1]["loss_nats"] == pytest.approx(
        trained.evaluate(tiny.dataset.validation)["loss_nats"], rel=1e-5
    )


def test_a_resumed_run_goes_on_with_the_same_statistics_and_the_same_dropout(tiny, tmp_path, monkeypatch):
    experiment = experiment_of(tiny, epochs=4)
    whole = aejax.fit(experiment, dataset=tiny.dataset)
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            loop.train(experiment, folder=tmp_path, dataset=tiny.dataset)
    (folder,) = (tmp_path / "tiny").iterdir()
    assert Run(folder).experiment.model == experiment.model
    resumed = loop.train(experiment, resume=folder, dataset=tiny.dataset)
    assert same_bits(resumed.state, whole.state)
    assert without_times(resumed.history) == without_times(whole.history)
