"""Lists what is measured and drawn for a trained model: evaluations, each for the experiments that it suits.

A new one is added to `SUITE`; training, `aejax eval` and `aejax figures` use all that are there.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples, InputError, first_line
from aejax.data import Dataset
from aejax.evaluation import (
    _aggregate,
    _denoising,
    _features,
    _generation,
    _masked,
    _quantised,
    _shown,
    _sparsity,
    _variational,
    disentanglement,
    figures,
)
from aejax.experiment import Experiment
from aejax.metrics import Score, detection_metrics
from aejax.models import parameters_at
from aejax.trained import Trained
from aejax.trained.shown import flags_outliers as flags_outliers, shown_limits

log = logging.getLogger("aejax")

MOST_CODES = 5000
"""Largest number of codes that are drawn as points."""

SAMPLES = 50
"""Default number of importance samples of each example for a likelihood: published ones take 5,000."""


@dataclass(frozen=True)
class Evaluation:
    """Holds the functions of one family of metrics and figures."""

    suits: Callable[[Experiment], bool]
    """Tells whether the family applies to an experiment."""
    measure: Callable[[Trained, Examples], dict[str, float]]
    """Measures one part of the data: metrics by name."""
    draw: Callable[[Trained, Dataset], dict[str, Figure]]
    """Draws figures, by the name of their file without its ending."""
    estimate: Callable[[Trained, Examples, int], dict[str, float]] = lambda trained, part, samples: {}
    """Estimates metrics of one part by a number of samples of each example: the more samples, the more exact."""
    compare: Callable[[Trained, Examples, Dataset], dict[str, float]] = lambda trained, part, dataset: {}
    """Compares generated examples with those of one part, in features of the data that were trained on."""


def measure(
    trained: Trained,
    part: Examples,
    samples: int = SAMPLES,
    of: Examples | None = None,
    generation: Dataset | None = None,
) -> dict[str, float]:
    """Measures a part of the data by every evaluation that suits the experiment.

    Args:
        trained: the trained model.
        part: the examples.
        samples: the number of samples of each example, for metrics that are estimated; with 0 they are left out.
        of: the part on disk of which `part` is as much as fits in memory: the loss is measured on all of it.
        generation: the data that the model was trained on, in whose features generated examples are compared with the
            part; None: nothing is generated, as it takes long where a classifier for the features is trained first.

    Returns:
        The metrics, by name.
    """
    metrics: dict[str, float] = {}
    with np.errstate(invalid="ignore", over="ignore"):  # of examples without a finite score, of which a warning tells
        for evaluation in (one for one in SUITE if one.suits(trained.experiment)):
            try:
                metrics |= evaluation.measure(trained, part)
                metrics |= evaluation.estimate(trained, part, samples) if samples else {}
                metrics |= {} if generation is None else evaluation.compare(trained, part, generation)
            except InputError as error:
                if not metrics:  # the first measures what any model has: what it refuses is no part for the model
                    raise
                log.warning("some metrics are left out: %s", error)
        if of is not None and len(of) > len(part):
            metrics |= trained.evaluate(of)
    if not all(map(math.isfinite, metrics.values())):
        _warn_of_examples(trained, part)
    return metrics


def _warn_of_examples(trained: Trained, part: Examples) -> None:
    part = part.read()
    bad = np.flatnonzero(~np.isfinite(trained.score(part.x, label=part.label)))
    if len(bad):
        log.warning(
            "%d of %d examples have no finite squared error, the first is number %d: means over all have none either",
            len(bad),
            len(part),
            bad[0],
        )


def draw(trained: Trained, dataset: Dataset) -> figures.Pictures:
    """Draws the figures of every evaluation that suits the experiment, by the name of their file.

    A notebook shows them. What cannot be drawn is left out, with one line of warning.
    """
    drawn = figures.Pictures()
    for evaluation in (one for one in SUITE if one.suits(trained.experiment)):
        try:
            drawn |= evaluation.draw(trained, dataset)
        except ValueError as error:  # of codes that are not finite, for one
            log.warning("some figures are left out: %s", first_line(error))
    why = _generation.why_not(trained)
    if why:
        log.warning("%s", why)
    for figure in drawn.values():
        figures.sign(figure, _shown.source(trained, dataset))
    return drawn


def draw_basics(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws loss curves, reconstructions, codes, and the weights of single-layer models of images."""
    test = dataset.test
    drawn = {"loss": draw_loss(trained)} if trained.history else {}
    if len(trained.shape) == 1 or figures.is_drawable(trained.shape):
        drawn["reconstructions"] = draw_reconstructions(trained, dataset)
    many = test.at_most(MOST_CODES)
    size = trained.experiment.model.latent.size
    called, note = _shown.classes(trained, dataset.classes, many.label, figures.MOST_CLASSES)
    what = f"Codes of {_shown.counted(many, test)}"
    title = what if size <= 2 else f"{what}: PCA of {size} dimensions"
    drawn["codes"] = figures.code_scatter(trained.encode(many.x, many.label), called, title=title, note=note)
    return drawn | {
        name: figures.weights(kernel, trained.shape, title=name.replace("_", " ").capitalize())
        for name, kernel in image_weights(trained).items()
    }


