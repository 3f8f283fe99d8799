import dataclasses
import json

import jax
import numpy as np
import pytest

import aejax
from aejax.core import Adam, InputError
from aejax.data import Data
from aejax.experiment import Experiment
from aejax.losses import Gaussian, Loss, Masking
from aejax.models import Autoencoder, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, Plain, TiedAutoencoder
from aejax.models.tied import TransposedDecoder
from aejax.training import loop, pretraining

LAYER = Experiment(
    Autoencoder(MLPEncoder(), Plain(), MLPDecoder()),
    Loss(corruption=Masking(0.2)),
    Data("tiny"),
    Adam(1e-2),
    batch_size=8,
    epochs=2,
)
RBM = dataclasses.replace(LAYER, model=TiedAutoencoder(), loss=pretraining.rbm())
FREE = Autoencoder(MLPEncoder((7,), "sigmoid"), Plain(3, "sigmoid"), MLPDecoder((7,), "sigmoid"))
TIED = TiedAutoencoder(MLPEncoder((7,), "sigmoid"), Plain(3, "sigmoid"), TransposedDecoder("sigmoid"))
WAYS = {"autoencoders": (FREE, LAYER), "RBMs": (FREE, RBM), "RBMs, tied": (TIED, RBM)}


def stack(model):
    return Experiment(model, Loss(), Data("tiny"), Adam(1e-2), batch_size=8, epochs=1, name="stack")


@pytest.mark.slow
@pytest.mark.parametrize(("model", "recipe"), WAYS.values(), ids=WAYS)
def test_unrolled_layers_encode_and_decode_as_one_after_the_other(tiny, model, recipe):
    experiment = stack(model)
    parts = pretraining.layers(experiment, [recipe] * 2, tiny.dataset)
    params = pretraining.unroll(experiment, tiny.dataset, parts)
    started = aejax.fit(dataclasses.replace(experiment, optimizer=Adam(1e-30)), dataset=tiny.dataset, params=params)
    x = z = tiny.dataset.test.x
    for part in parts:
        z = part.encode(z)
    np.testing.assert_allclose(started.encode(x), z, atol=1e-6)
    back = z
    for part in reversed(parts):
        back = part.decode(back)
    np.testing.assert_allclose(started.decode(z), back, atol=1e-6)


@pytest.mark.slow
def test_every_layer_learns_on_the_codes_before_it_with_its_own_loss(tiny, tmp_path):
    top = dataclasses.replace(LAYER, loss=Loss(Gaussian()), epochs=3)
    deep = FREE.clone(encoder=MLPEncoder((7, 6), "sigmoid"), decoder=MLPDecoder((6, 7), "sigmoid"))
    parts = pretraining.layers(stack(deep), [RBM, LAYER, top], tiny.dataset, tmp_path)
    assert [part.shape for part in parts] == [(4, 4, 1), (7,), (6,)]
    assert [part.experiment.model.latent.size for part in parts] == [7, 6, 3]
    assert set(parts[0].history[0]) >= {"contrastive_divergence_nats", "free_energy_nats", "reconstruction_nats"}
    assert [len(part.history) for part in parts] == [4, 4, 6]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stack-layer-1", "stack-layer-2", "stack-layer-3"]
    kernels = [part.state.params["latent"]["code"]["kernel"] for part in parts]
    assert [kernel.shape for kernel in kernels] == [(16, 7), (7, 6), (6, 3)]


@pytest.mark.slow
def test_codes_of_a_data_set_keep_its_labels_and_its_empty_parts(tiny):
    trained = aejax.fit(stack(FREE), dataset=tiny.dataset)
    nobody = dataclasses.replace(tiny.dataset, validation=tiny.dataset.validation.take(np.arange(0)))
    codes = pretraining.encoded(trained, nobody)
    np.testing.assert_array_equal(codes.train.x, trained.encode(tiny.dataset.train.x))
    np.testing.assert_array_equal(codes.test.label, tiny.dataset.test.label)
    assert codes.validation.x.shape == (0, 3)


