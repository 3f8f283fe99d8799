"""How near training comes to what the device itself can do, and whether the host interrupts an epoch."""

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
    """What the device reaches at its best: FLOP/s of a square matrix product, and bytes/s of adding one to an array.

    The product is of float32 as JAX multiplies it by default, and of bfloat16.
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
    """Examples a second at that batch size, and what share that is of the ceilings.

    Operations and bytes are XLA's count of one compiled step: what its kernels read and write, each by itself.
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
    """Seconds an epoch of `ae-keras` alone, and of a population of `many` learning rates and seeds."""
    x = np.load(path)
    dataset = Dataset("images", Examples(x), Examples(x[:0]), Examples(x[:0]))
    base = dataclasses.replace(aejax.get("ae-keras"), epochs=epochs, batch_size=batch)
    settings = [dataclasses.replace(base, seed=i, optimizer=Adam(1e-3 * (1 + i / many))) for i in range(many)]
    one, all_ = (_seconds_an_epoch(some, dataset) for some in (settings[:1], settings))
    return {"members": many, "one_seconds": one, "all_seconds": all_, "times_as_fast_as_one_by_one": many * one / all_}


def _seconds_an_epoch(settings: list[Any], dataset: Dataset) -> float:
    """Of all together, after the first, which compiles; groups of them may train side by side."""
    ends: list[tuple[float, int]] = []
    fit_many(settings, dataset=dataset, on_epoch=lambda count: ends.append((time.perf_counter(), count)))
    return len(settings) * (ends[-1][0] - ends[0][0]) / sum(count for _, count in ends[1:])


def timed(function: Any) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interruptions(name: str, path: str, batch: int, epochs: int = 3) -> dict[str, Any]:
    """What a profile shows of so many epochs, dispatched one after the other: see `summary`."""
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
    """Kernels on the GPU's streams, the share of the time between the first and the last that one of them ran, and
    copies to the host before the last: each would be the host waiting inside an epoch.
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
