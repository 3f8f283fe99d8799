"""Says how examples of a trained model are shown: on which scale, and by which names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from aejax.core import InputError
from aejax.data import factors_of
from aejax.experiment import Experiment
from aejax.metrics import robust_range, value_range

if TYPE_CHECKING:
    from aejax.trained.trained import Trained


def shown_limits(trained: "Trained", x: Float[np.ndarray, "n *shape"]) -> tuple[float, float]:
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
    return ends if ends in ((0.0, 1.0), (-1.0, 1.0)) else robust_range(x)


def require_pictures(trained: "Trained") -> None:
    """Raises `InputError` unless examples are grey or colour images whose values are shares of white, as in a file."""
    if len(trained.shape) != 3 or trained.shape[2] not in (1, 3):
        raise InputError(
            f"the model's examples of shape {trained.shape} are no grey or colour images: give --out a name in .npy"
        )
    record = trained.data
    if not trained.grey and (record is None or record.low < 0 or record.high > 1):
        ends = "" if record is None else f" from {record.low:g} to {record.high:g}"
        raise InputError(
            f"the model was trained on numbers{ends}, which are no shares of white as in an image file: give arrays in "
            "that unit, and --out a name in .npy"
        )


def classes(
    trained: "Trained", names: Sequence[str], label: Int[np.ndarray, " n"] | None, most: int
) -> tuple[np.ndarray | None, str]:
    """Returns what examples are called by their labels, and a note; None where labels are no classes or too many.

    Args:
        trained: the model, which knows what its data's labels stand for.
        names: the names of the labels 0, 1, ..., where they have some.
        label: the labels of the examples, where there are some.
        most: the largest number of different labels that are told apart.
    """
    factors = factors_of(trained.experiment.data.name)
    if label is None:
        return None, ""
    if factors is not None:
        first = next(iter(factors.sizes))
        return factors.values(label)[:, 0], f"colours: {first.replace('_', ' ')}"
    distinct = np.unique(label)
    if flags_outliers(trained.experiment) and set(distinct) <= {0, 1}:
        return np.asarray(["normal", "outlier"])[label], ""
    if len(distinct) > most:
        return None, f"not coloured by label: {len(distinct):,} different ones are too many"
    return (np.asarray(names)[label] if names else label), ""


def flags_outliers(experiment: Experiment, other: str = "") -> bool:
    """Tells whether labels flag outliers: where the data say which do, and in a .mat file; with a detector they may.

    `other` is the name of the data, where they are not the experiment's own.
    """
    if experiment.detector is not None or experiment.data.outlier:
        return True
    return (other or experiment.data.name).lower().endswith(".mat")