@pytest.mark.slow
def test_an_rbm_learns_the_probabilities_of_its_data(tiny):
    """Two kinds of vectors: most of what a reconstruction can gain over independent pixels is gained."""
    rng = np.random.default_rng(0)
    kinds = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], np.float32)
    x = kinds[rng.integers(0, 2, 400)]
    part = dataclasses.replace(tiny.dataset.train, x=x, label=None)
    nobody = dataclasses.replace(part, x=x[:0])
    dataset = dataclasses.replace(tiny.dataset, train=part, validation=nobody, test=part)
    recipe = dataclasses.replace(RBM, model=TiedAutoencoder(latent=Plain(3, "sigmoid")), epochs=20)
    history = aejax.fit(dataclasses.replace(recipe, optimizer=Adam(2e-2)), dataset=dataset).history
    assert history[0]["reconstruction_nats"] > 2
    assert history[-1]["reconstruction_nats"] < 0.5


@pytest.mark.slow
def test_normalisation_starts_as_fresh_as_ever(tiny):
    normed = stack(FREE.clone(encoder=MLPEncoder((7,), "sigmoid", "batch")))
    params = pretraining.unroll(normed, tiny.dataset, pretraining.layers(normed, [LAYER] * 2, tiny.dataset))
    np.testing.assert_array_equal(params["encoder"]["Stack_0"]["Finish_0"]["BatchNorm_0"]["scale"], np.ones(7))


REFUSED = {
    "gates": (Autoencoder(MLPEncoder((5,), "glu"), Plain(3), MLPDecoder((5,))), 2, "only a stack of dense layers"),
    "convolutions": (Autoencoder(ConvEncoder((2,)), Plain(3), ConvDecoder((2,))), 2, "only a stack of dense layers"),
    "another decoder": (Autoencoder(MLPEncoder((7,)), Plain(3), MLPDecoder((6,))), 2, r"\(6,\), but must be .*\(7,\)"),
    "too many recipes": (FREE, 3, "2 dense layers, but 3 recipes"),
}


@pytest.mark.parametrize(("model", "count", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_pretrained_is_refused(tiny, model, count, message):
    with pytest.raises(InputError, match=message):
        pretraining.layers(stack(model), [LAYER] * count, tiny.dataset)


@pytest.mark.slow
def test_parameters_of_another_model_are_no_start(tiny):
    params = aejax.fit(stack(FREE), dataset=tiny.dataset).state.params
    other = stack(FREE.clone(latent=Plain(2, "sigmoid")))
    with pytest.raises(InputError, match=r"not the model.s.*latent.code.bias, latent.code.kernel"):
        aejax.fit(other, dataset=tiny.dataset, params=params)


def test_training_starts_from_the_given_parameters(tiny):
    first = aejax.fit(stack(FREE), dataset=tiny.dataset)
    still = dataclasses.replace(stack(FREE), optimizer=Adam(1e-30), seed=5)
    again = aejax.fit(still, dataset=tiny.dataset, params=jax.device_get(first.state.params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), again.state.params, first.state.params)


@pytest.mark.slow
def test_a_run_says_what_it_started_from_and_keeps_saying_it(tiny, tmp_path):
    def started(params=None, **where):
        run = loop.train(stack(FREE), dataset=tiny.dataset, params=params, **where).run
        return run, json.loads((run.path / "experiment.json").read_text())["params"]

    first, fresh = started(folder=tmp_path)
    learned = aejax.load(first.path).state.params
    second, given = started(learned, folder=tmp_path)
    assert fresh == "fresh"
    assert given.startswith("given, crc32 ")
    assert started(jax.device_get(learned), folder=tmp_path)[1] == given
    assert started(jax.tree.map(lambda leaf: leaf + 1, learned), folder=tmp_path)[1] != given
    assert started(resume=second.path)[1] == given
