"""Measures how sparse codes are, and how much of the data they explain.

The codes are those that `Trained.encode` returns. A unit is active where the absolute value of its code is above a
threshold, which is 0 for codes that can be exactly zero.
"""

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset
from aejax.evaluation import figures
from aejax.experiment import Experiment
from aejax.metrics import sparsity_metrics, variance_unexplained
from aejax.models import traits
from aejax.trained import Trained


def suits(experiment: Experiment) -> bool:
    """Tells whether the model's units compete to be active, or a term of the loss asks for sparse codes."""
    return traits.SPARSE in (*experiment.model.meets, *experiment.loss.meets)


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures the sparsity of a part's codes, and `fvu`, the fraction of variance that they leave unexplained."""
    codes = trained.encode(part.x, part.label)
    explained = trained.decode(codes, part.label)
    return sparsity_metrics(codes, _threshold(trained.experiment)) | {
        "fvu": variance_unexplained(trained.target(part), explained)
    }


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws how often the units of the test part's codes are active, and how strongly."""
    codes, threshold = trained.encode(dataset.test.x, dataset.test.label), _threshold(trained.experiment)
    active = np.abs(codes) > threshold
    drawn = {"activation_density": figures.activation_density(active.mean(axis=0))}
    return drawn | ({"activations": figures.activation_histogram(codes[active])} if active.any() else {})


def _threshold(experiment: Experiment) -> float:
    """Returns the absolute value above which a unit is active.

    A sigmoid is never zero: such a unit is active where it is nearer to 1 than to 0.
    """
    return 0.5 if traits.UNIT_INTERVAL in experiment.model.meets else 0.0
