"""The three estimators: the numbers are those of `fit` and `Trained`, and scikit-learn's tools take them."""

import dataclasses
import functools
import pickle

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import aejax
from aejax.core import Examples, InputError, Stopped
from aejax.data import Dataset
from aejax.estimators import AutoencoderDetector, AutoencoderTransformer, VAEDensity

FEW = {"steps": 10}
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(300, 2)) @ RNG.normal(size=(2, 5)) + 0.1 * RNG.normal(size=(300, 5))) * 50 + 7
ALL = [
    (AutoencoderTransformer(**FEW), "transform"),
    pytest.param(AutoencoderDetector(**FEW), "score_samples", marks=pytest.mark.slow),
    pytest.param(VAEDensity(**FEW, samples=3), "score_samples", marks=pytest.mark.slow),
]


def use(estimator, method, x):
    return getattr(estimator, method)(x)


@functools.cache
def fitted(kind):
    return kind(**FEW, **({"samples": 3} if kind is VAEDensity else {})).fit(X)


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "method"), ALL)
def test_it_trains_as_fit_does_with_the_same_settings(estimator, method):
    experiment = aejax.experiment.vary(aejax.get(estimator.experiment), FEW)
    part, none = Examples(X), Examples(X[:0])
    trained = aejax.fit(experiment, Dataset("arrays", part, none, none))
    own = {
        "AutoencoderTransformer": trained.encode,
        "AutoencoderDetector": lambda x: -trained.score(x),
        "VAEDensity": lambda x: trained.log_prob(x, samples=3),
    }[type(estimator).__name__]
    # Rows go through other programs, of other sizes.
    np.testing.assert_allclose(use(fitted(type(estimator)), method, X), own(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("estimator", "method"), ALL)
def test_a_row_s_result_depends_on_no_other_row(estimator, method):
    made = fitted(type(estimator))
    whole = use(made, method, X)  # more than go through the model at once
    assert len(whole) == len(X)
    np.testing.assert_allclose(use(made, method, X[:1]), whole[:1], rtol=1e-7)
    np.testing.assert_allclose(use(made, method, X[::-1]), whole[::-1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("estimator", "method"), ALL)
def test_pickles_clones_and_seeds(estimator, method):
    made = fitted(type(estimator))
    back = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(use(back, method, X), use(made, method, X))
    assert not back.trained_.state.opt_state
    again = clone(made)
    with pytest.raises(NotFittedError):
        use(again, method, X)
    np.testing.assert_array_equal(use(again.fit(X), method, X), use(made, method, X))
    other = clone(made).set_params(random_state=np.random.RandomState(1)).fit(X)
    assert not np.array_equal(use(other, method, X), use(made, method, X))


@pytest.mark.parametrize(("estimator", "method"), ALL)
def test_too_few_rows_and_wrong_settings_are_refused(estimator, method):
    with pytest.raises(ValueError, match="minimum of 2"):
        clone(estimator).fit(X[:1])
    with pytest.raises(InputError, match="did you mean"):
        clone(estimator).set_params(experiment="ae-tabluar").fit(X)
    with pytest.raises(InputError, match="has no setting"):
        clone(estimator).set_params(settings={"optimizer.rate": 1.0}).fit(X)
    with pytest.raises(InputError, match=r"example_shape is \(2, 2\), but the rows have 5 values"):
        clone(estimator).set_params(example_shape=(2, 2)).fit(X)


@pytest.mark.slow
def test_settings_are_paths_of_the_experiment_and_count_more_than_arguments():
    settings = {"steps": 3, "optimizer": "sgd", "model.encoder.hidden": (7,), "data.preprocess": "scale"}
    made = AutoencoderTransformer(n_components=3, steps=5, learning_rate=1e-3, batch_size=999, settings=settings)
    experiment = made.fit(X / 1000).trained_.experiment
    assert (experiment.steps, experiment.batch_size) == (3, len(X))
    assert (experiment.model.encoder.hidden, experiment.model.latent.size) == ((7,), 3)
    assert float(experiment.optimizer.learning_rate) == 1e-3
    assert type(experiment.optimizer).__name__ == "SGD"
    assert type(made.trained_.preprocess).__name__ == "Scale"


@pytest.mark.slow
def test_codes_become_rows_again_in_the_units_of_training():
    made = AutoencoderTransformer(n_components=2, steps=300).fit(X)
    rows = made.inverse_transform(made.transform(X))
    assert rows.shape == X.shape
    assert np.abs(rows - X).mean() < 0.3 * X.std()
    unexplained = ((rows - X) ** 2).mean(axis=0) / X.var(axis=0)  # the model sees standardised columns
    assert made.score(X) == pytest.approx(1 - unexplained.mean(), abs=1e-4)
    assert 0.9 < made.score(X) <= 1
    with pytest.raises(InputError, match="the codes have 5 values, but those of this model 2"):
        made.inverse_transform(X)


@pytest.mark.slow
def test_numbers_that_float32_cannot_tell_apart_are_centred_as_in_fit():
    seconds = 1.7e9 + np.arange(100.0)[:, None] * [1, 2]
    made = AutoencoderTransformer(steps=200, n_components=1).fit(seconds)
    rows = made.inverse_transform(made.transform(seconds))
    assert rows.dtype == np.float64
    assert np.abs(rows - seconds).mean() < 10


@pytest.mark.slow
def test_names_of_columns_come_and_go():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    made = AutoencoderTransformer(n_components=2, **FEW).set_output(transform="pandas").fit(frame)
    assert made.feature_names_in_.tolist() == list("abcde")
    codes = made.transform(frame)
    assert list(codes.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    np.testing.assert_array_equal(codes.to_numpy(), clone(made).set_output(transform="default").fit(X).transform(X))


@pytest.mark.slow
def test_images_are_rows_that_are_laid_out():
    images = np.random.default_rng(0).uniform(size=(40, 64))
    small = {"model.encoder.channels": [2], "model.decoder.channels": [2], "model.latent.size": 3}
    made = AutoencoderTransformer("ae-conv", steps=2, settings=small, example_shape=(8, 8, 1)).fit(images)
    codes = made.transform(images)
    assert codes.shape == (40, 3)
    np.testing.assert_allclose(codes, made.trained_.encode(images.reshape(-1, 8, 8, 1)), rtol=1e-4, atol=1e-5)
    assert made.inverse_transform(codes).shape == images.shape
    with pytest.raises(InputError, match=r"scale the data"):
        made.fit(100 * images)


@pytest.mark.slow
def test_the_threshold_is_the_quantile_of_the_training_rows():
    made = fitted(AutoencoderDetector)
    assert (made.predict(X) == -1).sum() == 30
    assert (made.fit_predict(X) == -1).sum() == 30
    far = np.full((1, 5), 1e4)
    assert made.predict(far) == -1
    assert made.decision_function(far) == made.score_samples(far) - made.offset_ < 0
    for wrong in (0, 0.6):
        with pytest.raises(InputError, match=r"above 0 and at most 0\.5"):
            AutoencoderDetector(contamination=wrong).fit(X)


@pytest.mark.slow
def test_a_detector_of_an_experiment_without_one_is_its_squared_error():
    made = AutoencoderDetector("ae-tabular", **FEW).fit(X)
    rows = made.trained_.reconstruct(X)
    # In the units of the model, which standardises.
    error = (((rows - X) / X.std(axis=0)) ** 2).sum(axis=1)
    np.testing.assert_allclose(made.score_samples(X), -error, rtol=1e-3)


@pytest.mark.slow
def test_the_density_is_in_the_units_of_the_rows_and_integrates_to_one():
    x = np.random.default_rng(1).normal(1000, 20, (400, 1))
    made = VAEDensity(steps=300, n_components=1, samples=200).fit(x)
    places = np.linspace(800, 1200, 1001)
    density = np.exp(made.score_samples(places[:, None]))
    assert density.sum() * (places[1] - places[0]) == pytest.approx(1, abs=0.02)
    assert made.score(x) == pytest.approx(made.score_samples(x).mean())
    normal = -0.5 * np.log(2 * np.pi * np.e * x.var())
    assert made.score(x) == pytest.approx(normal, abs=0.1)
    drawn = made.sample(2000, random_state=0)
    assert drawn.shape == (2000, 1)
    assert drawn.mean() == pytest.approx(1000, abs=3)
    assert drawn.std() == pytest.approx(20, abs=2)
    np.testing.assert_array_equal(drawn, made.sample(2000, random_state=0))


@pytest.mark.slow
def test_of_a_linear_decoder_the_density_is_the_normal_one_in_closed_form():
    """z ~ N(0, 1) and u | z ~ N(w z + b, I) in standardised units: u ~ N(b, w w' + I) (Tipping & Bishop 1999).

    With the exact posterior, which is normal, any number of codes gives it without error.
    """
    linear = {"model.encoder.hidden": [], "model.decoder.hidden": [], "loss.likelihood": "gaussian"}
    made = VAEDensity(steps=1, n_components=1, samples=2, settings=linear).fit(X)
    trained = made.trained_
    params, preprocess = trained.state.params, trained.preprocess
    w, b = (np.asarray(params["decoder"]["out"][name], np.float64) for name in ("kernel", "bias"))
    precision = 1 + (w**2).sum()
    latent = {
        "code": {"kernel": w.T / precision, "bias": -(w @ b) / precision},
        "scale": {"kernel": 0 * w.T, "bias": np.atleast_1d(10 * np.arctanh(-0.05 * np.log(precision)))},
    }
    latent = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), latent)
    state = dataclasses.replace(trained.state, params=params | {"latent": latent})
    made.trained_ = dataclasses.replace(trained, state=state)
    std, mean = np.float64(preprocess.std), np.float64(preprocess.mean)
    exact = multivariate_normal(mean + std * b, np.outer(w * std, w * std) + np.diag(std**2))
    np.testing.assert_allclose(made.score_samples(X), exact.logpdf(X), rtol=1e-5)


def test_what_has_no_density_is_refused_before_training():
    with pytest.raises(InputError, match="needs a prior"):
        VAEDensity("ae-tabular").fit(X)
    with pytest.raises(InputError, match="samples is 0"):
        VAEDensity(samples=0).fit(X)


@pytest.mark.slow
def test_a_pipeline_and_a_search_over_a_part_of_it():
    y = (X[:, 0] > X[:, 0].mean()).astype(int)
    pipe = make_pipeline(StandardScaler(), AutoencoderTransformer(**FEW), LogisticRegression())
    search = GridSearchCV(pipe, {"autoencodertransformer__n_components": [1, 4]}, cv=2, error_score="raise")
    search.fit(X, y)
    assert search.best_estimator_[1].transform(X).shape[1] in (1, 4)
    assert search.best_score_ > 0.6


@pytest.mark.slow
def test_searches_over_a_density_and_a_detector():
    density = GridSearchCV(VAEDensity(samples=3, **FEW), {"steps": [1, 200]}, cv=2, error_score="raise").fit(X)
    assert density.best_params_ == {"steps": 200}
    x = X.copy()
    x[::10] += 500
    normal = np.where(np.arange(300) % 10 == 0, -1, 1)
    scored = GridSearchCV(
        AutoencoderDetector(**FEW), {"contamination": [0.1]}, scoring="roc_auc", cv=2, error_score="raise"
    ).fit(x, normal)
    assert scored.best_score_ > 0.9


@pytest.mark.slow
def test_several_processes_search_as_one_does():
    grid = {"n_components": [1, 2]}
    one, two = (
        GridSearchCV(AutoencoderTransformer(**FEW), grid, cv=2, n_jobs=jobs, error_score="raise").fit(X)
        for jobs in (1, 2)
    )
    np.testing.assert_allclose(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"], rtol=1e-5)


def test_an_interrupt_ends_a_search_too(monkeypatch):
    def stopped(*arguments, **options):
        raise Stopped("stopped")

    monkeypatch.setattr("aejax.estimators._base.training.train", stopped)
    search = GridSearchCV(AutoencoderTransformer(steps=2), {"n_components": [1, 2]}, cv=2, scoring=lambda *_: 0.0)
    with pytest.raises(KeyboardInterrupt):
        search.fit(np.random.default_rng(0).normal(size=(20, 4)))
