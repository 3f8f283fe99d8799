"""Draws what a model of images generates, and measures how far it is from real examples.

Each generated example is the mean of its likelihood.
"""

import numpy as np
from matplotlib.figure import Figure

from aejax.core import Examples, InputError
from aejax.data import Dataset, scaled
from aejax.evaluation import _shown, figures
from aejax.evaluation._feature_space import feature_space
from aejax.experiment import Experiment
from aejax.metrics import generation_metrics
from aejax.models import traits
from aejax.trained import Independent, Trained, codes, samplers
from aejax.trained.shown import shown_limits

SAMPLES, PAIRS, STEPS, SIDE = 64, 5, 8, 20
"""Number of samples, of interpolated pairs, of steps between the two of a pair, and of images on the plane's side."""

MOST = 5000
"""Number of codes that lay out the plane, and of examples whose indices are counted."""

COMPARED = 10_000
"""Largest number of generated examples, and of real ones, that are compared."""


def suits(experiment: Experiment) -> bool:
    """Tells whether codes can be drawn: from a prior, by their indices, or from a mixture of few dense dimensions.

    Codes that do not decode by themselves are not.
    """
    model = experiment.model
    if traits.READS_INPUT in model.meets:
        return False
    few = traits.DENSE in model.meets and model.latent.size <= samplers.MOST_FULL
    return model.prior is not None or traits.DISCRETE in model.meets or few


