"""How sparse codes are, and what they explain. Codes are those of the encoder that is used at inference.

A unit is active where its code is beyond `threshold`, in absolute value: 0 for codes that can be exactly zero.
"""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from aejax import figures
from aejax.data import Dataset, Part
from aejax.experiment import Experiment
from aejax.losses import CodeL1, KLSparsity
from aejax.models import SpatialWinnerTakeAll, TopK, WinnerTakeAll
from aejax.trained import Trained, scaled


def sparsity(codes: Float[np.ndarray, "n units"], threshold: float = 0.0) -> dict[str, float]:
    """L0, activation and dead units of the codes of a whole part.

    `l0`: active units of an example, on average. `mean_activation`: over units and examples, with
    the extremes of the units' own means beside it. `dead_units`: how many are active for no example.
    """
    active, means = np.abs(codes) > threshold, codes.mean(axis=0, dtype=np.float64)
    return {
        "l0": float(active.sum(axis=1).mean()),
        "dead_units": float((~active.any(axis=0)).sum()),
        "mean_activation": float(means.mean()),
        "mean_activation_lowest_unit": float(means.min()),
        "mean_activation_highest_unit": float(means.max()),
    }


def unexplained(x: Float[np.ndarray, "n *shape"], reconstruction: Float[np.ndarray, "n *shape"]) -> float:
    """The fraction of variance unexplained: a ratio of two sums over all values of all examples.

    Squared error over squared distance from the mean example of `x`: 1 for that mean, 0 for `x`
    itself, nan where all examples are the same.
    """
    mean = x.mean(axis=0, keepdims=True, dtype=np.float64).astype(x.dtype)
    variance = np.square(x - mean).sum(dtype=np.float64)
    return float(np.square(x - reconstruction).sum(dtype=np.float64) / variance) if variance else float("nan")


def suits(experiment: Experiment) -> bool:
    """Whether its codes compete, or a term of its loss asks for sparse ones."""
    sparse_terms = [term for term in experiment.loss.terms.values() if isinstance(term, CodeL1 | KLSparsity)]
    return bool(sparse_terms) or isinstance(experiment.model.latent, TopK | WinnerTakeAll | SpatialWinnerTakeAll)


def measure(trained: Trained, part: Part) -> dict[str, float]:
    """Sparsity of the part's codes, and `fvu`: the fraction of its variance that they leave unexplained."""
    codes = trained.encode(part.x, part.label)
    explained = trained.decode(codes, part.label)
    return sparsity(codes, _threshold(trained.experiment)) | {"fvu": unexplained(scaled(part.x), explained)}


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """How often units of the test part's codes are active, and how strongly."""
    codes, threshold = trained.encode(dataset.test.x, dataset.test.label), _threshold(trained.experiment)
    active = np.abs(codes) > threshold
    drawn = {"activation_density": figures.activation_density(active.mean(axis=0))}
    return drawn | ({"activations": figures.activation_histogram(codes[active])} if active.any() else {})


def _threshold(experiment: Experiment) -> float:
    """A sigmoid is never zero: such a unit is active where it is nearer to 1 than to 0."""
    return 0.5 if getattr(experiment.model.latent, "activation", None) == "sigmoid" else 0.0
