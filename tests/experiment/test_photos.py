"""Entries of photos train as all others do: in a sweep, from disk, stopped and resumed."""

import dataclasses

import numpy as np
import pytest

import aejax
from aejax.core import Constant
from aejax.data import Data, Dataset, load, pack
from aejax.training import _streaming, population
from tests.helpers.small import same_bits
from tests.helpers.zoo import small

ENTRIES = ("ae-photos", "dae-photos", "vae-photos", "vq-photos", "mae-photos")
PHOTOS, BATCH = 48, 4
BUFFER = _streaming._CHUNKS * BATCH * 32 * 32 * 3 / 1e9
"""Gigabytes that hold chunks of one step."""


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (PHOTOS, 32, 32, 3), np.uint8)


def of(name):
    """The entry with small layers, for two epochs at a constant rate."""
    entry = small(name)
    optimizer = dataclasses.replace(entry.optimizer, schedule=Constant())
    data = dataclasses.replace(entry.data, name="arrays")
    return dataclasses.replace(entry, data=data, optimizer=optimizer, batch_size=BATCH, epochs=2, expected=None)


def losses(history):
    return np.asarray([row["loss_nats"] for row in history])


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_a_member_of_a_sweep_ends_as_it_would_alone(name, photos):
    dataset = Dataset.of(photos, validation=photos[:8], test=photos[8:16])
    entry = of(name)
    rates = (entry.optimizer.learning_rate, entry.optimizer.learning_rate / 4)
    members = [
        dataclasses.replace(entry, seed=seed, optimizer=dataclasses.replace(entry.optimizer, learning_rate=rate))
        for seed, rate in enumerate(rates)
    ]
    for member, outcome in zip(members, population.fit_each(members, dataset=dataset), strict=True):
        alone = aejax.fit(member, dataset=dataset)
        np.testing.assert_allclose(losses(outcome.trained.history), losses(alone.history), rtol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_photos_that_stay_on_disk_train_the_same_model_and_a_stopped_run_goes_on_to_it(name, photos, tmp_path):
    np.save(tmp_path / "x.npy", photos)
    pack(str(tmp_path / "x.npy"), tmp_path / "packed")
    entry = dataclasses.replace(of(name), data=Data(str(tmp_path / "packed"), validation=0.0))
    assert _streaming.streams(load(entry.data), BUFFER)
    whole = aejax.fit(entry)
    assert same_bits(aejax.fit(entry, buffer=BUFFER).state, whole.state)
    begun = aejax.fit(dataclasses.replace(entry, epochs=1), folder=tmp_path / "runs", buffer=BUFFER, figures=False)
    assert same_bits(aejax.fit(entry, resume=begun.run.path, buffer=BUFFER, figures=False).state, whole.state)
