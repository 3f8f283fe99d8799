"""Encoders and decoders of every kind of registered experiment give in node what `Trained` gives."""

import dataclasses

import numpy as np
import pytest

import aejax
from aejax.core import Examples
from aejax.data import Binarise, Data, MeanLength, Preprocess, Standardise, scaled
from aejax.experiment import Experiment
from aejax.explore import Arrays
from aejax.losses import Categorical, Cauchy, Gaussian, GaussianLearnedScale, Loss
from aejax.models import Autoencoder, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, Plain
from aejax.trained.exploring import encoder_and_decoder
from tests.helpers.node import needs_node, run
from tests.helpers.untrained import untrained
from tests.helpers.zoo import KINDS, shape_of, small

COLOUR = Autoencoder(ConvEncoder((4, 6)), Plain(5), ConvDecoder((6, 4)))
TABLE = Autoencoder(MLPEncoder((8,), "gelu", "layer"), Plain(4, "sigmoid"), MLPDecoder((8,), "elu"))
VARIANTS = {
    "colour, levels": (COLOUR, Categorical(8), Preprocess(), (10, 9, 3)),
    "colour, learned scale": (COLOUR, GaussianLearnedScale(), Binarise(), (10, 9, 3)),
    "table, clipped": (TABLE, Cauchy(), Standardise(clip=2.0), (7,)),
    "table, scaled": (TABLE, Gaussian(), MeanLength(), (7,)),
}


def compare(trained, half, tolerance):
    rng, classes = np.random.default_rng(1), trained.experiment.model.classes
    x = rng.random((3, *trained.shape), np.float32)
    x = np.round(9 * x) if trained.preprocess.counts else x
    label = np.asarray([0, 3, 1], np.int32) % classes if classes else None
    z = trained.encode(x, label)
    arrays = Arrays(half)
    seen = scaled(trained.as_held(Examples(x)).x)
    encoder, decoder, shape = encoder_and_decoder(trained, arrays)
    given = [[] if label is None else [np.asarray([each])] for each in (label if classes else range(3))]
    calls = [(0, [each, *more]) for each, more in zip(seen, given, strict=True)]
    calls += [(1, [each, *more]) for each, more in zip(z, given, strict=True)]
    found = run([encoder, decoder], calls, arrays)
    made = trained.decode(z, label)
    assert made.shape[1:] == tuple(shape)
    # What weights of half precision change is a share of the raw output, of which means of counts are exponentials.
    raw = np.log if half and trained.preprocess.counts else np.asarray
    for want, outs in zip([*([] if half else z), *made], found[3 if half else 0 :], strict=True):
        np.testing.assert_allclose(raw(outs[0]), raw(want).ravel(), atol=tolerance * max(1, np.abs(raw(want)).max()))
    return found


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_registered_model_gives_in_node_what_it_gives_here(name):
    trained = untrained(small(name), shape_of(name))
    compare(trained, half=False, tolerance=2e-5)
    compare(trained, half=True, tolerance=5e-3)


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_other_likelihoods_units_and_layers_do_so_too(name):
    model, likelihood, preprocess, shape = VARIANTS[name]
    experiment = Experiment(model, Loss(likelihood), Data("small", preprocess=preprocess))
    compare(untrained(experiment, shape), half=False, tolerance=2e-5)


@needs_node
@pytest.mark.slow
def test_a_normal_posterior_has_its_scales_on_the_page():
    experiment = dataclasses.replace(aejax.get("vae-keras"), data=Data("small"))
    model = experiment.model.clone(encoder=MLPEncoder((6,)), decoder=MLPDecoder((6,)))
    trained = untrained(dataclasses.replace(experiment, model=model), (4, 4, 1))
    found = compare(trained, half=False, tolerance=2e-5)
    x = np.random.default_rng(1).random((3, 4, 4, 1), np.float32)
    scale = trained.apply(lambda model, batch: model.encode(batch).scale, x)
    np.testing.assert_allclose([outs[1] for outs in found[:3]], scale, atol=1e-5)
