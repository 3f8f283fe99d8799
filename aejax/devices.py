"""What runs on the device: the compiled functions of training, and the data placed there; the only such place."""

import os
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from aejax import train
from aejax.data import Part, Preprocess
from aejax.data.cache import folder

T = TypeVar("T")

init = jax.jit(train.init, static_argnames="model")
epoch = jax.jit(train.epoch, static_argnames=("model", "batch_size"))
evaluate = jax.jit(train.evaluate, static_argnames=("model", "batch_size"))
outputs = jax.jit(train.outputs, static_argnames=("model", "batch_size"))


def place(part: Part, preprocess: Preprocess) -> Part:
    """A part of a data set on the device, as its preprocessing holds it."""
    label = None if part.label is None else jnp.asarray(part.label)
    return Part(preprocess.place(jnp.asarray(part.x)), label)


def spread(members: T) -> T:
    """Arrays with a leading axis of members, shared out over the devices where they divide it."""
    count = jax.tree.leaves(members)[0].shape[0]
    if jax.device_count() == 1 or count % jax.device_count():
        return members
    mesh = jax.make_mesh((jax.device_count(),), ("members",), axis_types=(AxisType.Auto,))
    return jax.device_put(members, NamedSharding(mesh, PartitionSpec("members")))


def rounded(members: int) -> int:
    """At least so many, and as many on each device, where there are that many devices' worth."""
    count = jax.device_count()
    return members if members < count else -(-members // count) * count


def lanes() -> int:
    """How many programs are best run at the same time: one on each core of a CPU, which a single one seldom fills."""
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that a program may take on all devices together: nine tenths of what is left."""
    stats = jax.local_devices()[0].memory_stats()
    if stats is None:  # a CPU: what the host has left
        return int(0.9 * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return int(0.9 * (stats["bytes_limit"] - stats["bytes_in_use"]) * jax.device_count())


def start() -> None:
    """Turns on JAX's compilation cache in the user's cache folder, so that a second run starts fast."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
