"""Describes the arrays of a checkpoint, so that it can be restored."""

import jax
import numpy as np

from aejax import core
from aejax.core import as_arrays, blank_example
from aejax.data import Preprocess
from aejax.experiment import Experiment


def checkpoint_template(experiment: Experiment, shape: tuple[int, ...]) -> tuple[core.State, Preprocess]:
    """Returns the shapes of what a checkpoint holds: the state, and the fitted preprocessing.

    `experiment` is resolved, and `shape` is the shape of one example.
    """
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    key = jax.random.key(0)
    state = jax.eval_shape(lambda key: core.init(experiment.model, loss, optimizer, blank_example(shape), key), key)
    return state, as_arrays(experiment.data.preprocess.fit(np.zeros((1, *shape), np.float32)))
