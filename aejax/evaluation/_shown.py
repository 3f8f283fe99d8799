"""Says how examples of a run are shown in figures: in which units, on which scale, and by which names."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from aejax.core import Examples
from aejax.data import Dataset, factors_of
from aejax.evaluation import figures
from aejax.experiment import Experiment
from aejax.metrics import value_range
from aejax.trained import Trained

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


def shown_limits(trained: Trained, x: Float[np.ndarray, "n *shape"]) -> tuple[float, float]:
    """Returns the values that are drawn black and white: 0 and 1, or -1 and 1, where the data lie between these.

    Others are drawn on a scale of `x`, beyond each end of which few values lie.

    Args:
        trained: the model, which knows the range of its data.
        x: what is drawn, in the data's units.
    """
    record = trained.data
    if record is not None and record.dtype == "uint8":
        return 0.0, 1.0
    known = record is not None and not record.offset
    low, high = (record.low, record.high) if record is not None and known else (np.nanmin(x), np.nanmax(x))
    ends = value_range(np.asarray([low, high]))
    return ends if ends in ((0.0, 1.0), (-1.0, 1.0)) else figures.robust_range(x)


def in_drawn_units(trained: Trained, x: Float[np.ndarray, "n *shape"]) -> tuple[np.ndarray, str]:
    """Returns examples as they are drawn, and a note of their units where these are not the data's.

    Rows of numbers that are standardised are drawn so, as their columns have no common unit.
    """
    if len(trained.shape) > 1 or not trained.preprocess.centres:
        return x, ""
    offset = () if trained.data is None else trained.data.offset
    stored = x - np.asarray(offset) if offset else x
    return np.asarray(trained.preprocess(jnp.asarray(stored, jnp.float32), None)), "values are standardised"


def classes(trained: Trained, dataset: Dataset, label: Int[np.ndarray, " n"] | None) -> tuple[np.ndarray | None, str]:
    """Returns what examples are called by their labels, and a note; None where labels are no classes or too many."""
    factors = factors_of(trained.experiment.data.name)
    if label is None:
        return None, ""
    if factors is not None:
        first = next(iter(factors.sizes))
        return factors.values(label)[:, 0], f"colours: {first.replace('_', ' ')}"
    distinct = np.unique(label)
    if flags_outliers(trained.experiment) and set(distinct) <= {0, 1}:
        return np.asarray(["normal", "outlier"])[label], ""
    if len(distinct) > figures.MOST_CLASSES:
        return None, f"not coloured by label: {len(distinct):,} different ones are too many"
    return (np.asarray(dataset.classes)[label] if dataset.classes else label), ""


def names(trained: Trained, dataset: Dataset, label: Int[np.ndarray, " n"] | None) -> Sequence[str]:
    """Returns a short name for each example, by its class; nothing where labels are no classes."""
    called, _ = classes(trained, dataset, label)
    if called is None or factors_of(trained.experiment.data.name) is not None:
        return []
    return [str(name) if len(str(name)) <= LONGEST else f"{str(name)[: LONGEST - 1]}…" for name in called]


def flags_outliers(experiment: Experiment, other: str = "") -> bool:
    """Tells whether labels flag outliers: where the data say which do, and in a .mat file; with a detector they may.

    `other` is the name of the data, where they are not the experiment's own.
    """
    if experiment.detector is not None or experiment.data.outlier:
        return True
    return (other or experiment.data.name).lower().endswith(".mat")
