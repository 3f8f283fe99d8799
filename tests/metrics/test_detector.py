import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

import aejax
from aejax.cli import _entry
from aejax.core import Examples, InputError
from aejax.data import Data, Dataset, Standardise
from aejax.experiment import from_json, to_json
from aejax.losses import Cauchy, GaussianNoise, Loss
from aejax.metrics import (
    Detector,
    GaussianDistance,
    NeighbourDistance,
    ReconstructionScore,
    ResidualDistance,
    SampleDistance,
    View,
)
from aejax.metrics.anomaly import parse_threshold
from aejax.metrics.detector import expected_nearest, surprise
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.trained import programs
from aejax.training import fit_many, loop
from tests.helpers.small import DATASET, EXPERIMENT


def view(codes, nats=None):
    """Codes that are their examples' values and residuals too."""
    codes = jnp.asarray(codes, jnp.float32)
    codes = codes[:, None] if codes.ndim == 1 else codes
    return View(codes, jnp.zeros(len(codes)) if nats is None else jnp.asarray(nats, jnp.float32), codes, codes)


def scored(score, seen, reference):
    return np.asarray(score(seen, reference.take(score.compared(reference))))


def own(score, reference):
    return np.asarray(score.own(reference, score.compared(reference)))


RANDOM = np.random.default_rng(0).normal(size=(30, 3))


@pytest.mark.parametrize("sample", [1, 2, 3, 7, 20])
def test_the_expected_nearest_is_the_mean_over_all_samples(sample):
    distances = np.sort(np.random.default_rng(0).random((2, 7)).astype(np.float32))
    draws = [list(draw) for draw in itertools.combinations(range(7), min(sample, 7))]
    expected = np.mean([distances[:, draw].min(axis=1) for draw in draws], axis=0)
    np.testing.assert_allclose(expected_nearest(jnp.asarray(distances), sample), expected, rtol=1e-5)


