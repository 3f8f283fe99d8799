"""Every experiment that takes images takes them packed: what checks them asks rows of files as it asks arrays."""

import dataclasses

import numpy as np
import pytest

import aejax
from aejax.data import load, pack

OF_DIGITS = [name for name in aejax.names() if aejax.get(name).data.name == "mnist"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A folder of packed images, their values 0 or 1, in as many classes as digits have."""
    folder, rng = tmp_path_factory.mktemp("packed"), np.random.default_rng(0)
    np.savez(folder / "x.npz", x=255 * rng.integers(0, 2, (64, 28, 28, 1), np.uint8), y=np.arange(64) % 10)
    pack(str(folder / "x.npz"), folder / "rows")
    return folder / "rows"


@pytest.mark.parametrize("name", OF_DIGITS)
def test_an_experiment_of_digits_accepts_them_packed(name, packed):
    experiment = aejax.get(name)
    data = dataclasses.replace(experiment.data, name=str(packed), validation=0.0)
    dataset = load(data)
    assert not isinstance(dataset.train.x, np.ndarray)
    resolved = dataclasses.replace(experiment, data=data, batch_size=8, expected=None).resolve(dataset)
    assert resolved.model.shape == (28, 28, 1)
