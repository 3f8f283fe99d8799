import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score

from aejax.metrics import detection_of_features, detections, feature_metrics

RNG = np.random.default_rng(0)
FEATURES = np.linalg.qr(RNG.normal(size=(8, 8)))[0][:5]


def test_the_features_themselves_in_any_order_and_length_are_found():
    found = feature_metrics(FEATURES[[3, 0, 4, 1, 2]] * np.array([[1], [2], [3], [4], [5.0]]), FEATURES)
    assert found == pytest.approx({"mmcs": 1, "mcc": 1, "uniqueness": 1})


def test_units_that_found_the_same_feature_are_one():
    found = feature_metrics(FEATURES[[0, 0, 1, 1]], FEATURES)
    assert found["mmcs"] == pytest.approx(2 / 5, abs=1e-6)
    assert found["mcc"] == pytest.approx(2 / 4, abs=1e-6)  # of four pairs, two are of orthogonal ones
    assert found["uniqueness"] == 2 / 4


def test_the_opposite_of_a_feature_is_not_near_it_though_it_matches():
    found = feature_metrics(-FEATURES, FEATURES)
    assert found["mmcs"] < 0.1
    assert found["mcc"] == pytest.approx(1)


def test_the_matching_is_the_best_of_all(rng):
    rows, features = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    cosine = abs(
        (features / np.linalg.norm(features, axis=1, keepdims=True))
        @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T
    )
    best = max(np.mean([cosine[i, j] for i, j in enumerate(order)]) for order in itertools.permutations(range(4)))
    assert feature_metrics(rows, features)["mcc"] == pytest.approx(best)


def test_f1_is_that_of_units_as_detectors_in_any_batches(rng):
    truth, found = rng.uniform(size=(64, 12)) < 0.2, rng.uniform(size=(64, 12)) < 0.4
    truth[:, 3] = False
    counts = sum(detections(truth[few], found[few]) for few in np.split(np.arange(64), [10, 40]))
    measured = detection_of_features(counts, 64)
    expected = [f1_score(truth[:, i], found[:, i]) for i in range(12) if truth[:, i].any()]
    assert measured["feature_f1"] == pytest.approx(np.mean(expected), rel=1e-12)
    assert measured["true_l0"] == pytest.approx(truth.sum(axis=1).mean())
