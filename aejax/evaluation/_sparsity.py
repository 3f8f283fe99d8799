"""How sparse codes are, and what they explain. Codes are those of the encoder that is used at inference.

A unit is active where its code is beyond `threshold`, in absolute value: 0 for codes that can be exactly zero.
"""

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset, scaled
from aejax.evaluation import figures
from aejax.experiment import Experiment
from aejax.losses import CodeL1, KLSparsity
from aejax.metrics import sparsity_metrics, variance_unexplained
from aejax.models import SpatialWinnerTakeAll, TopK, WinnerTakeAll
from aejax.trained import Trained


def suits(experiment: Experiment) -> bool:
    """Whether its codes compete, or a term of its loss asks for sparse ones."""
    sparse_terms = [term for term in experiment.loss.terms.values() if isinstance(term, CodeL1 | KLSparsity)]
    return bool(sparse_terms) or isinstance(experiment.model.latent, TopK | WinnerTakeAll | SpatialWinnerTakeAll)


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Sparsity of the part's codes, and `fvu`: the fraction of its variance that they leave unexplained."""
    codes = trained.encode(part.x, part.label)
    explained = trained.decode(codes, part.label)
    return sparsity_metrics(codes, _threshold(trained.experiment)) | {
        "fvu": variance_unexplained(scaled(part.x), explained)
    }


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """How often units of the test part's codes are active, and how strongly."""
    codes, threshold = trained.encode(dataset.test.x, dataset.test.label), _threshold(trained.experiment)
    active = np.abs(codes) > threshold
    drawn = {"activation_density": figures.activation_density(active.mean(axis=0))}
    return drawn | ({"activations": figures.activation_histogram(codes[active])} if active.any() else {})


def _threshold(experiment: Experiment) -> float:
    """A sigmoid is never zero: such a unit is active where it is nearer to 1 than to 0."""
    return 0.5 if getattr(experiment.model.latent, "activation", None) == "sigmoid" else 0.0
