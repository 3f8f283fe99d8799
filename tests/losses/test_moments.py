import numpy as np
import pytest

from aejax.core import InputError
from aejax.losses.moments import DIP
from aejax.models import require
from tests.helpers.passes import of_pass, passed, posteriors

pytestmark = pytest.mark.usefixtures("strict")


@pytest.mark.parametrize("kind", ["I", "II"])
def test_the_penalty_is_the_covariance_s_distance_from_the_identity(kind):
    mean, scale, _ = posteriors(9, 3)
    covariance = np.cov(mean.T, bias=True)
    if kind == "II":
        covariance += np.diag((scale**2).mean(axis=0))
    apart = covariance - np.diag(np.diag(covariance))
    expected = (apart**2).sum() + 4.0 * ((np.diag(covariance) - 1) ** 2).sum()
    measured = of_pass(DIP(diagonal=4.0, kind=kind), mean, scale)
    np.testing.assert_allclose(measured, np.full(9, expected), rtol=1e-5)


def test_whitened_codes_cost_nothing_and_scaled_or_turned_ones_do():
    white = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float64)
    np.testing.assert_allclose(of_pass(DIP(), white), 0, atol=1e-12)
    np.testing.assert_allclose(of_pass(DIP(diagonal=1.0), 2 * white)[0], 2 * 3**2, rtol=1e-6)
    np.testing.assert_allclose(of_pass(DIP(diagonal=0.0), white[:, [0, 0]])[0], 2, rtol=1e-6)
    np.testing.assert_allclose(of_pass(DIP(kind="II"), white * 0.6, 0.8), 0, atol=1e-10)


def test_the_second_kind_refuses_codes_without_a_scale():
    with pytest.raises(InputError, match=r"DIP needs .* normals, which Plain does not have"):
        require(DIP(kind="II"), passed(np.ones((3, 2))).model)
    require(DIP(kind="I"), passed(np.ones((3, 2))).model)
