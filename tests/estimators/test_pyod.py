"""The detector under PyOD's contract; what needs PyOD is skipped where it is not installed."""

import importlib.util

import numpy as np
import pytest
from sklearn.base import clone

from aejax.core import InputError
from aejax.estimators import AutoencoderDetector, AutoencoderOD

HAS_PYOD = importlib.util.find_spec("pyod") is not None
needs_pyod = pytest.mark.skipif(not HAS_PYOD, reason="PyOD is not installed")


@pytest.mark.skipif(HAS_PYOD, reason="PyOD is installed")
def test_without_pyod_the_extra_is_named():
    with pytest.raises(InputError, match=r'pip install "aejax\[pyod\]"'):
        AutoencoderOD()


@needs_pyod
@pytest.mark.filterwarnings("default")
def test_scores_rise_with_abnormality_and_labels_follow_the_contamination():
    from pyod.models.base import BaseDetector

    x = np.random.default_rng(0).normal(size=(200, 4))
    x[:10] += 8
    outlier = np.arange(200) < 10
    detector = AutoencoderOD(0.05, steps=100).fit(x)
    assert isinstance(detector, BaseDetector)
    np.testing.assert_array_equal(detector.decision_scores_, -AutoencoderDetector(steps=100).fit(x).score_samples(x))
    assert detector.labels_.sum() == 10
    np.testing.assert_array_equal(detector.labels_.astype(bool), outlier)
    np.testing.assert_array_equal(detector.predict(x), detector.labels_)
    new = np.stack([np.zeros(4), np.full(4, 9.0)])
    assert detector.predict(new).tolist() == [0, 1]
    share = detector.predict_proba(new)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    assert share[1, 1] > 0.9 > 0.5 > share[0, 1]
    np.testing.assert_array_equal(clone(detector).fit(x).labels_, detector.labels_)


@needs_pyod
@pytest.mark.filterwarnings("default")
def test_pyod_joins_it_with_its_own_detectors():
    from pyod.models.knn import KNN
    from pyod.utils.utility import standardizer

    x = np.random.default_rng(0).normal(size=(150, 3))
    x[0] = 7
    scores = np.stack([made.fit(x).decision_scores_ for made in (KNN(), AutoencoderOD(steps=50))], axis=1)
    assert standardizer(scores).mean(axis=1).argmax() == 0
