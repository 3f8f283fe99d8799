"""Measures how fast an experiment trains on this machine, beside what the machine reaches at its best."""

import time
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from aejax.core import BUFFER
from aejax.data import Dataset
from aejax.devices import ALL_DEVICES, Parallel, peak_memory, step_flop
from aejax.experiment import Experiment
from aejax.runs import Recording
from aejax.training.loop import train


def peak() -> float:
    """Measures the FLOP/s of one large square matrix product in float32: what this device reaches at its best."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    square = jnp.ones((size, size))
    return 2 * size**3 / best_seconds(jax.jit(jnp.matmul), square, square)


def best_seconds(function: Any, *arguments: Any, times: int = 7) -> float:
    """Returns the seconds of the fastest of several calls of a function, after one that compiles."""
    jax.block_until_ready(function(*arguments))
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def bench(
    experiment: Experiment, dataset: Dataset, epochs: int, parallel: Parallel = ALL_DEVICES, buffer: float = BUFFER
) -> dict[str, float]:
    """Measures how fast an experiment trains, by the median of several epochs after the first, which compiles.

    Args:
        experiment: what to train.
        dataset: its data.
        epochs: how many epochs are timed.
        parallel: the devices that train it together, and how.
        buffer: gigabytes; packed data whose training part is larger is streamed from disk through as much memory.

    Returns:
        Rates by name, with their units. `gflop_per_second` is XLA's count of a step's operations over the time
        of a step; `share_of_peak` compares it to the `peak` of all devices that trained.
    """
    with Recording() as recorded:
        timed = replace(experiment, epochs=epochs + 1, steps=None)
        trained = train(timed, dataset, parallel=parallel, buffer=buffer, show_progress=True)
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
        "memory_megabytes": peak_memory() / 1e6,
    }
