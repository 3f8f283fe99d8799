import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import aejax
from aejax.cli import _entry
from aejax.core import Examples, InputError
from aejax.data import Data, Standardise
from aejax.evaluation import compare, finish, suite
from aejax.losses import Gaussian, Loss
from aejax.metrics import as_scores, detection_metrics, flagged, parse_threshold
from aejax.metrics.anomaly import threshold_at_quantile, threshold_at_rate
from aejax.trained import programs
from tests.helpers.small import DATASET, EXPERIMENT

SIZES = {"train": 20, "test": 9}
FLAGGED = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40)


def parts(pairs):
    scores, anomaly = (np.array(column, np.float32) for column in zip(*pairs, strict=True))
    return scores, anomaly


@pytest.fixture(scope="module")
def trained():
    return aejax.fit(EXPERIMENT, dataset=DATASET)


@settings(deadline=None)
@given(FLAGGED.filter(lambda pairs: {anomaly for _, anomaly in pairs} == {True, False}))
def test_auroc_counts_the_pairs_in_which_the_anomaly_scores_higher(pairs):
    scores, anomaly = parts(pairs)
    above, below = scores[anomaly == 1][:, None], scores[anomaly == 0]
    expected = (above > below).mean() + (above == below).mean() / 2
    assert detection_metrics(scores, anomaly)["auroc"] == pytest.approx(expected)


@settings(deadline=None)
@given(FLAGGED.filter(lambda pairs: {anomaly for _, anomaly in pairs} == {True, False}))
def test_average_precision_is_the_mean_precision_at_the_anomalies(pairs):
    scores, anomaly = parts(pairs)
    # The precision among all that score at least as high as each anomaly.
    precision = [anomaly[scores >= score].mean() for score in scores[anomaly == 1]]
    assert detection_metrics(scores, anomaly)["average_precision"] == pytest.approx(np.mean(precision))


@pytest.mark.parametrize("anomaly", [np.zeros(3), np.ones(3), np.arange(3)])
def test_labels_that_say_nothing_of_anomalies_are_refused(anomaly):
    with pytest.raises(InputError, match="expected both 0"):
        detection_metrics(np.arange(3, dtype=np.float32), anomaly)


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=20, max_size=60), st.floats(0.05, 0.95))
def test_no_larger_share_than_asked_is_flagged_and_no_lower_score_would_do(scores, rate):
    scores = np.array(scores, np.float32)
    threshold = threshold_at_rate(scores, rate)
    assert (scores > threshold).mean() <= rate + 1e-9
    for lower in scores[scores < threshold]:
        assert (scores > lower).mean() > rate


