"""What is measured and drawn for a trained model: a list of evaluations, each for the experiments it suits.

A new one is added to `SUITE`; training, `aejax eval` and `aejax figures` use whatever is there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset, scaled
from aejax.evaluation import _denoising, _generation, _quantised, _sparsity, _variational, disentanglement, figures
from aejax.experiment import Experiment
from aejax.metrics import detection_metrics
from aejax.trained import Trained

MOST_CODES = 5000

SAMPLES = 50
"""Of each example, where nobody asks for more: published likelihoods take 5,000."""


@dataclass(frozen=True)
class Evaluation:
    """One family of metrics and figures."""

    suits: Callable[[Experiment], bool]
    measure: Callable[[Trained, Examples], dict[str, float]]
    """Metrics of one part of the data, by name."""
    draw: Callable[[Trained, Dataset], dict[str, Figure]]
    """Figures, by the name of their file."""
    estimate: Callable[[Trained, Examples, int], dict[str, float]] = lambda trained, part, samples: {}
    """Metrics of one part that take so many samples of each example, and are the better the more."""


def measure(trained: Trained, part: Examples, samples: int = SAMPLES) -> dict[str, float]:
    """The metrics of every evaluation that suits the experiment; what is estimated takes `samples` of each example."""
    metrics: dict[str, float] = {}
    for evaluation in SUITE:
        if evaluation.suits(trained.experiment):
            metrics |= evaluation.measure(trained, part) | evaluation.estimate(trained, part, samples)
    return metrics


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """The figures of every evaluation that suits the experiment."""
    suited = [evaluation for evaluation in SUITE if evaluation.suits(trained.experiment)]
    return {name: figure for evaluation in suited for name, figure in evaluation.draw(trained, dataset).items()}


def draw_basics(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Reconstructions, loss curves, codes, and the weights of single-layer models of images."""
    test = dataset.test
    first = test.take(np.arange(min(10, len(test))))
    drawn = {"reconstructions": figures.reconstructions(scaled(first.x), trained.reconstruct(first.x, first.label))}
    if trained.history:
        drawn["loss"] = figures.loss_curves(trained.history)
    many = test.take(np.arange(min(MOST_CODES, len(test))))
    drawn["codes"] = figures.code_scatter(trained.encode(many.x, many.label), many.label)
    return drawn | {name: figures.weights(kernel, trained.shape) for name, kernel in image_weights(trained).items()}


def image_weights(trained: Trained) -> dict[str, np.ndarray]:
    """The kernels `[values, units]` that lie directly on the example: those of single-layer models of images."""
    if len(trained.shape) != 3:
        return {}
    params = trained.state.params
    kernels = {
        "encoder_weights": params.get("latent", {}).get("code", {}).get("kernel"),
        "decoder_weights": params["decoder"].get("out", {}).get("kernel"),
    }
    if kernels["decoder_weights"] is not None:
        kernels["decoder_weights"] = kernels["decoder_weights"].T
    size, units = math.prod(trained.shape), trained.experiment.model.latent.size
    return {
        name: np.asarray(kernel)
        for name, kernel in kernels.items()
        if kernel is not None and kernel.shape == (size, units)
    }


def measure_detection(trained: Trained, part: Examples) -> dict[str, float]:
    """How well the squared error tells the outliers apart, where the labels flag some and not all."""
    if part.label is None or set(np.unique(part.label)) != {0, 1}:
        return {}
    return detection_metrics(trained.score(part.x, label=part.label), part.label)


def flags_outliers(experiment: Experiment) -> bool:
    """Whether the data set's labels are outlier flags: only .mat files say so."""
    return experiment.data.name.lower().endswith(".mat")


SUITE = [
    Evaluation(lambda experiment: True, Trained.evaluate, draw_basics),
    Evaluation(_denoising.suits, _denoising.measure, _denoising.draw),
    Evaluation(_sparsity.suits, _sparsity.measure, _sparsity.draw),
    Evaluation(_quantised.suits, _quantised.measure, _quantised.draw),
    Evaluation(_variational.suits, _variational.measure, _variational.draw, _variational.estimate),
    Evaluation(_generation.suits, lambda trained, part: {}, _generation.draw),
    Evaluation(disentanglement.suits, disentanglement.measure, disentanglement.draw),
    Evaluation(flags_outliers, measure_detection, lambda trained, dataset: {}),
]
