import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr

from aejax.core import Examples, InputError
from aejax.data import Data
from aejax.evaluation import udr_scores
from aejax.losses import KL, Bernoulli, Loss, Reconstruction
from aejax.metrics import udr
from aejax.models import GaussianLatent, MLPDecoder, MLPEncoder, VariationalAutoencoder
from tests.helpers.untrained import untrained

RNG = np.random.default_rng(0)
FACTORS = RNG.normal(size=(4000, 3))
ALL = [np.ones(3, bool)] * 3
SWAPPED = (-FACTORS[:, [2, 0, 1]]) ** 3
MIXED = FACTORS @ np.linalg.qr(RNG.normal(size=(3, 3)))[0]


def test_models_that_agree_up_to_order_sign_and_scale_score_one_and_a_mixture_less():
    first, second, mixed = udr([FACTORS, SWAPPED, MIXED], ALL)
    assert udr([FACTORS, SWAPPED], ALL[:2]).min() > 0.95
    assert mixed < 0.75
    assert min(first, second) > mixed


def test_it_is_the_formula_of_the_paper_of_rank_correlations():
    """Duan et al. 2020, equation 3, written out for one pair of which two and three latents count."""
    kept = [np.array([True, False, True]), np.ones(3, bool)]
    related = np.abs(spearmanr(FACTORS[:, kept[0]], MIXED).statistic[:2, 2:])
    total = sum(max(column) ** 2 / sum(column) for column in related.T) + sum(
        max(row) ** 2 / sum(row) for row in related
    )
    np.testing.assert_allclose(udr([FACTORS, MIXED], kept), total / (2 + 3), rtol=1e-6)


def test_a_model_is_ranked_by_the_median_over_the_others():
    models = [FACTORS, SWAPPED, MIXED, FACTORS[:, ::-1]]
    every = [np.ones(3, bool)] * 4
    pairs = [udr([models[0], other], every[:2])[0] for other in models[1:]]
    np.testing.assert_allclose(udr(models, every)[0], np.median(pairs))


def test_models_that_say_nothing_score_zero():
    nothing = np.zeros(3, bool)
    np.testing.assert_array_equal(udr([FACTORS, FACTORS.copy()], [nothing, ALL[0]]), [0, 0])


@pytest.mark.parametrize("codes", [[FACTORS], [FACTORS, FACTORS[:-1]]])
def test_what_cannot_be_compared_is_refused(codes):
    with pytest.raises(InputError, match="UDR compares the codes of two models or more of the same examples"):
        udr(codes, ALL[: len(codes)])


@pytest.mark.slow
def test_of_trained_models_only_latents_count_that_leave_the_prior(tiny):
    model = VariationalAutoencoder(MLPEncoder((4,)), GaussianLatent(3), MLPDecoder((4,)))
    loss = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()})
    trained = untrained(dataclasses.replace(tiny.experiment, model=model, loss=loss, data=Data("x")), (4, 4, 1))
    part = Examples(tiny.dataset.train.x)
    same = udr_scores([trained, trained], part)
    codes = trained.encode(part.x)
    np.testing.assert_allclose(same, udr([codes, codes.copy()], [np.ones(3, bool)] * 2), rtol=1e-5)
    with pytest.raises(InputError, match="needs a prior"):
        udr_scores([untrained(tiny.experiment, (4, 4, 1))] * 2, part)
