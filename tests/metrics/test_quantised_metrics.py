import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import entropy

import aejax
from aejax.evaluation import suite
from aejax.evaluation._quantised import _usage, suits
from aejax.losses import Commitment, Gaussian, Loss, Reconstruction
from aejax.metrics import code_indices, codebook_metrics
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, VectorQuantised


@pytest.mark.parametrize(
    ("shares", "perplexity", "dead"),
    [([1.0, 0, 0, 0], 1, 3), ([0.25] * 4, 4, 0), ([0.5, 0, 0.5, 0], 2, 2), ([0.5, 0.25, 0.25, 0], 2**1.5, 1)],
)
def test_the_perplexity_of_known_shares(shares, perplexity, dead):
    measured = codebook_metrics(np.array(shares), slots=3)
    assert measured == pytest.approx(
        {
            "perplexity": perplexity,
            "dead_codes": dead,
            "index_bits": 6.0,
            "index_entropy_bits": 3 * math.log2(perplexity),
        }
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=9).filter(any))
def test_the_perplexity_lies_between_one_and_the_codes_in_use(counts):
    shares = np.array(counts) / sum(counts)
    measured = codebook_metrics(shares, slots=1)
    assert measured["perplexity"] == pytest.approx(math.exp(entropy(shares)))
    assert 1 - 1e-9 <= measured["perplexity"] <= len(counts) - measured["dead_codes"] + 1e-9
    assert measured["index_entropy_bits"] <= measured["index_bits"] + 1e-9


@pytest.mark.slow
def test_the_suite_measures_the_codes_in_use_and_draws_them(tiny):
    model = Autoencoder(MLPEncoder((8,)), VectorQuantised(4, 2, 16), MLPDecoder())
    loss = Loss(Gaussian(), {"reconstruction": Reconstruction(), "commitment": Commitment()})
    experiment = dataclasses.replace(tiny.experiment, model=model, loss=loss)
    assert suits(experiment)
    assert not suits(tiny.experiment)
    trained, test = aejax.fit(experiment, dataset=tiny.dataset), tiny.dataset.test
    indices = trained.apply(code_indices, test.x)
    assert indices.shape == (10, 4)
    placed = np.asarray(trained.state.collections["codebook"]["latent"]["placed"])
    np.testing.assert_array_equal(trained.encode(test.x), placed[indices].reshape(10, 8))
    shares = np.bincount(indices.reshape(-1), minlength=16) / indices.size
    np.testing.assert_array_equal(_usage(trained, test), shares[None])
    measured = suite.measure(trained, test)
    assert measured["dead_codes"] == 16 - len(np.unique(indices))
    assert measured["index_bits"] == 16
    assert "codebook" in suite.draw(trained, tiny.dataset)
