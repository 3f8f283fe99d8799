"""Models of counts train as any other does: alone, as a population, and from disk."""

import dataclasses

import numpy as np
import pytest

import aejax
from aejax.core import Adam
from aejax.data import Counts, Data, Dataset, SyntheticCounts, load, pack
from aejax.losses import KL, Loss, NegativeBinomial, Poisson, Reconstruction
from aejax.models import GaussianLatent, LogCounts, MLPDecoder, MLPEncoder, SharedDispersion, VariationalAutoencoder
from aejax.training import _streaming, fit_many
from tests.helpers.small import without_times

pytestmark = pytest.mark.slow
SOURCE = SyntheticCounts(values=20, kinds=3)
PART = SOURCE.draw(400)


@pytest.fixture
def experiment():
    model = VariationalAutoencoder(
        LogCounts(MLPEncoder((8,))), GaussianLatent(3), SharedDispersion(MLPDecoder((8,), start="mean"))
    )
    loss = Loss(NegativeBinomial(), {"reconstruction": Reconstruction(), "kl": KL()})
    data = Data("counts", preprocess=Counts())
    return dataclasses.replace(aejax.get("vae-counts"), model=model, loss=loss, data=data, epochs=2, batch_size=50)


def losses(trained):
    return [row["loss_nats"] for row in trained.history]


def test_a_population_of_dispersions_and_libraries_trains_as_each_alone(experiment):
    dataset = Dataset("counts", PART, PART, PART)
    other = dataclasses.replace(experiment.loss, likelihood=NegativeBinomial(library=50.0))
    trials = [experiment, dataclasses.replace(experiment, loss=other, optimizer=Adam(1e-2))]
    together = fit_many(trials, dataset=dataset)
    np.testing.assert_allclose(losses(together[1].trained), losses(aejax.fit(trials[1], dataset=dataset)), rtol=1e-4)
    drawn = together[1].trained.sample(3)
    np.testing.assert_allclose(drawn.sum(axis=1), 50, rtol=1e-4)


def test_from_disk_counts_train_as_in_memory(experiment, tmp_path):
    np.savez(tmp_path / "x.npz", x=PART.x.astype(np.uint8), y=PART.label)
    pack(tmp_path / "x.npz", tmp_path / "packed", Data(preprocess=Counts()))
    data = dataclasses.replace(experiment.data, name=str(tmp_path / "packed"))
    packed = dataclasses.replace(experiment, data=data)
    through = aejax.fit(packed, buffer=_streaming._CHUNKS * 2 * 50 * 20 * 4 / 1e9)
    assert without_times(through.history) == without_times(aejax.fit(packed).history)
    assert float(load(data).train.x.max()) == PART.x.astype(np.uint8).max()


def test_a_dispersion_and_a_code_are_worth_what_they_cost(experiment):
    """The model comes between a Poisson one and what the counts were drawn from: see `experiments/counts.py`."""
    dataset = Dataset("counts", SOURCE.draw(1000), PART, PART)
    longer = dataclasses.replace(experiment, epochs=30, optimizer=Adam(1e-2))
    poisson = longer.model.clone(decoder=MLPDecoder((8,), start="mean"))
    other = dataclasses.replace(longer, model=poisson, loss=dataclasses.replace(longer.loss, likelihood=Poisson()))
    with_dispersion, without = (
        aejax.fit(each, dataset=dataset).evaluate(PART)["loss_nats"] for each in (longer, other)
    )
    assert with_dispersion < without - 10


def test_in_bfloat16_the_loss_is_nearly_the_same(experiment):
    half = dataclasses.replace(experiment, model=experiment.model.clone(precision="bfloat16"))
    dataset = Dataset("counts", PART, PART, PART)
    found = [losses(aejax.fit(each, dataset=dataset)) for each in (experiment, half)]
    np.testing.assert_allclose(found[0], found[1], rtol=0.05)
