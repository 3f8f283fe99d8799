"""Measures how near codes come to a prior from which no density of the posterior tells how far they are.

So it is with deterministic codes that a term brings to the prior as a whole: of a Wasserstein or adversarial
autoencoder.
"""

from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset
from aejax.experiment import Experiment
from aejax.metrics import classifier_two_sample
from aejax.models import traits
from aejax.trained import Trained

MOST, LEAST = 10_000, 8
"""Largest number of codes that are compared with as many draws, and the least that a classifier is fitted to."""


def suits(experiment: Experiment) -> bool:
    """Tells whether the model has a prior and codes without a density."""
    meets = {*experiment.model.meets}
    return traits.PRIOR in meets and not meets & {traits.DENSITY, traits.DISCRETE}


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures how surely a classifier tells the codes of a part from draws of the prior; of too few codes, nothing."""
    few = part.at_most(MOST).read()
    if len(few) < LEAST:
        return {}
    codes = trained.encode(few.x, few.label, seed=0)
    return {"codes_c2st": classifier_two_sample(codes, trained.by_prior.draw_codes(len(few)))}


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws nothing: the codes have a figure, and so have samples."""
    return {}
