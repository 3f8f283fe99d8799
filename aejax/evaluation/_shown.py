"""Says how examples of a run are shown in figures: in which units, and by which names."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from aejax.core import Examples
from aejax.data import Dataset, factors_of
from aejax.evaluation import figures
from aejax.trained import Trained
from aejax.trained.shown import classes

LONGEST = 12
"""Largest number of letters of a name above an image."""


def source(trained: Trained, dataset: Dataset) -> str:
    """Returns the experiment, the run and the data, as the title of a figure has them."""
    run = "" if trained.run is None else f", run {trained.run.path.name}"
    data = dataset.name.rstrip("/").split("/")[-1]  # of a path its end
    return f"{trained.experiment.name}{run}, trained on {data}"


def counted(few: Examples, part: Examples, name: str = "test") -> str:
    """Returns how many examples of a part are shown, in words."""
    if len(few) == len(part):
        return f"{len(part):,} {name} example{'s' if len(part) != 1 else ''}"
    return f"{len(few):,} of {len(part):,} {name} examples"


def in_drawn_units(trained: Trained, x: Float[np.ndarray, "n *shape"]) -> tuple[np.ndarray, str]:
    """Returns examples as they are drawn, and a note of their units where these are not the data's.

    Rows of numbers that are standardised are drawn so, as their columns have no common unit.
    """
    if len(trained.shape) > 1 or not trained.preprocess.centres:
        return x, ""
    offset = () if trained.data is None else trained.data.offset
    stored = x - np.asarray(offset) if offset else x
    return np.asarray(trained.preprocess(jnp.asarray(stored, jnp.float32), None)), "values are standardised"


def names(trained: Trained, dataset: Dataset, label: Int[np.ndarray, " n"] | None) -> Sequence[str]:
    """Returns a short name for each example, by its class; nothing where labels are no classes."""
    called, _ = classes(trained, dataset.classes, label, figures.MOST_CLASSES)
    if called is None or factors_of(trained.experiment.data.name) is not None:
        return []
    return [figures.shortened(str(name), LONGEST) for name in called]
