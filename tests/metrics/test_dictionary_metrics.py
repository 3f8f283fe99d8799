import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import f1_score

from aejax import core
from aejax.core import Examples, means
from aejax.core.mean import Mean
from aejax.data import SyntheticFeatures
from aejax.metrics import FeatureDetection, detection_of_features, feature_metrics
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, Point

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


def test_the_matching_is_the_best_of_all():
    rows, features = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    cosine = abs(
        (features / np.linalg.norm(features, axis=1, keepdims=True))
        @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T
    )
    best = max(np.mean([cosine[i, j] for i, j in enumerate(order)]) for order in itertools.permutations(range(4)))
    assert feature_metrics(rows, features)["mcc"] == pytest.approx(best)


def test_f1_is_that_of_units_as_detectors_in_any_batches():
    source = SyntheticFeatures(features=12, values=6, roots=1, branching=2, depth=1, least=0.1)
    numbers, unit = np.arange(64, dtype=np.int32), np.array([0, 2, 1, 0, 2, 1, 0, 1, 2, 0, 1, 2], np.int32)
    truth = np.asarray(source.codes(numbers)) > 0
    code = (RNG.uniform(size=(64, 3)) < 0.4).astype(np.float32)

    class Model(Autoencoder):
        @nn.nowrap
        def encode(self, batch, train=False):
            return Point(jnp.asarray(code)[batch.label])

    model = Model(MLPEncoder(), Plain(3), MLPDecoder())
    measure = core.as_arrays(FeatureDetection(source, unit))
    sums = []
    for few in np.split(numbers, [10, 40]):
        values = measure(model, Examples(np.zeros((len(few), 6), np.float32), few))
        sums.append({name: Mean.of(value) for name, value in values.items()})
    measured = detection_of_features(means(jax.tree.map(lambda *leaves: np.stack(leaves), *sums)))
    expected = [f1_score(truth[:, i], code[:, unit[i]] > 0) for i in range(12) if truth[:, i].any()]
    assert measured["feature_f1"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert measured["true_l0"] == pytest.approx(truth.sum(axis=1).mean())
