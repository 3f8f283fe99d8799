"""Every check that scikit-learn has for estimators, on each of ours with few steps."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from aejax.estimators import AutoencoderDetector, AutoencoderTransformer, VAEDensity

SMALL = [
    AutoencoderTransformer(steps=20),
    AutoencoderDetector(steps=20),
    VAEDensity(steps=20, samples=10),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # scikit-learn's checks warn of what they do themselves
@parametrize_with_checks(SMALL)
def test_scikit_learn_s_own_checks_pass(estimator, check):
    check(estimator)
