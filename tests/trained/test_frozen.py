"""Plain weights do what a trained dictionary does, for every variant and every scale of its input."""

import dataclasses
from functools import cache

import jax
import numpy as np
import pytest

import aejax
from aejax.core import Adam, Examples, ExponentialAverage, InputError
from aejax.data import Data, Dataset, MeanLength, Scale, Standardise
from aejax.evaluation import features_page
from aejax.experiment import Experiment
from aejax.losses import GateDecoding, Gaussian, Loss, Reconstruction, SigmoidGaussian, StepL0
from aejax.models import (
    Autoencoder,
    BatchTopK,
    Dictionary,
    ExactTopK,
    Gated,
    JumpReLU,
    MLPDecoder,
    MLPEncoder,
    Plain,
    Rectified,
    UnitNormDecoder,
)
from aejax.trained import freeze

RNG = np.random.default_rng(0)
PART = Examples((RNG.normal(size=(40, 6)) * 7 + 3).astype(np.float32))
DATASET = Dataset("generated", PART, PART.take(np.arange(8)), PART.take(np.arange(8, 24)))
LATENTS = {
    "rectified": Rectified(12),
    "top-k": ExactTopK(12, 3),
    "batch-top-k": BatchTopK(12, 3, decay=0.5),
    "jump-relu": JumpReLU(12, 0.1, 0.5),
    "gated": Gated(12),
}


def experiment(latent, preprocess, renormalise=False, **settings):
    terms = {"error": Reconstruction()}
    terms |= {"l0": StepL0(0.1)} if isinstance(latent, JumpReLU) else {}
    terms |= {"gates": GateDecoding()} if isinstance(latent, Gated) else {}
    decoder = UnitNormDecoder(start="mean", renormalise=renormalise, length=0.5)
    return Experiment(
        Dictionary(latent=latent, decoder=decoder, **settings),
        Loss(Gaussian(), terms),
        Data("generated", preprocess=preprocess),
        Adam(3e-2, average=ExponentialAverage(0.5)),
        batch_size=8,
        epochs=2,
    )


@cache
def trained(*settings):
    return aejax.fit(experiment(*settings), dataset=DATASET)


SETTINGS = [
    *((name, MeanLength(), False) for name in LATENTS),
    ("top-k", Scale(), True),
    ("gated", Scale(), False),
    ("jump-relu", MeanLength(), True),
]


QUICK = [("top-k", MeanLength(), False)]
"""What runs in the quick suite: a code that ranks."""


@pytest.mark.parametrize(
    ("name", "preprocess", "unit"),
    [pytest.param(*settings, marks=() if settings in QUICK else pytest.mark.slow) for settings in SETTINGS],
)
def test_frozen_weights_give_the_same_codes_and_reconstructions(name, preprocess, unit):
    run = trained(LATENTS[name], preprocess, unit)
    frozen = freeze(run)
    scale = run.preprocess.scale if isinstance(preprocess, MeanLength) else 1.0
    assert (scale > 2) is isinstance(preprocess, MeanLength)
    x = DATASET.test.x
    code, expected = np.asarray(frozen.encode(x)), run.encode(x)
    np.testing.assert_array_equal(code != 0, expected != 0)
    np.testing.assert_allclose(code, scale * expected, rtol=2e-4, atol=1e-4)
    np.testing.assert_allclose(frozen.decode(code), run.reconstruct(x), rtol=2e-4, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(frozen.rows, axis=1), 1, rtol=1e-5)
    assert 0 < (code != 0).mean() < 1
    for leaf in ("bias", "threshold", "offset"):  # each is part of what is folded
        if np.abs(getattr(frozen, leaf)).max() > 0:
            other = dataclasses.replace(frozen, **{leaf: getattr(frozen, leaf) * 1.5 + 0.1})
            assert not np.allclose(other.decode(other.encode(x)), run.reconstruct(x), rtol=1e-3, atol=1e-3), leaf


@pytest.mark.slow
def test_a_crosscoder_is_frozen_with_the_scale_of_each_layer_and_shown(rng):
    x = rng.normal(size=(40, 2, 3)).astype(np.float32) * np.asarray([[1], [30]], np.float32) + 2
    dataset = Dataset("generated", Examples(x), Examples(x[:8]), Examples(x[8:24]))
    base = experiment(ExactTopK(12, 3), MeanLength(parts=2))
    model = base.model.clone(decoder=UnitNormDecoder(start="mean", parts=2), subtract=False, tied_start=False)
    run = aejax.fit(dataclasses.replace(base, model=model), dataset=dataset)
    low, high = run.preprocess.scale
    assert high > 10 * low
    seen = x / run.preprocess.scale[None, :, None]
    np.testing.assert_allclose(np.linalg.norm(seen, axis=2).mean(axis=0), np.sqrt(3), rtol=1e-5)
    frozen = freeze(run)
    code, expected = np.asarray(frozen.encode(x)), run.encode(x)
    np.testing.assert_allclose(code, (low + high) / 2 * expected, rtol=2e-4, atol=1e-4)
    made = np.asarray(frozen.decode(code)).reshape(x.shape)
    np.testing.assert_allclose(made, run.reconstruct(x).reshape(x.shape), rtol=2e-4, atol=1e-3)
    own = np.linalg.norm(np.asarray(frozen.rows).reshape(12, 2, 3), axis=2)
    np.testing.assert_allclose(frozen.shares(), own / own.sum(axis=1, keepdims=True), rtol=1e-5)
    assert "Features of" in features_page(run, dataset.test, "test")


def test_frozen_weights_are_a_pytree_under_jit():
    frozen = freeze(trained(LATENTS["batch-top-k"], MeanLength(), False))
    code = jax.jit(lambda frozen, x: frozen.encode(x))(dataclasses.replace(frozen, k=None), DATASET.test.x)
    np.testing.assert_allclose(code, frozen.encode(DATASET.test.x), rtol=1e-5, atol=1e-5)


def test_what_is_no_dictionary_in_one_unit_is_refused(tiny):
    top = trained(LATENTS["top-k"], Scale(), True)

    def refused(match, **changes):
        other = dataclasses.replace(top.experiment, **changes)
        with pytest.raises(InputError, match=match):
            freeze(dataclasses.replace(top, experiment=other))

    refused("Autoencoder cannot be frozen", model=Autoencoder(MLPEncoder(), Plain(3), MLPDecoder(), (6,)))
    hidden = top.experiment.model.clone(encoder=MLPEncoder((4,)), subtract=False, tied_start=False)
    refused("Dictionary cannot be frozen", model=hidden)
    refused("of SigmoidGaussian the raw output is not", loss=Loss(SigmoidGaussian()))
    with pytest.raises(InputError, match=r"Standardise does more than divide by numbers.*mean-length"):
        freeze(dataclasses.replace(top, preprocess=Standardise().fit(PART.x)))


@pytest.mark.slow
def test_a_run_whose_data_were_scaled_by_their_length_is_loaded(tmp_path):
    run = aejax.fit(experiment(LATENTS["rectified"], MeanLength()), dataset=DATASET, folder=tmp_path, figures=False)
    np.testing.assert_array_equal(aejax.load(run.run.path).encode(PART.x), run.encode(PART.x))