def test_a_rate_takes_exactly_its_share_of_distinct_scores():
    scores = np.random.default_rng(0).permutation(200).astype(np.float32)
    assert (scores > threshold_at_rate(scores, 0.05)).sum() == 10
    assert threshold_at_quantile(scores, 0.5) == pytest.approx(99.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_the_highest_and_always_flagged(bad):
    scores = np.float32([1, 2, 3, bad])
    assert detection_metrics(scores, np.array([0, 0, 0, 1])) == {"auroc": 1.0, "average_precision": 1.0}
    assert flagged(scores, 2.5).tolist() == [False, False, True, True]
    assert flagged(scores, np.inf).tolist() == [False, False, False, True]
    assert as_scores(scores).tolist() == [1, 2, 3, np.inf]
    assert threshold_at_rate(scores, 0.5) == threshold_at_quantile(scores[[3, 0, 1]], 0.5) == 2
    assert threshold_at_quantile(scores[[3, 0, 1]], 0.9) == 2  # between a finite score and none
    for rule in (threshold_at_rate, threshold_at_quantile):
        with pytest.raises(InputError, match="2 of 4 validation examples have no finite score, the first is number 0"):
            rule(np.float32([bad, 1, 2, bad]), 0.3 if rule is threshold_at_rate else 0.9)


@pytest.mark.parametrize("rate", [1.0, 1 - 1e-12, 0.999])
def test_a_rate_that_all_may_exceed_takes_the_lowest_score(rate):
    assert threshold_at_rate(np.array([3.0, 1.0, 2.0], np.float32), rate) == 1.0


def test_a_rate_too_small_for_the_examples_is_refused():
    with pytest.raises(InputError, match=r"cannot be told from 0 with 50 validation examples: give at least fpr=0.02"):
        threshold_at_rate(np.zeros(50, np.float32), 0.01)


def test_the_score_is_the_squared_error_and_the_nats_that_evaluation_averages(trained):
    metrics = trained.evaluate(DATASET.test)
    scores = trained.score(DATASET.test.x)
    reconstruction = trained.reconstruct(DATASET.test.x)
    assert scores.shape == (10,)
    np.testing.assert_allclose(scores, np.square(DATASET.test.x / 255 - reconstruction).sum(axis=(1, 2, 3)), rtol=1e-4)
    assert scores.mean() == pytest.approx(metrics["squared_error"], rel=1e-5)
    assert trained.score(DATASET.test.x, "nats").mean() == pytest.approx(metrics["reconstruction_nats"], rel=1e-5)


def test_scores_do_not_depend_on_how_many_examples_go_together(trained, monkeypatch):
    x = np.concatenate([DATASET.train.x, DATASET.test.x])
    whole = trained.score(x)
    monkeypatch.setattr(programs, "CHUNK", 16)
    np.testing.assert_allclose(trained.score(x), whole, rtol=1e-5)
    np.testing.assert_allclose(trained.score(x[:3]), whole[:3], rtol=1e-5)


def test_standardised_values_are_scored_in_units_of_their_spread():
    data = Data("generated", preprocess=Standardise())
    fitted = aejax.fit(
        dataclasses.replace(EXPERIMENT, loss=Loss(Gaussian()), data=data, epochs=1),
        dataset=DATASET,
    )
    error = (DATASET.test.x / 255 - fitted.reconstruct(DATASET.test.x)) / fitted.preprocess.std
    np.testing.assert_allclose(fitted.score(DATASET.test.x), np.square(error).sum(axis=(1, 2, 3)), rtol=1e-3)


def test_examples_that_do_not_fit_are_refused(trained):
    with pytest.raises(InputError, match="shape"):
        trained.score(np.zeros((3, 5, 5, 1), np.uint8))
    with pytest.raises(InputError, match="the score is 'error': give one of squared_error, nats"):
        trained.score(DATASET.test.x, "error")


@pytest.mark.parametrize("text", ["0.01", "fpr", "fpr=", "fpr=1", "fpr=0", "fpr=nan", "quantile=99", "fdr=0.1", ""])
def test_a_threshold_that_names_no_rule_is_refused(text):
    with pytest.raises(InputError, match=r"give fpr=RATE or quantile=Q"):
        parse_threshold(text)


@pytest.fixture
def command(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["aejax", *map(str, arguments)])
        try:
            _entry.main()
        except SystemExit as exit_:
            return exit_.code, capsys.readouterr()
        return 0, capsys.readouterr()

    return run


@pytest.fixture
def run_folder(tmp_path):
    """A run on a file of the user's, with and without a validation part."""
    np.savez(tmp_path / "x.npz", x_train=DATASET.train.x, x_test=DATASET.test.x)

    def make(validation):
        data = Data(str(tmp_path / "x.npz"), validation=validation)
        experiment = dataclasses.replace(EXPERIMENT, data=data, epochs=1)
        return aejax.fit(experiment, folder=tmp_path / "runs", figures=False).run.path

    return make


@pytest.mark.slow
def test_the_command_writes_scores_and_says_what_share_is_flagged(run_folder, command, tmp_path):
    run, data = run_folder(0.5), tmp_path / "x.npz"
    loaded = aejax.load(run)
    for kind in ("squared_error", "nats"):
        options = ("--threshold", "quantile=0.9", "--kind", kind, "--out", out := tmp_path / f"{kind}.npy")
        code, said = command("score", run, "--data", data, *options)
        assert code == 0
        scores = np.load(out)
        np.testing.assert_array_equal(scores, loaded.score(DATASET.test.x, kind))
        threshold = np.quantile(loaded.score(aejax.data.load(loaded.experiment.data).validation.x, kind), 0.9)
        assert f"threshold {threshold:.6g}" in said.out
        assert f"{(scores > threshold).mean():.2%} of 10 flagged" in said.out


@pytest.fixture
def huge(tmp_path):
    """A model of floats, and rows of which one is so large that its error is no float32."""
    x = (DATASET.train.x / 255).astype(np.float32)
    test = x[:9].copy()
    test[4] = -3.4e38
    np.savez(tmp_path / "floats.npz", x_train=x, x_test=test)
    data = Data(str(tmp_path / "floats.npz"), validation=0.5)
    experiment = dataclasses.replace(EXPERIMENT, loss=Loss(Gaussian()), data=data, epochs=1)
    return aejax.fit(experiment, folder=tmp_path / "runs", figures=False), tmp_path / "floats.npz"


@pytest.mark.slow
def test_the_worst_row_never_passes(huge, command, tmp_path, caplog):
    trained, data = huge
    code, said = command(
        "score", trained.run.path, "--data", data, "--threshold", "quantile=0.99", "--out", tmp_path / "s.npy"
    )
    scores = np.load(tmp_path / "s.npy")
    assert code == 0
    assert np.isinf(scores).tolist() == [number == 4 for number in range(9)]
    assert "1 of them have no finite score and count as flagged, the first is number 4" in said.out
    dataset = aejax.data.load(trained.experiment.data)
    metrics = suite.measure(trained, dataset.test)
    assert not np.isfinite(metrics["squared_error"])
    assert "1 of 9 examples have no finite squared error, the first is number 4" in caplog.text
    finish(trained, dataset)
    written = (trained.run.path / "result.json").read_text()
    assert json.loads(written, parse_constant=pytest.fail)["test"]["squared_error"] is None
    labelled = dataclasses.replace(
        dataset,
        **{part: dataclasses.replace(getattr(dataset, part), label=np.arange(n) % 2) for part, n in SIZES.items()},
    )
    with pytest.raises(InputError, match=r"1 of 9 codes of .* \(PCA-3\) are not finite, the first is number 4"):
        compare(trained, labelled, ("knn",))


@pytest.mark.parametrize(
    ("validation", "threshold", "why"),
    [(0.5, "fpr=2", "give fpr=RATE"), (0.5, "fpr=0.01", "cannot be told"), (0.0, "fpr=0.1", "no validation part")],
)
def test_a_threshold_that_cannot_be_had_is_one_error(run_folder, command, tmp_path, validation, threshold, why):
    run, out = run_folder(validation), tmp_path / "scores.npy"
    code, said = command("score", run, "--data", tmp_path / "x.npz", "--threshold", threshold, "--out", out)
    assert code == 2
    assert why in said.err
    assert said.err.count("\n") == 1
    assert not out.exists()


def test_outliers_of_a_mat_file_are_measured_with_the_rest(trained):
    flags = np.arange(len(DATASET.test)) % 5 == 0
    part = Examples(DATASET.test.x, flags.astype(np.int32))
    flagging = dataclasses.replace(trained.experiment, data=Data("x.mat"))
    flagged = dataclasses.replace(trained, experiment=flagging)
    measured = suite.measure(flagged, part)
    assert measured.items() >= detection_metrics(trained.score(part.x), flags).items()
    assert measured.items() >= trained.evaluate(part).items()
    for experiment, label in ((trained.experiment, part.label), (flagging, None), (flagging, part.label * 0)):
        other = dataclasses.replace(trained, experiment=experiment)
        assert "auroc" not in suite.measure(other, Examples(part.x, label))
