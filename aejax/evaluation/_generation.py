"""Draws what a model of images generates. Each example is the mean of its likelihood."""

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset
from aejax.evaluation import figures
from aejax.experiment import Experiment
from aejax.models import traits
from aejax.trained import Trained, codes

SAMPLES, PAIRS, STEPS, SIDE = 64, 5, 8, 20
"""Number of samples, of interpolated pairs, of steps between the two of a pair, and of images on the plane's side."""

MOST = 5000
"""Largest number of test examples that give each dimension's range, and number of codes that lay out the plane."""


def suits(experiment: Experiment) -> bool:
    """Tells whether codes can be drawn: from a prior, or from a mixture fitted to dense codes of few dimensions."""
    model = experiment.model
    return model.prior is not None or (traits.DENSE in model.meets and model.latent.size <= codes.MOST_FULL)


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws traversals, samples and interpolations, and for a code of two dimensions its plane.

    A conditional model gets traversals and samples by class. Examples that are no images give no figure.
    """
    if not figures.is_drawable(trained.shape):
        return {}
    model, test = trained.experiment.model, dataset.test.at_most(MOST)
    drawn = {"traversals": traversals(trained, test)}
    if model.classes:
        return drawn | {"classes": classes(trained, model.classes)}
    like = None if model.prior is not None else dataset.train
    drawn["samples"] = figures.image_grid(trained.sample(SAMPLES, like=like))
    if len(test) > 1:
        drawn["interpolations"] = interpolations(trained, test, "arc" if like is None else "line")
    if model.latent.size == 2:
        drawn["plane"] = plane(trained, like)
    return drawn


def traversals(trained: Trained, part: Examples) -> Figure:
    """Draws the first example with one dimension of its code changed in each row, the most active one on top."""
    dimensions, moved = trained.traverse(part.x, part.label)
    return figures.image_rows({f"dimension {number}": row for number, row in zip(dimensions, moved, strict=True)})


def interpolations(trained: Trained, part: Examples, path: codes.Route) -> Figure:
    """Draws a row for each pair of examples: the decoded way from one to the other, between the two themselves.

    Args:
        trained: the trained model.
        part: the examples, some of which are paired.
        path: whether codes go along a line or an arc.
    """
    pairs = min(PAIRS, len(part) // 2)
    first, second = np.split(part.at_most(2 * pairs).x, 2)
    between = trained.interpolate(first, second, steps=STEPS, path=path)
    rows = np.concatenate([trained.seen(first)[:, None], between, trained.seen(second)[:, None]], axis=1)
    return figures.image_grid(rows.reshape(-1, *trained.shape), STEPS + 2)


def plane(trained: Trained, like: Examples | None) -> Figure:
    """Draws what a grid of codes decodes to, laid out by codes of the prior or, with `like`, of training examples."""
    ticks, grid = codes.plane(trained.draw_codes(MOST, like=like), SIDE)
    return figures.image_plane(trained.decode(grid), ticks[:, 0], ticks[:, 1])


def classes(trained: Trained, number: int) -> Figure:
    """Draws a row for each of `number` classes, all of them decoded from the same codes."""
    z = trained.draw_codes(10)
    return figures.image_rows({str(label): trained.decode(z, np.full(len(z), label)) for label in range(number)})
