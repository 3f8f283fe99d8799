"""How fast an experiment trains on this machine, beside what the machine reaches at its best."""

import time
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from aejax import train
from aejax.data import BUFFER, Dataset, Part
from aejax.devices import Parallel
from aejax.experiment import Experiment
from aejax.loop import ALL, fit
from aejax.pytree import as_arrays
from aejax.timing import Recording
from aejax.trained import example


def step_flop(experiment: Experiment, shape: tuple[int, ...]) -> float:
    """The operations of one step of a resolved experiment, as XLA's cost analysis counts them."""
    cost: Any = lowered_step(experiment, shape).cost_analysis()
    return float(cost["flops"])


def lowered_step(experiment: Experiment, shape: tuple[int, ...]) -> jax.stages.Lowered:
    """The program of one step of a resolved experiment, for examples of `shape`."""
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda key: train.init(experiment.model, loss, optimizer, example(shape), key), key)
    one = example(shape)
    batch: Part = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((experiment.batch_size, *leaf.shape[1:]), leaf.dtype), one
    )
    return jax.jit(train.step, static_argnums=0).lower(experiment.model, loss, optimizer, state, batch, key)


def peak() -> float:
    """FLOP/s of one large square matrix product in float32: what this device reaches at its best."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    square = jnp.ones((size, size))
    return 2 * size**3 / best_seconds(jax.jit(jnp.matmul), square, square)


def best_seconds(function: Any, *arguments: Any, times: int = 7) -> float:
    """The least time of several calls, after one that compiles."""
    jax.block_until_ready(function(*arguments))
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def memory() -> float:
    """The most bytes held so far: on the device, or on a CPU by the process."""
    stats = jax.local_devices()[0].memory_stats()
    if stats is not None:
        return float(stats["peak_bytes_in_use"])
    import resource

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def bench(
    experiment: Experiment, dataset: Dataset, epochs: int, parallel: Parallel = ALL, buffer: float = BUFFER
) -> dict[str, float]:
    """How fast an experiment trains, by the median of `epochs` epochs after the first, which compiles.

    `flops` are XLA's count of a step's operations, a second; `share_of_peak` is them against the `peak` of all
    devices that trained.
    """
    with Recording() as recorded:
        timed = replace(experiment, epochs=epochs + 1)
        trained = fit(timed, dataset=dataset, parallel=parallel, buffer=buffer, show_progress=True)
    steps = len(dataset.train) // experiment.batch_size
    summary = recorded.summary(steps)
    seconds = summary["steady_epoch_seconds"]
    flop = step_flop(trained.experiment, dataset.shape) * steps
    best = peak() * (parallel.resolve(trained.experiment).devices or 1)
    return {
        "examples_per_second": steps * experiment.batch_size / seconds,
        "step_milliseconds": summary["steady_step_milliseconds"],
        "compile_seconds": summary["compile_seconds"],
        "input_wait_share": summary["input_wait_seconds"] / (epochs + 1) / seconds,
        "gflop_per_second": flop / seconds / 1e9,
        "peak_gflop_per_second": best / 1e9,
        "share_of_peak": flop / seconds / best,
        "memory_megabytes": memory() / 1e6,
    }
