"""Measures the cost of a training step: its operations, its program, and the memory held."""

from typing import Any

import jax

from aejax import core
from aejax.core import Examples, as_arrays
from aejax.experiment import Experiment


def step_flop(experiment: Experiment, shape: tuple[int, ...]) -> float:
    """Returns the operations of one step of a resolved experiment, as XLA's cost analysis counts them.

    `shape` is the shape of one example.
    """
    cost: Any = lowered_step(experiment, shape).cost_analysis()
    return float(cost["flops"])


def lowered_step(experiment: Experiment, shape: tuple[int, ...]) -> jax.stages.Lowered:
    """Lowers the program of one step of a resolved experiment, for examples of `shape`."""
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    key = jax.eval_shape(lambda: jax.random.key(0))
    one = experiment.model.blank(shape)
    state = jax.eval_shape(lambda key: core.init(experiment.model, loss, optimizer, one, key), key)
    batch: Examples = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((experiment.batch_size, *leaf.shape[1:]), leaf.dtype), one
    )
    return jax.jit(core.step, static_argnums=0).lower(experiment.model, loss, optimizer, state, batch, key)


def peak_memory() -> float:
    """Returns the most bytes held so far: on this process's first device, or on a CPU by the process."""
    stats = jax.local_devices()[0].memory_stats()
    if stats is not None:
        return float(stats["peak_bytes_in_use"])
    import resource

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
