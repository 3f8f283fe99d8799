"""Describes the arrays of a checkpoint, so that it can be restored."""

from typing import Any

import jax
import numpy as np

from aejax import core
from aejax.core import as_arrays, blank_example
from aejax.experiment import Experiment


def checkpoint_template(experiment: Experiment, shape: tuple[int, ...]) -> dict[str, Any]:
    """Returns the shapes of the parts of a run's checkpoint: `state`, and the fitted `preprocess`.

    `experiment` is resolved, and `shape` is the shape of one example.
    """
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    key = jax.random.key(0)
    state = jax.eval_shape(lambda key: core.init(experiment.model, loss, optimizer, blank_example(shape), key), key)
    return {"state": state, "preprocess": as_arrays(experiment.data.preprocess.fit(np.zeros((1, *shape), np.float32)))}
