import dataclasses

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

import aejax
from aejax.evaluation import suite
from aejax.evaluation._sparsity import suits
from aejax.losses import CodeL1, KLSparsity, Loss
from aejax.metrics import sparsity_metrics, variance_unexplained
from aejax.models import (
    Autoencoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    Plain,
    SpatialWinnerTakeAll,
    TopK,
    WinnerTakeAll,
)

X = np.random.default_rng(0).uniform(0, 1, (30, 2, 3, 1)).astype(np.float32)


def test_sparsity_of_known_codes():
    codes = np.array([[0.0, 1.0, -3.0, 0.0], [0.0, 0.0, 1.0, 0.0]], np.float32)
    assert sparsity_metrics(codes) == {
        "l0": 1.5,
        "dead_units": 2.0,
        "mean_activation": -0.125,
        "mean_activation_lowest_unit": -1.0,
        "mean_activation_highest_unit": 0.5,
    }
    assert sparsity_metrics(codes, threshold=1.0)["l0"] == 0.5
    assert sparsity_metrics(codes, threshold=1.0)["dead_units"] == 3


def test_predicting_the_mean_explains_exactly_nothing_and_the_data_everything():
    mean = X.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    assert variance_unexplained(X, np.broadcast_to(mean, X.shape)) == 1.0
    assert variance_unexplained(X, X) == 0.0
    assert np.isnan(variance_unexplained(np.ones((3, 2)), np.ones((3, 2))))


def test_fvu_is_what_pca_leaves_and_a_ratio_of_sums_over_the_whole_set():
    flat = X.reshape(30, 6)
    pca = PCA(2).fit(flat)
    left = variance_unexplained(flat, pca.inverse_transform(pca.transform(flat)).astype(np.float32))
    np.testing.assert_allclose(left, 1 - pca.explained_variance_ratio_.sum(), rtol=1e-4)
    guess = flat + np.random.default_rng(1).normal(0, 0.1, flat.shape).astype(np.float32)
    np.testing.assert_allclose(
        variance_unexplained(flat, guess), 1 - r2_score(flat, guess, multioutput="variance_weighted"), rtol=1e-4
    )


def test_fvu_does_not_depend_on_the_data_s_offset():
    guess = X + np.random.default_rng(1).normal(0, 0.1, X.shape).astype(np.float32)
    np.testing.assert_allclose(variance_unexplained(X + 8, guess + 8), variance_unexplained(X, guess), rtol=1e-4)


def test_it_suits_experiments_that_ask_for_sparse_codes(tiny):
    def with_latent(latent):
        return dataclasses.replace(tiny.experiment, model=Autoencoder(MLPEncoder(), latent, MLPDecoder()))

    def with_term(term):
        return dataclasses.replace(tiny.experiment, loss=Loss(terms={"sparsity": term}))

    assert not suits(tiny.experiment)
    sparse = [with_latent(latent) for latent in (TopK(9), WinnerTakeAll(9), SpatialWinnerTakeAll(9))]
    assert all(suits(experiment) for experiment in (*sparse, with_term(CodeL1()), with_term(KLSparsity())))


@pytest.mark.parametrize(
    ("encoder", "latent"),
    [
        (MLPEncoder(), TopK(6, 2, alpha=1.5)),
        (MLPEncoder(), Plain(6, "sigmoid")),
        (ConvEncoder((2,)), SpatialWinnerTakeAll(8, 2)),
    ],
)
def test_the_suite_measures_the_codes_of_inference_and_draws_them(tiny, encoder, latent):
    terms = {**tiny.experiment.loss.terms, "sparsity": CodeL1(1e-3)}
    model = Autoencoder(encoder, latent, MLPDecoder())
    experiment = dataclasses.replace(tiny.experiment, model=model, loss=Loss(terms=terms), epochs=1)
    trained, test = aejax.fit(experiment, dataset=tiny.dataset), tiny.dataset.test
    measured, codes = suite.measure(trained, test), trained.encode(test.x)
    active = codes > (0.5 if isinstance(latent, Plain) else 0)
    assert measured["l0"] == pytest.approx(active.sum() / 10)
    if isinstance(latent, TopK):
        assert 2 < measured["l0"] <= 3
    assert measured["fvu"] == pytest.approx(variance_unexplained(test.x / np.float32(255), trained.reconstruct(test.x)))
    assert {"activation_density", "activations"} <= set(suite.draw(trained, tiny.dataset))
