"""Measures how well single latents stand for single factors of variation, on data whose factors are known.

Every score compares codes `[n, latents]`, of two latents or more, with the values of the factors
`[n, factors]`, which count from 0. The protocol is disentanglement_lib's (Locatello et al. 2019), with two
departures: pairs or batches that share a factor are drawn from the given examples, and codes are standardised,
so that no score depends on the order, signs or scales of latents. Everything random has a fixed seed.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset, Factors, factors_of
from aejax.evaluation import figures
from aejax.evaluation._variational import outputs, prior_deviation
from aejax.experiment import Experiment
from aejax.metrics import (
    Codes,
    Values,
    active_units,
    beta_vae_score,
    dci,
    factor_vae_score,
    known_shares,
    mig,
    sap,
    udr,
)
from aejax.models import traits
from aejax.trained import Trained
from aejax.trained.codes import require_finite

FEWEST, MOST_LATENTS = 1_000, 64
"""The fewest examples and the most latents with which anything is measured."""

INFORMATIVE = 0.01
"""The nats that a latent tells of an example on average, above which it counts in UDR."""


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


def udr_scores(models: Sequence[Trained], part: Examples) -> Float[np.ndarray, " models"]:
    """Returns how far each of several models has found the latents of the others, without labels: see `metrics.udr`.

    The models are those of one setting that a sweep has trained by several seeds, `axes={"seed": ...}`; settings are
    ranked by the means over their own. A latent counts where it tells more than .01 nats of the examples on average, by
    its divergence from the prior (Duan et al. 2020, section 4), or of any but a normal posterior and a standard normal
    prior, where its mean code varies (Burda et al. 2016).

    Args:
        models: the models, of a prior and a posterior with a density.
        part: the examples, such as a validation part.

    Raises:
        InputError: for fewer than two models, and for models without a prior.
    """
    codes, informative = [], []
    for trained in models:
        values = outputs(trained, part)
        mean, scale = values["mean"], values.get("scale")
        codes.append(mean)
        if scale is None or traits.STANDARD_NORMAL not in trained.experiment.model.meets:
            informative.append(active_units(mean, prior_deviation(trained)))
        else:
            rate = 0.5 * (np.square(mean) + np.square(scale) - 1) - np.log(scale)
            informative.append(rate.mean(axis=0) > INFORMATIVE)
    return udr(codes, informative)


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws the mutual information of each latent with each factor, as a share of the factor's entropy."""
    names = list(_factors(trained).sizes)
    if dataset.test.label is None:
        return {}
    title = "Share of each factor's entropy told by each dimension, on test"
    shares = known_shares(*_coded(trained, dataset.test))
    return {"factors": figures.matrix(shares, names, "number of the latent dimension", title=title)}


def _coded(trained: Trained, part: Examples) -> tuple[Codes, Values]:
    codes = require_finite(trained.encode(part.x, part.label), "the part")
    return codes, _factors(trained).values(np.asarray(part.label))


def _factors(trained: Trained) -> Factors:
    factors = factors_of(trained.experiment.data.name)
    assert factors is not None
    return factors