def draw_loss(trained: Trained) -> Figure:
    """Draws the history, and what the run's result says of the test part at its end."""
    return loss_figure(trained.history, None if trained.run is None else trained.run.result())


def loss_figure(history: Sequence[dict[str, Any]], result: dict[str, Any] | None) -> Figure:
    """Draws rows of metrics, and what the content of a result.json says of the test part, where it is of their end."""
    rows = [*history, *_test_row(history[-1], result)]
    parts = ", ".join(dict.fromkeys(row["split"] for row in rows))
    return figures.loss_curves(rows, title=f"Loss and its terms, parts: {parts}")


def _test_row(last: dict[str, Any], result: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Returns a row of the metrics on test that the last row has too, from the result, where it is there."""
    if result is None or result.get("epochs") != last["epoch"]:
        return []
    shared = {name: value for name, value in result["test"].items() if name in last and value is not None}
    return [{"epoch": last["epoch"], "step": last["step"], "split": "test"} | shared] if shared else []


def draw_reconstructions(trained: Trained, dataset: Dataset) -> Figure:
    """Draws some test examples, spread over their classes, above their reconstructions and the errors of these."""
    few = dataset.test.at_most(10).read()
    given = trained.target(few)
    made = trained.reconstruct(few.x, few.label)
    ends = shown_limits(trained, given)
    (given, note), (made, _) = (_shown.in_drawn_units(trained, x) for x in (given, made))
    names = _shown.names(trained, dataset, few.label)
    return figures.image_rows(
        {"original": given, "reconstruction": made},
        title=f"Reconstructions of {_shown.counted(few, dataset.test)}",
        note="; ".join(part for part in (figures.ERRORS, note) if part),
        limits=ends,
        above={"original": names} if names else None,
        below={"reconstruction": figures.squared_errors(given, made)},
        names=trained.schema.columns,
    )


def image_weights(trained: Trained) -> dict[str, np.ndarray]:
    """Returns the kernels `[values, units]` between example and code, by name, of a single-layer model of images."""
    if not figures.is_drawable(trained.shape):
        return {}
    model, size = trained.experiment.model, math.prod(trained.shape)
    last = {"encoder_weights": model.up[len(model.encoder.dense) :], "decoder_weights": model.down[-1:]}
    layers = {name: parameters_at(trained.used.params, path) for name, paths in last.items() for path in paths}
    kernels = {name: np.asarray(layer["kernel"]) for name, layer in layers.items() if "kernel" in layer}
    if "decoder_weights" in kernels:
        kernels["decoder_weights"] = kernels["decoder_weights"].T
    return {name: kernel for name, kernel in kernels.items() if kernel.shape == (size, model.latent.size)}


def measure_detection(
    trained: Trained, part: Examples, kind: Score | Literal["detector"] | None = None
) -> dict[str, float]:
    """Measures how well an anomaly score tells outliers apart, by default the run's own.

    Nothing is measured unless the labels are 0 (normal) for some examples and 1 (outlier) for all others.
    """
    if part.label is None or set(np.unique(part.label)) != {0, 1}:
        return {}
    return detection_metrics(trained.score(part.x, kind, part.label), part.label)


SUITE = [
    Evaluation(lambda experiment: True, Trained.evaluate, draw_basics),
    Evaluation(_denoising.suits, _denoising.measure, _denoising.draw),
    Evaluation(_masked.suits, lambda trained, part: {}, _masked.draw),
    Evaluation(_sparsity.suits, _sparsity.measure, _sparsity.draw),
    Evaluation(_features.suits, _features.measure, lambda trained, dataset: {}),
    Evaluation(_quantised.suits, _quantised.measure, _quantised.draw),
    Evaluation(_variational.suits, _variational.measure, _variational.draw, _variational.estimate),
    Evaluation(_aggregate.suits, _aggregate.measure, _aggregate.draw),
    Evaluation(
        lambda experiment: True, lambda trained, part: {}, _generation.draw, compare=_generation.compare_generated
    ),
    Evaluation(disentanglement.suits, disentanglement.measure, disentanglement.draw),
    Evaluation(flags_outliers, measure_detection, lambda trained, dataset: {}),
]
