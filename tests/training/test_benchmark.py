import dataclasses
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from aejax.core import Examples
from aejax.core.optimizers import SGD
from aejax.data import Data, Dataset
from aejax.devices import step_flop
from aejax.experiment import Experiment
from aejax.losses import Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.runs import record_duration
from aejax.training import bench

EXPERIMENT = Experiment(Autoencoder(MLPEncoder(), Plain(64), MLPDecoder()), Loss(), Data("x"), SGD(0.1), batch_size=128)


@pytest.fixture(scope="module")
def dataset():
    x = np.random.default_rng(0).random((512, 512), np.float32)
    return Dataset("x", Examples(x), Examples(x[:0]), Examples(x[:128]))


def test_the_cost_of_a_step_is_that_of_its_matrix_products(dataset):
    # Two layers: forward and the gradient of the weights for both, the gradient of the input for the second alone.
    products = 5 * 2 * 128 * 512 * 64
    cost = step_flop(EXPERIMENT.resolve(dataset), dataset.shape)
    assert products < cost < 1.1 * products


def test_the_cost_of_a_step_grows_with_the_batch(dataset):
    once, twice = (
        step_flop(dataclasses.replace(EXPERIMENT, batch_size=size).resolve(dataset), dataset.shape)
        for size in (128, 256)
    )
    assert twice == pytest.approx(2 * once, rel=0.05)


@pytest.mark.slow
def test_the_share_of_waiting_is_that_of_an_epoch_which_compiles_nothing(dataset, monkeypatch):
    def fit(experiment, dataset, **_):
        for seconds in (30.0, 1.0, 1.0, 1.0):
            record_duration("input", 0.2)
            record_duration("epoch", seconds)
        return SimpleNamespace(experiment=experiment.resolve(dataset))

    monkeypatch.setattr(sys.modules["aejax.training.benchmark"], "train", fit)
    assert bench(EXPERIMENT, dataset, epochs=3)["input_wait_share"] == pytest.approx(0.2)


@pytest.mark.slow
def test_rates_agree_with_each_other(dataset):
    measured = bench(EXPERIMENT, dataset, epochs=2)
    assert measured["examples_per_second"] == pytest.approx(128e3 / measured["step_milliseconds"])
    flop = step_flop(EXPERIMENT.resolve(dataset), dataset.shape)
    assert measured["gflop_per_second"] == pytest.approx(flop / measured["step_milliseconds"] / 1e6)
    assert measured["share_of_peak"] == pytest.approx(measured["gflop_per_second"] / measured["peak_gflop_per_second"])
    assert measured["compile_seconds"] > 0
    assert measured["memory_megabytes"] > 50
