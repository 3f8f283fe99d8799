import dataclasses

import pytest

import aejax
from aejax.core import Adam
from aejax.losses import KL, Gaussian, Loss, Reconstruction
from aejax.losses.levels import DiscretisedLogistic
from aejax.losses.likelihoods import GaussianLearnedScale
from aejax.models import GaussianLatent, MLPDecoder, MLPEncoder, VariationalAutoencoder

LIKELIHOODS = [
    Gaussian(0.1),
    pytest.param(GaussianLearnedScale(), marks=pytest.mark.slow),
    pytest.param(DiscretisedLogistic(), marks=pytest.mark.slow),
]


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda likelihood: type(likelihood).__name__)
def test_a_variational_autoencoder_learns_and_its_code_tells_examples_apart(tiny, likelihood):
    experiment = dataclasses.replace(
        tiny.experiment,
        model=VariationalAutoencoder(MLPEncoder((16,)), GaussianLatent(2), MLPDecoder((16,))),
        loss=Loss(likelihood, {"reconstruction": Reconstruction(), "kl": KL()}),
        optimizer=Adam(1e-2),
        epochs=30,
    )
    trained = aejax.fit(experiment, dataset=tiny.dataset)
    rows = [row for row in trained.history if row["split"] == "validation"]
    assert rows[-1]["loss_nats"] < rows[0]["loss_nats"]
    assert rows[-1]["kl_nats"] > 1  # there are three kinds of image: log 3 nats
