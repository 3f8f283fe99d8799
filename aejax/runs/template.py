"""Describes the arrays of a checkpoint, so that it can be restored."""

from typing import Any

import jax
import numpy as np

from aejax import core
from aejax.core import Examples, as_arrays
from aejax.experiment import Experiment


def checkpoint_template(experiment: Experiment, shape: tuple[int, ...]) -> dict[str, Any]:
    """Returns the shapes of the parts of a run's checkpoint: `state`, `preprocess`, and with a detector `reference`.

    `experiment` is resolved, and `shape` is the shape of one example.
    """
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    key = jax.random.key(0)
    state = jax.eval_shape(
        lambda key: core.init(experiment.model, loss, optimizer, experiment.model.blank(shape), key), key
    )
    blank = np.ones((2, *shape), np.float32)  # as zeros have no length to scale by
    preprocess = experiment.data.preprocess.fit(blank)
    reference = experiment.reference(Examples(blank), preprocess)
    parts = {"state": state, "preprocess": as_arrays(preprocess)}
    return parts if reference is None else parts | {"reference": reference}
