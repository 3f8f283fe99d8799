"""Measures how well single latents stand for single factors of variation, on data whose factors are known.

Every score compares codes `[n, latents]`, of two latents or more, with the values of the factors
`[n, factors]`, which count from 0. The protocol is disentanglement_lib's (Locatello et al. 2019), with two
departures: pairs or batches that share a factor are drawn from the given examples, and codes are standardised,
so that no score depends on the order, signs or scales of latents. Everything random has a fixed seed.
"""

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset, Factors, factors_of
from aejax.evaluation import figures
from aejax.experiment import Experiment
from aejax.metrics import Codes, Values, beta_vae_score, dci, factor_vae_score, known_shares, mig, sap
from aejax.trained import Trained
from aejax.trained.codes import require_finite

FEWEST, MOST_LATENTS = 1_000, 64
"""The fewest examples and the most latents with which anything is measured."""


def suits(experiment: Experiment) -> bool:
    """Tells whether the factors of the data are known, and the codes have few enough latents to go through each."""
    return factors_of(experiment.data.name) is not None and 2 <= experiment.model.latent.size <= MOST_LATENTS


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures every score of a part's codes; nothing where the examples have no labels or are too few.

    DCI is measured on at most 1,500 of them. Raises `InputError` where less than two factors vary.
    """
    if part.label is None or len(part) < FEWEST:
        return {}
    codes, factors = _coded(trained, part)
    return {
        "mig": mig(codes, factors),
        "sap": sap(codes, factors),
        **dci(codes, factors),
        "beta_vae_score": beta_vae_score(codes, factors),
        "factor_vae_score": factor_vae_score(codes, factors),
    }


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws the mutual information of each latent with each factor, as a share of the factor's entropy."""
    names = list(_factors(trained).sizes)
    if dataset.test.label is None:
        return {}
    title = "What share of each factor's entropy each latent dimension tells, on test"
    shares = known_shares(*_coded(trained, dataset.test))
    return {"factors": figures.matrix(shares, names, "number of the latent dimension", title=title)}


def _coded(trained: Trained, part: Examples) -> tuple[Codes, Values]:
    codes = require_finite(trained.encode(part.x, part.label), "the part")
    return codes, _factors(trained).values(np.asarray(part.label))


def _factors(trained: Trained) -> Factors:
    factors = factors_of(trained.experiment.data.name)
    assert factors is not None
    return factors