def why_not(trained: Trained) -> str:
    """Says why a model of images whose codes could be drawn has no such figures; nothing where it has them."""
    model = trained.experiment.model
    if (
        suits(trained.experiment)
        or trained.sampler is not None
        or traits.DENSE not in model.meets
        or traits.READS_INPUT in model.meets
        or not figures.is_drawable(trained.shape)
    ):
        return ""
    return (
        f"samples, interpolations and traversals are drawn of codes of up to {samplers.MOST_FULL} numbers, and this "
        f"one has {model.latent.size}: `aejax sampler RUN` fits what they are drawn from"
    )


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws traversals, samples and interpolations, and for a code of two dimensions its plane.

    A conditional model gets traversals and samples by class. Codes that are told by indices give samples alone, as
    nothing lies between them. Examples that are no images give no figure.
    """
    if not (suits(trained.experiment) or trained.sampler) or not figures.is_drawable(trained.shape):
        return {}
    model, test = trained.experiment.model, dataset.test
    if traits.DISCRETE in model.meets:
        return {} if model.classes else {"samples": _samples_of_indices(trained, dataset)}
    drawn = {"traversals": traversals(trained, test)}
    if model.classes:
        return drawn | {"classes": classes(trained, dataset, model.classes)}
    where = trained.draws_from or "a mixture fitted to codes of training examples"
    like = None if trained.draws_from else dataset.train
    made = trained.sample(SAMPLES, like=like)
    title = f"{SAMPLES} samples: codes drawn from {where}, decoded to means"
    drawn["samples"] = figures.image_grid(made, title=title, limits=shown_limits(trained, made))
    if len(test) > 1:
        drawn["interpolations"] = interpolations(trained, dataset, "arc" if where == "the prior" else "line")
    if model.latent.size == 2:
        drawn["plane"] = plane(trained, like, where)
    return drawn


def _samples_of_indices(trained: Trained, dataset: Dataset) -> Figure:
    """Draws samples of a model whose codes are told by indices, and says where these come from."""
    if trained.needs_examples_to_sample:
        trained = trained.fit_sampler(Independent(), like=dataset.train.at_most(MOST))
    made = trained.sample(SAMPLES)
    title = f"{SAMPLES} samples: codes drawn from {trained.draws_from}, decoded to means"
    return figures.image_grid(made, title=title, limits=shown_limits(trained, made))


def compare_generated(trained: Trained, part: Examples, dataset: Dataset) -> dict[str, float]:
    """Measures how far generated examples are from a part, in the features of the data that were trained on.

    There are as many as the part has, 10,000 at most. A conditional model is given the labels of the part. Grey levels
    beyond black and white are cut off, in which no image can have them.

    Args:
        trained: the trained model.
        part: the real examples.
        dataset: the data that the model was trained on, which the features are made of.

    Raises:
        InputError: for a model that draws no codes by itself, and for one whose targets are not its examples.
    """
    if part.y is not None or dataset.train.y is not None:
        raise InputError("what is generated are targets, which examples cannot be compared with: it is not measured")
    real = part.at_most(COMPARED).read()
    made, offset = trained.sample(len(real), real.label), () if trained.data is None else trained.data.offset
    if offset:  # of the units in which examples are stored
        made = made - np.reshape(offset, (1, *trained.shape))
    space = feature_space(dataset)
    limited = np.clip(made, 0, 1) if trained.grey else made
    return generation_metrics(space.of(limited), space.of(scaled(real.x)), space.name)


def traversals(trained: Trained, part: Examples) -> Figure:
    """Draws the first example with one dimension of its code changed in each row, the most active one on top."""
    part = part.read()
    dimensions, made = trained.traverse(part.x, part.label)
    z = trained.encode(part.x, part.label)
    moved = codes.along(z[0], z, dimensions, made.shape[1], trained.on_sphere)
    labels = [f"dimension {number}" for number in dimensions]
    digits = 2 if abs(moved).max() < 10 else 1 if abs(moved).max() < 100 else 0
    values = [[f"{value:.{digits}f}" for value in row[:, n]] for n, row in zip(dimensions, moved, strict=True)]
    low, high = codes.RANGE
    return figures.image_rows(
        dict(zip(labels, made, strict=True)),
        title=f"One test example with one dimension of its code changed: {len(dimensions)} of {z.shape[1]} dimensions",
        note=f"the most active dimensions on top; above each image its value, from the {low:.0%} to the {high:.0%} "
        "quantile of all test codes" + ("; the code keeps its length" if trained.on_sphere else ""),
        limits=shown_limits(trained, made),
        above=dict(zip(labels, values, strict=True)),
    )


def interpolations(trained: Trained, dataset: Dataset, path: codes.Route) -> Figure:
    """Draws a row for each pair of test examples: the decoded way from one to the other, between the two themselves.

    Args:
        trained: the trained model.
        dataset: the data, of whose test part some examples are paired.
        path: whether codes go along a line or an arc.
    """
    few = dataset.test.at_most(2 * min(PAIRS, len(dataset.test) // 2)).read()
    first, second = np.split(few.x, 2)
    between = trained.interpolate(first, second, steps=STEPS, path=path)
    ends = [trained.seen(x)[:, None] for x in (first, second)]
    ways = np.concatenate([ends[0], between, ends[1]], axis=1)
    names = _shown.names(trained, dataset, few.label) or [str(number) for number in range(len(few))]
    pairs = zip(names[: len(first)], names[len(first) :], strict=True)
    labels = [f"{number}: {one} to {other}" for number, (one, other) in enumerate(pairs, 1)]
    heads = ["original", *(f"{share:.0%}" for share in np.linspace(0, 1, STEPS)), "original"]
    return figures.image_rows(
        dict(zip(labels, ways, strict=True)),
        title=f"From one test example to another through their codes, along {'an arc' if path == 'arc' else 'a line'}",
        note="originals at both ends; between them, decoded codes at so much of the way",
        limits=shown_limits(trained, ways),
        above={labels[0]: heads},
    )


def plane(trained: Trained, like: Examples | None, where: str) -> Figure:
    """Draws what a grid of codes decodes to, laid out by codes of the prior or, with `like`, of training examples."""
    ticks, grid = codes.plane(trained.draw_codes(MOST, like=like), SIDE)
    made = trained.decode(grid)
    title = f"What codes decode to, at even quantiles of {where}"
    return figures.image_plane(made, ticks[:, 0], ticks[:, 1], title=title, limits=shown_limits(trained, made))


def classes(trained: Trained, dataset: Dataset, number: int) -> Figure:
    """Draws a row for each of `number` classes, all of them decoded from the same codes."""
    z = trained.draw_codes(10)
    names = dataset.classes if len(dataset.classes) == number else [str(label) for label in range(number)]
    rows = {name: trained.decode(z, np.full(len(z), label)) for label, name in enumerate(names)}
    title = f"Ten codes drawn from {trained.draws_from}, a column each, decoded as each class"
    return figures.image_rows(rows, title=title, limits=shown_limits(trained, np.stack(list(rows.values()))))
