"""Measures how sparse codes are, and how much of the data they explain.

The codes are those that `Trained.encode` returns. A unit is active where the absolute value of its code is above a
threshold, which is 0 for codes that can be exactly zero.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples, as_arrays
from aejax.data import Dataset
from aejax.evaluation import _shown, figures
from aejax.experiment import Experiment
from aejax.metrics import CodeStatistics, Target, sparsity_metrics
from aejax.models import traits
from aejax.trained import Trained

_MOST_VALUES = 2**25
"""The most values of codes that are held at once to draw how strong activations are."""


def suits(experiment: Experiment) -> bool:
    """Tells whether the model's units compete to be active, or a term of the loss asks for sparse codes."""
    return traits.SPARSE in (*experiment.model.meets, *experiment.loss.meets)


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures the sparsity of a part's codes, and `fvu`, the fraction of variance that they leave unexplained."""
    return sparsity_metrics(_means(trained, part), len(part))


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws how often the units of the test part's codes are active, and how strongly."""
    of = f"over {_shown.counted(dataset.test, dataset.test)}"
    density = _means(trained, dataset.test)["active"]
    drawn = {"activation_density": figures.activation_density(density, title=f"How often units are active, {of}")}
    few = dataset.test.at_most(max(1, _MOST_VALUES // len(density)))
    codes = trained.encode(few.x, few.label)
    active = codes[np.abs(codes) > threshold(trained.experiment)]
    if len(active):
        strong = f"How strongly units are active, over {_shown.counted(few, dataset.test)}"
        drawn["activations"] = figures.activation_histogram(active, title=strong)
    return drawn


def _means(trained: Trained, part: Examples) -> dict[str, Any]:
    """Returns the means of `CodeStatistics` over a part; of two passes over it, the first one finds its centre."""
    centre = trained.means(as_arrays(Target(trained.preprocess)), part)["target"].astype(np.float32)
    settings = (trained.experiment.loss.likelihood, trained.preprocess, centre, threshold(trained.experiment))
    return trained.means(as_arrays(CodeStatistics(*settings)), part)


def threshold(experiment: Experiment) -> float:
    """Returns the absolute value above which a unit is active.

    A sigmoid is never zero: such a unit is active where it is nearer to 1 than to 0.
    """
    return 0.5 if traits.UNIT_INTERVAL in experiment.model.meets else 0.0
