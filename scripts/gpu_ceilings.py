"""Measures how near training comes to what the device itself can do, and whether the host interrupts an epoch."""

import dataclasses
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gpu_models import MODELS, training

import aejax
from aejax.core import Adam, Examples
from aejax.data import Dataset
from aejax.devices import lowered_step
from aejax.training import best_seconds, fit_many


def ceilings(size: int) -> dict[str, float]:
    """Measures what the device reaches at its best: FLOP/s of a matrix product, and bytes/s of adding one to an array.

    The matrices have `size` rows and columns, of float32 as JAX multiplies them by default, and of bfloat16.
    """

    def product(dtype: Any) -> float:
        square = jnp.ones((size, size), dtype)
        return 2 * size**3 / best_seconds(jax.jit(jnp.matmul), square, square)

    many = jnp.ones(16 * size * size, jnp.float32)
    return {
        "float32_flop_per_second": product(jnp.float32),
        "bfloat16_flop_per_second": product(jnp.bfloat16),
        "bytes_per_second": 2 * many.nbytes / best_seconds(jax.jit(lambda x: x + 1), many),
    }


def throughput(
    name: str, path: str, batch: int, best: dict[str, float], rounds: int, **settings: Any
) -> dict[str, float]:
    """Measures the examples a second of a model in training, and its shares of the ceilings.

    Operations and bytes are XLA's count of one compiled step; the bytes are the sum of what each of its kernels reads
    and writes.

    Args:
        name: the model, one of `MODELS`.
        path: the .npy file of images.
        batch: the batch size.
        best: the ceilings, as `ceilings` returns them.
        rounds: how often the epochs are timed; the median counts.
        settings: other settings of the model, such as `precision`.
    """
    made = training(name, path, batch, **settings)
    made.epoch()
    epochs = MODELS[name]["epochs"]
    seconds = statistics.median(timed(partial(made.epoch, epochs)) / epochs for _ in range(rounds))
    cost = lowered_step(made.experiment, made.part.x.shape[1:]).compile().cost_analysis()
    steps = len(made.part) // batch
    product = "bfloat16" if settings.get("precision") == "bfloat16" else "float32"
    return {
        "examples_per_second": steps * batch / seconds,
        "step_microseconds": 1e6 * seconds / steps,
        "matrix_share": cost["flops"] * steps / seconds / best[f"{product}_flop_per_second"],
        "memory_share": cost["bytes accessed"] * steps / seconds / best["bytes_per_second"],
    }


def members(path: str, many: int, epochs: int, batch: int) -> dict[str, Any]:
    """Measures the seconds of an epoch of `ae-keras` alone, and of a population of learning rates and seeds.

    Args:
        path: the .npy file of images.
        many: the number of members of the population.
        epochs: the number of epochs, of which the first compiles and is not counted.
        batch: the batch size.
    """
    x = np.load(path)
    dataset = Dataset("images", Examples(x), Examples(x[:0]), Examples(x[:0]))
    base = dataclasses.replace(aejax.get("ae-keras"), epochs=epochs, batch_size=batch)
    settings = [dataclasses.replace(base, seed=i, optimizer=Adam(1e-3 * (1 + i / many))) for i in range(many)]
    one, all_ = (_seconds_an_epoch(some, dataset) for some in (settings[:1], settings))
    return {"members": many, "one_seconds": one, "all_seconds": all_, "times_as_fast_as_one_by_one": many * one / all_}


def _seconds_an_epoch(settings: list[Any], dataset: Dataset) -> float:
    """Returns the seconds of an epoch of all members together, after the first one, which compiles.

    Where the members are in several groups, these may train side by side.
    """
    ends: list[tuple[float, int]] = []
    fit_many(
        settings, dataset=dataset, observers=[lambda rows, state: ends.append((time.perf_counter(), len(state.step)))]
    )
    return len(settings) * (ends[-1][0] - ends[0][0]) / sum(count for _, count in ends[1:])


def timed(function: Any) -> float:
    """Returns the seconds that one call of a function takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interruptions(name: str, path: str, batch: int, epochs: int = 3) -> dict[str, Any]:
    """Profiles epochs that are dispatched one after the other, and returns what `summary` says of them.

    Args:
        name: the model, one of `MODELS`.
        path: the .npy file of images.
        batch: the batch size.
        epochs: the number of epochs.
    """
    made = training(name, path, batch)
    made.epoch()
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory() as folder:
        jax.profiler.start_trace(folder, profiler_options=options)
        made.epoch(epochs)
        jax.profiler.stop_trace()
        (file,) = Path(folder).rglob("*.trace.json.gz")
        events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    return {"epochs": epochs, "steps": epochs * (len(made.part) // batch)} | summary(events)


def summary(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Counts kernels and copies to the host on the GPU's streams, from the events of a profile.

    `busy_share` is the share of the time from the first kernel's start to the last one's end in which a kernel ran.
    `copies_to_host_inside` counts copies to the host before the last kernel: each means that the host waited inside an
    epoch.
    """
    events = list(events)
    devices = {
        event["pid"]
        for event in events
        if event.get("name") == "process_name" and event["args"]["name"].startswith("/device:GPU")
    }
    streams = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["pid"] in devices and "Stream" in event["args"]["name"]
    }
    ran = [event for event in events if event.get("ph") == "X" and (event["pid"], event["tid"]) in streams]
    to_host = [event for event in ran if "d2h" in event["name"].lower()]
    kernels = sorted((event["ts"], event["ts"] + event["dur"]) for event in ran if event not in to_host)
    if not kernels:
        return {"kernels": 0}
    busy, reached = 0.0, kernels[0][0]
    for start, end in kernels:
        busy += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return {
        "kernels": len(kernels),
        "busy_share": busy / (reached - kernels[0][0]),
        "copies_to_host_inside": sum(event["ts"] < kernels[-1][0] for event in to_host),
    }