def test_of_a_sample_of_one_the_expected_distance_is_the_mean_and_of_all_it_is_the_least():
    line, seen = view(np.arange(10.0)), view([4.25, 20.0])
    apart = np.abs(np.array([[4.25], [20.0]]) - np.arange(10))
    np.testing.assert_allclose(scored(SampleDistance(1), seen, line), apart.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(scored(SampleDistance(10), seen, line), apart.min(axis=1), rtol=1e-5)


def test_neighbours_on_a_line():
    line = view(np.arange(10.0))
    nearest = NeighbourDistance(neighbours=2, trim=0.0)
    np.testing.assert_allclose(scored(nearest, view([4.5, 4.25, 11.0]), line), [0.5, 0.5, 2.5], rtol=1e-4)
    np.testing.assert_allclose(own(nearest, line), [1.5, *[1.0] * 8, 1.5], rtol=1e-4)


@pytest.mark.slow
def test_a_far_cluster_is_not_its_own_neighbourhood():
    rows = np.concatenate([RANDOM, np.full((4, 3), 9.0)])
    far = view(np.full((1, 3), 9.0))
    assert scored(NeighbourDistance(3, trim=0.0), far, view(rows))[0] == pytest.approx(0, abs=1e-2)
    assert scored(NeighbourDistance(3, trim=0.2), far, view(rows))[0] > 9
    assert own(NeighbourDistance(3, trim=0.2), view(rows))[-4:].min() > 9
    assert scored(SampleDistance(4), far, view(rows))[0] > 5


@pytest.mark.slow
def test_the_space_of_distances_is_that_of_codes_or_of_values():
    reference, seen = view(RANDOM), view(RANDOM[:5] + 0.5)
    moved = View(reference.code[::-1] * 7, reference.nats, reference.x, reference.residual)
    for score in (SampleDistance, NeighbourDistance):
        of_values = scored(score(space="input"), seen, moved)
        np.testing.assert_array_equal(of_values, scored(score(), seen, reference))
        assert not np.allclose(scored(score(), seen, moved), of_values)
        np.testing.assert_array_equal(own(score(space="input"), moved), own(score(), reference))


def test_the_distance_of_residuals_is_mahalanobis_s():
    left = RANDOM * [3, 1, 0.1]
    seen = np.eye(3)
    moments = left.T @ left / len(left) + 0.05 * np.eye(3)
    expected = np.diag(seen @ np.linalg.inv(moments) @ seen.T)
    np.testing.assert_allclose(scored(ResidualDistance(), view(seen), view(left)), expected, rtol=1e-4)
    assert expected[2] > 5 * expected[1]  # what is left where nothing is left of the rows counts most


def test_residuals_in_more_directions_than_there_are_rows_have_a_distance():
    left = np.random.default_rng(0).normal(size=(5, 40))
    assert np.isfinite(own(ResidualDistance(), view(left))).all()
    assert own(ResidualDistance(), view(left)).min() > scored(ResidualDistance(), view(left), view(left)).max()


def test_the_distance_of_codes_is_mahalanobis_s_by_ledoit_and_wolf_s_covariance():
    code = RANDOM * [3, 1, 0.1]
    covariance, shrinkage = ledoit_wolf(code)
    seen = np.eye(3) * 2
    apart = seen - code.mean(axis=0)
    expected = np.diag(apart @ np.linalg.inv(covariance) @ apart.T)
    np.testing.assert_allclose(scored(GaussianDistance(), view(seen), view(code)), expected, rtol=1e-4)
    for row in (0, 7):
        others = np.delete(code, row, axis=0)
        sphere = np.trace(np.cov(code.T, bias=True)) / 3 * np.eye(3)
        left = (1 - shrinkage) * np.cov(others.T, bias=True) + shrinkage * sphere  # as much shrunk, to the same sphere
        apart = code[row] - others.mean(axis=0)
        alone = apart @ np.linalg.inv(left) @ apart
        assert own(GaussianDistance(), view(code))[row] == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("codes", [np.ones((6, 3)), np.random.default_rng(0).normal(size=(5, 40)), np.arange(6.0)])
def test_codes_of_any_number_in_any_space_have_a_distance(codes):
    @jax.jit
    def distances(rows, seen):
        score = GaussianDistance()
        return score.own(rows, score.compared(rows)), score(seen, rows)

    assert np.isfinite(np.concatenate(distances(view(codes), view(codes + 1)))).all()


def test_in_robust_units_neither_columns_nor_one_outlier_outweigh_the_rest():
    rows, seen = np.random.default_rng(0).normal(size=(400, 3)), np.array([[1.0, 0.5, 5.0]])
    rows[:, 2] = 1  # constant
    measure = jax.jit(lambda seen, rows: SampleDistance(4, space="scaled")(view(seen), view(rows)))
    plain = measure(seen, rows)
    assert np.isfinite(plain).all()
    units = [7, -2e3, 1]
    np.testing.assert_allclose(measure(seen * units, rows * units), plain, rtol=1e-4)
    rows[0, :2] = 30  # far beyond the four deviations to which values are cut
    np.testing.assert_allclose(measure(seen, rows), plain, rtol=0.05)


def test_a_run_that_recorded_other_scores_keeps_them():
    older = {
        "class": "Detector",
        "scores": {
            "reconstruction": {"class": "ReconstructionScore"},
            "residual": {"class": "ResidualDistance", "ridge": 0.05},
            "sample": {"class": "SampleDistance", "sample": 16, "space": "code"},
            "neighbours": {"class": "NeighbourDistance", "neighbours": 5, "trim": 0.2, "space": "input"},
        },
        "rows": 2048,
    }
    assert to_json(from_json(older)) == older


@pytest.mark.parametrize(
    "score", [SampleDistance(4), NeighbourDistance(3, trim=0.0), ReconstructionScore(), ResidualDistance()]
)
def test_a_row_of_the_reference_scores_as_if_it_were_not_in_it(score):
    nats = np.arange(len(RANDOM))
    for row in (0, 7):
        others = np.delete(np.arange(len(RANDOM)), row)
        alone = scored(score, view(RANDOM[[row]], nats[[row]]), view(RANDOM[others], nats[others]))
        assert own(score, view(RANDOM, nats))[row] == pytest.approx(alone[0], rel=1e-4)


def test_a_surprise_is_the_share_of_rows_above_and_goes_on_rising_above_them():
    rows = jnp.array([1.0, 2.0, 4.0])
    share = np.exp(-surprise(jnp.array([-9.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0]), rows))
    np.testing.assert_allclose(share, np.array([3, 3, 2, 1.5, 1, np.exp(-1), np.exp(-2)]) / 4, rtol=1e-6)
    assert surprise(jnp.array([jnp.inf]), rows)[0] == jnp.inf
    assert np.isnan(surprise(jnp.array([jnp.nan]), rows)[0])


def test_the_surprise_of_rows_like_the_reference_s_is_one_nat_on_average():
    rng = np.random.default_rng(0)
    rows = jnp.sort(jnp.asarray(rng.normal(size=4000), jnp.float32))
    assert surprise(jnp.asarray(rng.normal(size=4000), jnp.float32), rows).mean() == pytest.approx(1, abs=0.05)


def test_of_rows_that_score_alike_none_is_above_the_others():
    assert np.isfinite(surprise(jnp.array([0.0, 1.0]), jnp.zeros(5))).all()


@pytest.mark.slow
def test_a_detector_is_the_mean_of_its_surprises_and_their_order_does_not_count():
    reference, seen = view(RANDOM, np.arange(30)), view(RANDOM[:8] * 2, np.arange(8) * 5)
    scores = Detector().scores

    def surprises(**some):
        detector = Detector(some)
        return np.asarray(detector(detector.prepare(reference), seen))

    alone = [surprises(**{name: score}) for name, score in scores.items()]
    np.testing.assert_allclose(surprises(**scores), np.mean(alone, axis=0), rtol=1e-5)
    np.testing.assert_allclose(surprises(**dict(reversed(scores.items()))), surprises(**scores), rtol=1e-5)
    shuffled = jnp.asarray(np.random.default_rng(1).permutation(30))
    other = Detector()
    np.testing.assert_allclose(other(other.prepare(reference.take(shuffled)), seen), surprises(**scores), rtol=1e-4)


def table(n, seed):
    """Rows on a plane with noise, and for every tenth a value far off."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) @ np.random.default_rng(9).normal(size=(2, 6)) + 0.1 * rng.normal(size=(n, 6))
    x[::10] = rng.normal(size=x[::10].shape) * x.std(axis=0)
    return Examples(x.astype(np.float32), (np.arange(n) % 10 == 0).astype(np.int32))


TABLE = Dataset("table", table(120, 0), table(30, 1), table(60, 2))
TABULAR = dataclasses.replace(
    EXPERIMENT,
    model=Autoencoder(MLPEncoder(), Plain(16, "tanh"), MLPDecoder()),
    loss=Loss(Cauchy(0.3), corruption=GaussianNoise(2.0)),
    data=Data("table", preprocess=Standardise(clip=3.0)),
    detector=Detector(rows=100),
)


@pytest.fixture(scope="module")
def trained():
    return aejax.fit(TABULAR, dataset=TABLE)


@pytest.mark.slow
def test_the_detector_is_the_default_score_of_a_run_that_has_one(trained):
    scores = trained.score(TABLE.test.x)
    np.testing.assert_array_equal(scores, trained.score(TABLE.test.x, "detector"))
    assert scores.dtype == np.float32
    assert 0 < scores.min() < scores.max() < np.inf
    assert scores[TABLE.test.label == 1].mean() > scores[TABLE.test.label == 0].mean() + 1
    assert not np.allclose(scores, trained.score(TABLE.test.x, "nats"))


@pytest.mark.slow
def test_a_row_s_score_does_not_depend_on_what_is_scored_with_it(trained, monkeypatch):
    x = TABLE.test.x
    whole = trained.score(x)
    np.testing.assert_allclose(trained.score(x[:1]), whole[:1], rtol=1e-4)
    np.testing.assert_allclose(trained.score(x[::-1]), whole[::-1], rtol=1e-4)
    monkeypatch.setattr(programs, "CHUNK", 8)
    np.testing.assert_allclose(trained.score(x), whole, rtol=1e-4)


@pytest.mark.slow
def test_new_rows_like_those_of_the_training_part_surprise_by_about_a_nat(trained):
    assert np.median(trained.score(table(200, 5).x)) == pytest.approx(np.log(2), abs=0.25)


def test_the_units_of_columns_do_not_count(trained):
    units, offset = np.array([1e-3, 1, 7, 1e4, 0.5, 3]), np.array([0, 5, -2, 1e5, 1, 0.1])

    def converted(part):
        return Examples((part.x * units + offset).astype(np.float32), part.label)

    parts = (converted(part) for part in (TABLE.train, TABLE.validation, TABLE.test))
    other = aejax.fit(TABULAR, dataset=Dataset("table", *parts))
    np.testing.assert_allclose(other.score(converted(TABLE.test).x), trained.score(TABLE.test.x), rtol=0.05)


def test_the_order_of_columns_does_not_count_where_they_are_compared():
    order = np.array([2, 0, 1])

    def turned(seen):
        return View(seen.code, seen.nats, seen.x[:, order], seen.residual[:, order])

    reference, seen = view(RANDOM, np.arange(30)), view(RANDOM[:8] * 2, np.arange(8))
    detector = Detector()
    expected = detector(detector.prepare(reference), seen)
    np.testing.assert_allclose(detector(detector.prepare(turned(reference)), turned(seen)), expected, rtol=1e-4)


def test_the_same_seed_gives_the_same_scores(trained):
    np.testing.assert_array_equal(aejax.fit(TABULAR, dataset=TABLE).score(TABLE.test.x), trained.score(TABLE.test.x))


def test_a_threshold_for_a_share_of_false_alarms_flags_that_share_of_new_normal_rows(trained):
    normal, new = (table(500, seed) for seed in (6, 7))
    normal, new = (part.x[part.label == 0] for part in (normal, new))
    threshold = parse_threshold("fpr=0.1")(trained.score(normal))
    assert (trained.score(new) > threshold).mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize("value", [-3.4e38, 3.4e38])
def test_values_near_the_largest_float_are_the_worst_of_all(trained, value):
    x = np.array(TABLE.test.x)
    x[3] = value
    scores = trained.score(x)
    assert scores.argmax() == 3
    plain = dataclasses.replace(trained, preprocess=dataclasses.replace(trained.preprocess, clip=None))
    for kind in ("squared_error", "nats", "detector"):
        assert plain.score(x, kind)[3] >= plain.score(x, kind).max()


@pytest.mark.slow
def test_the_run_keeps_the_rows_in_every_checkpoint(tmp_path):
    kept = loop.train(TABULAR, dataset=TABLE, folder=tmp_path)
    for path in (kept.run.path, kept.run.path / "checkpoints" / "best"):
        loaded = aejax.load(path)
        assert loaded.reference.count == 100
        np.testing.assert_array_equal(loaded.reference.x, kept.reference.x)
    np.testing.assert_array_equal(aejax.load(kept.run.path).score(TABLE.test.x), kept.score(TABLE.test.x))


@pytest.mark.slow
def test_fewer_rows_than_the_detector_takes_are_all_kept(tmp_path, trained):
    wide = dataclasses.replace(TABULAR, detector=Detector(rows=4096))
    fitted = loop.train(wide, dataset=TABLE, folder=tmp_path)
    assert len(fitted.reference.examples()) == 120
    seen = np.clip((TABLE.train.x - fitted.preprocess.mean) / fitted.preprocess.std, -3, 3)
    np.testing.assert_allclose(np.sort(fitted.reference.examples().x, axis=0), np.sort(seen, axis=0), atol=1e-5)
    np.testing.assert_array_equal(aejax.load(fitted.run.path).score(TABLE.test.x), fitted.score(TABLE.test.x))


@pytest.mark.slow
def test_a_member_of_a_population_detects_as_a_run_alone(trained):
    (member,) = fit_many([TABULAR], dataset=TABLE)
    np.testing.assert_allclose(member.trained.score(TABLE.test.x), trained.score(TABLE.test.x), rtol=1e-3)


def test_a_detector_survives_json_and_stays_out_of_the_names_of_experiments_without_one():
    assert from_json(to_json(TABULAR)) == dataclasses.replace(TABULAR)
    assert to_json(EXPERIMENT)["detector"] is None


@pytest.mark.parametrize(
    ("detector", "why"),
    [
        (Detector({}), "joins 0 scores"),
        (Detector(rows=1), "over 1 rows"),
        (Detector({"a": SampleDistance(0)}), r"detector.scores.a.sample is 0: give at least 1"),
        (Detector({"a": NeighbourDistance(0)}), r"detector.scores.a.neighbours is 0"),
        (Detector({"a": ResidualDistance(0.0)}), r"detector.scores.a.ridge is 0.0, but it must be above zero"),
        (Detector({"a": NeighbourDistance(trim=1.0)}), r"detector.scores.a.trim is 1.0: give a share"),
    ],
)
def test_a_detector_that_means_nothing_is_refused_before_training(detector, why):
    with pytest.raises(InputError, match=why):
        aejax.fit(dataclasses.replace(TABULAR, detector=detector), dataset=TABLE)


def test_a_conditional_model_has_no_detector():
    conditional = dataclasses.replace(aejax.get("cvae-mnist"), detector=Detector(), data=Data("mnist-5k"))
    with pytest.raises(InputError, match="Detector needs an encoder that is given no label"):
        aejax.fit(conditional)


@pytest.mark.slow
def test_a_run_without_a_detector_says_so():
    fitted = aejax.fit(dataclasses.replace(EXPERIMENT, epochs=1), dataset=DATASET)
    with pytest.raises(InputError, match="tiny has no detector: score by squared_error or nats"):
        fitted.score(DATASET.test.x, "detector")


@pytest.mark.slow
def test_the_command_scores_by_the_run_s_detector(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "x.npz", x_train=TABLE.train.x, x_test=TABLE.test.x)
    data = Data(str(tmp_path / "x.npz"), validation=0.2, preprocess=Standardise(clip=3.0))
    run = aejax.fit(dataclasses.replace(TABULAR, data=data, epochs=1), folder=tmp_path, figures=False).run.path
    command = ["score", run, "--data", tmp_path / "x.npz", "--out", tmp_path / "s.npy", "--threshold", "fpr=0.1"]
    monkeypatch.setattr("sys.argv", ["aejax", *map(str, command)])
    _entry.main()
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), aejax.load(run).score(TABLE.test.x))
    assert "of 60 flagged" in capsys.readouterr().out
