import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

import aejax
from aejax.core import means
from aejax.core.mean import Mean
from aejax.evaluation import suite
from aejax.evaluation._sparsity import suits
from aejax.losses import CodeL1, KLSparsity, Loss
from aejax.metrics import code_statistics, sparsity_metrics
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


def metrics_of(codes, x, explained, threshold=0.0, cuts=()):
    """The metrics of arrays, which come in batches of uneven sizes."""
    centre = x.mean(axis=0, dtype=np.float64).astype(np.float32)
    parts = zip(*(np.split(array, cuts) for array in (codes, x, explained)), strict=True)
    sums = [
        {name: Mean.of(value) for name, value in code_statistics(*map(jnp.asarray, part), centre, threshold).items()}
        for part in parts
    ]
    return sparsity_metrics(means(jax.tree.map(lambda *leaves: np.stack(leaves), *sums)), len(x))


def fvu(x, explained, **options):
    return metrics_of(np.zeros((len(x), 1), np.float32), x, explained, **options)["fvu"]


def test_sparsity_of_known_codes():
    codes = np.array([[0.0, 1.0, -3.0, 0.0], [0.0, 0.0, 1.0, 0.0]], np.float32)
    measured = metrics_of(codes, X[:2], X[:2])
    expected = {
        "l0": 1.5,
        "dead_units": 2.0,
        "dead_share_over_2_examples": 0.5,
        "density_median": 0.25,
        "dense_units": 2.0,
        "mean_activation": -0.125,
        "mean_activation_lowest_unit": -1.0,
        "mean_activation_highest_unit": 0.5,
        "fvu": 0.0,
        "explained_variance": 1.0,
        "shrinkage": 1.0,
    }
    assert measured == expected
    above = metrics_of(codes, X[:2], X[:2], threshold=1.0)
    assert (above["l0"], above["dead_units"]) == (0.5, 3)


@pytest.mark.slow
def test_streamed_sums_are_those_of_the_whole_part():
    rng = np.random.default_rng(2)
    codes = np.maximum(rng.normal(-1, 1, (30, 9)), 0).astype(np.float32)
    guess = X + rng.normal(0, 0.1, X.shape).astype(np.float32)
    ragged = metrics_of(codes, X, guess, cuts=(1, 8, 9, 25))
    assert ragged == pytest.approx(metrics_of(codes, X, guess), rel=1e-6)
    assert ragged["l0"] == pytest.approx((codes > 0).sum(axis=1).mean(), rel=1e-12)
    assert ragged["dead_units"] == (~(codes > 0).any(axis=0)).sum()
    assert ragged["mean_activation"] == pytest.approx(codes.mean(dtype=np.float64), rel=1e-6)


def test_predicting_the_mean_explains_exactly_nothing_and_the_data_everything():
    mean = X.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    assert fvu(X, np.broadcast_to(mean, X.shape)) == fvu(X, np.broadcast_to(mean, X.shape), cuts=(7, 19)) == 1.0
    assert fvu(X, X) == 0.0
    assert np.isnan(fvu(np.ones((3, 2), np.float32), np.ones((3, 2), np.float32)))


def test_fvu_is_what_pca_leaves_and_a_ratio_of_sums_over_the_whole_set():
    flat = X.reshape(30, 6)
    pca = PCA(2).fit(flat)
    left = fvu(flat, pca.inverse_transform(pca.transform(flat)).astype(np.float32))
    np.testing.assert_allclose(left, 1 - pca.explained_variance_ratio_.sum(), rtol=1e-4)
    guess = flat + np.random.default_rng(1).normal(0, 0.1, flat.shape).astype(np.float32)
    np.testing.assert_allclose(fvu(flat, guess), 1 - r2_score(flat, guess, multioutput="variance_weighted"), rtol=1e-4)


def test_fvu_does_not_depend_on_the_data_s_offset():
    guess = X + np.random.default_rng(1).normal(0, 0.1, X.shape).astype(np.float32)
    np.testing.assert_allclose(fvu(X + 8, guess + 8), fvu(X, guess), rtol=1e-4)


def test_shrinkage_is_the_mean_ratio_of_lengths_and_leaves_out_what_has_none():
    x = np.array([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]], np.float32)
    guess = np.array([[0.0, 5.0], [1.0, 0.0], [7.0, 7.0]], np.float32)
    assert metrics_of(np.zeros((3, 1), np.float32), x, guess)["shrinkage"] == pytest.approx((1 + 0.5) / 2)


def test_it_suits_experiments_that_ask_for_sparse_codes(tiny):
    def with_latent(latent):
        return dataclasses.replace(tiny.experiment, model=Autoencoder(MLPEncoder(), latent, MLPDecoder()))

    def with_term(term):
        return dataclasses.replace(tiny.experiment, loss=Loss(terms={"sparsity": term}))

    assert not suits(tiny.experiment)
    sparse = [with_latent(latent) for latent in (TopK(9), WinnerTakeAll(9), SpatialWinnerTakeAll(9))]
    assert all(suits(experiment) for experiment in (*sparse, with_term(CodeL1()), with_term(KLSparsity())))


@pytest.mark.slow
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
    assert measured["fvu"] == pytest.approx(fvu(test.x / np.float32(255), trained.reconstruct(test.x)))
    assert {"activation_density", "activations"} <= set(suite.draw(trained, tiny.dataset))
