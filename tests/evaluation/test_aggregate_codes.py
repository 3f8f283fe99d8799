"""Codes without a density are compared with draws of the prior."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Examples
from aejax.data import Data
from aejax.evaluation import suite
from aejax.experiment import Experiment
from aejax.losses import MMD, Gaussian, Loss, Reconstruction
from aejax.metrics import describe
from aejax.models import Autoencoder, GaussianLatent, MLPDecoder, MLPEncoder, Plain, VariationalAutoencoder
from tests.helpers.untrained import untrained

MODEL = VariationalAutoencoder(MLPEncoder(), Plain(2), MLPDecoder())
EXPERIMENT = Experiment(
    MODEL, Loss(Gaussian(), {"reconstruction": Reconstruction(), "mmd": MMD()}), Data("small"), name="small"
)


def of_the_example_itself():
    """A model whose code is the example, of two numbers."""
    trained = untrained(EXPERIMENT, (2,))
    encoding = {"latent": {"code": {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}}}
    return dataclasses.replace(
        trained, state=dataclasses.replace(trained.state, params=trained.state.params | encoding)
    )


def normal(n, mean, scale=1.0):
    return Examples((mean + scale * np.random.default_rng(0).normal(size=(n, 2))).astype(np.float32))


def test_codes_like_the_prior_s_are_not_told_from_it_and_others_are():
    trained = of_the_example_itself()
    near, off, wide = (
        suite.measure(trained, part)["codes_c2st"]
        for part in (normal(2000, 0.0), normal(2000, 3.0), normal(2000, 0.0, 2.0))
    )
    assert near == pytest.approx(0.5, abs=0.04)
    assert off > 0.95
    assert 0.6 < wide < 0.8
    assert describe("codes_c2st").better == "lower"
    assert "codes_c2st" not in suite.measure(trained, normal(7, 0.0))


@pytest.mark.parametrize(
    "model",
    [MODEL.clone(latent=GaussianLatent(2)), Autoencoder(MLPEncoder(), Plain(2), MLPDecoder())],
    ids=["density", "no prior"],
)
def test_others_are_not_measured_so(model):
    trained = untrained(dataclasses.replace(EXPERIMENT, model=model, loss=Loss(Gaussian())), (2,))
    assert "codes_c2st" not in suite.measure(trained, normal(20, 0.0))
