"""A dictionary whose rows are the true features is measured as one, through the suite, and its codes in chunks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Examples
from aejax.data import Data, Dataset, MeanLength, SyntheticFeatures, synthetic
from aejax.evaluation import suite
from aejax.evaluation._features import suits
from aejax.models import ExactTopK

SOURCE = SyntheticFeatures(features=20, values=20, roots=2, branching=2, depth=1, least=0.05, bias=0.0)


@pytest.mark.slow
def test_true_features_are_found_wherever_they_are_active(monkeypatch):
    monkeypatch.setitem(synthetic.SOURCES, "synthetic-dictionary", SOURCE)
    monkeypatch.setattr("aejax.evaluation._features.CHUNK", 30)
    vectors, _ = SOURCE.vectors()  # as many as values: they are orthogonal
    numbers = np.arange(96, dtype=np.int32)
    part = Examples(np.asarray(jax.jit(SOURCE.codes)(numbers)) @ vectors, numbers)
    experiment = aejax.get("dictionary-topk")
    experiment = dataclasses.replace(
        experiment,
        model=experiment.model.clone(latent=ExactTopK(20, 20)),
        data=Data("synthetic-dictionary", preprocess=MeanLength()),
        batch_size=32,
        steps=1,
    )
    trained = aejax.fit(experiment, dataset=Dataset("synthetic-dictionary", part, part, part))
    params = {
        "decoder": {"out": {"kernel": jnp.asarray(vectors[::-1].copy()), "bias": jnp.zeros(20)}},
        "latent": {"code": {"kernel": jnp.asarray(vectors[::-1].T.copy()), "bias": jnp.full(20, -1e-3)}},
    }
    known = dataclasses.replace(trained, state=dataclasses.replace(trained.state, params=params))
    assert suits(experiment)
    measured = suite.measure(known, part)
    perfect = {name: pytest.approx(1, abs=1e-3) for name in ("mmcs", "mcc", "uniqueness", "feature_f1")}
    assert {name: measured[name] for name in perfect} == perfect
    assert measured["l0"] == measured["true_l0"]
    assert measured["fvu"] < 1e-4
    drawn = suite.measure(trained, part)
    assert drawn["feature_f1"] < 0.9
    assert drawn["mmcs"] < 0.9
