"""Makes models that nobody has trained, for tests that ask only what a model computes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from aejax.core import as_arrays, blank_example, init
from aejax.data import DataRecord
from aejax.trained import Trained


def untrained(experiment, shape, dataset=None, seed=0):
    """A model whose parameters and statistics are all random, so that none is zero or one by chance."""
    rng = np.random.default_rng(seed)
    experiment = experiment.resolve_for(shape, 10)
    train = rng.random((20, *shape), np.float32) if dataset is None else dataset.train.x
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    state = jax.jit(lambda key: init(experiment.model, loss, optimizer, blank_example(shape), key))(jax.random.key(0))

    def moved(leaf):
        noise = rng.normal(0, 0.05, leaf.shape) if leaf.dtype == np.float32 else 0
        return jnp.asarray(leaf + abs(noise), leaf.dtype)

    state = dataclasses.replace(
        state, params=jax.tree.map(moved, state.params), collections=jax.tree.map(moved, state.collections)
    )
    data = None if dataset is None else DataRecord.of(dataset)
    return Trained(experiment, shape, experiment.data.preprocess.fit(train), state, data=data)
