"""Pictures of what a model of images generates, each example the mean of its likelihood."""

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset, scaled
from aejax.evaluation import figures
from aejax.experiment import Experiment
from aejax.models import ConditionalAutoencoder, Plain, VariationalAutoencoder
from aejax.trained import Trained, codes

SAMPLES, PAIRS, STEPS, SIDE = 64, 5, 8, 20

MOST = 5000
"""Examples that say how far a dimension goes, and draws that say how a plane is laid out."""


def suits(experiment: Experiment) -> bool:
    """Whether codes can be drawn: from a prior, or from a mixture fitted to dense codes of few dimensions."""
    latent = experiment.model.latent
    return isinstance(experiment.model, VariationalAutoencoder) or (
        isinstance(latent, Plain) and latent.size <= codes.MOST_FULL
    )


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Samples, interpolations and traversals; the plane of a 2-d code; of a conditional model samples by class."""
    if len(trained.shape) != 3:
        return {}
    model, test = trained.experiment.model, dataset.test.take(np.arange(min(MOST, len(dataset.test))))
    drawn = {"traversals": traversals(trained, test)}
    if isinstance(model, ConditionalAutoencoder):
        return drawn | {"classes": classes(trained, model.classes)}
    like = None if isinstance(model, VariationalAutoencoder) else dataset.train
    drawn["samples"] = figures.image_grid(trained.sample(SAMPLES, like=like))
    if len(test) > 1:
        drawn["interpolations"] = interpolations(trained, test, "arc" if like is None else "line")
    if model.latent.size == 2:
        drawn["plane"] = plane(trained, like)
    return drawn


def traversals(trained: Trained, part: Examples) -> Figure:
    """A row for each dimension of the first example's code, the most active first."""
    dimensions, moved = trained.traverse(part.x, part.label)
    return figures.image_rows({f"dimension {number}": row for number, row in zip(dimensions, moved, strict=True)})


def interpolations(trained: Trained, part: Examples, path: codes.Route) -> Figure:
    """A row for each pair of examples, between the two themselves."""
    pairs = min(PAIRS, len(part) // 2)
    first, second = part.x[:pairs], part.x[pairs : 2 * pairs]
    between = trained.interpolate(first, second, steps=STEPS, path=path)
    rows = np.concatenate([scaled(first)[:, None], between, scaled(second)[:, None]], axis=1)
    return figures.image_grid(rows.reshape(-1, *trained.shape), STEPS + 2)


def plane(trained: Trained, like: Examples | None) -> Figure:
    """What the codes of a grid decode to."""
    ticks, grid = codes.plane(trained.draw_codes(MOST, like=like), SIDE)
    return figures.image_plane(trained.decode(grid), ticks[:, 0], ticks[:, 1])


def classes(trained: Trained, number: int) -> Figure:
    """A row for each class, of the same codes."""
    z = trained.draw_codes(10)
    return figures.image_rows({str(label): trained.decode(z, np.full(len(z), label)) for label in range(number)})
