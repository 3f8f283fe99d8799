"""What runs on the device: the compiled functions of training, and the data placed there; the only such place."""

import os
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Int

from aejax import train
from aejax.data import Part, Preprocess
from aejax.data.cache import folder

T = TypeVar("T")

init = jax.jit(train.init, static_argnames="model")
epoch = jax.jit(train.epoch, static_argnames=("model", "batch_size"))
leg = jax.jit(train.leg, static_argnames=("model", "batch_size"))
evaluate = jax.jit(train.evaluate, static_argnames=("model", "batch_size"))
outputs = jax.jit(train.outputs, static_argnames=("model", "batch_size"))
_batches = jax.jit(train.batches, static_argnums=(2, 3))


def place(part: Part, preprocess: Preprocess) -> Part:
    """A part of a data set on the device, as its preprocessing holds it."""
    label = None if part.label is None else jnp.asarray(part.label)
    return Part(preprocess.place(jnp.asarray(part.x)), label)


def shuffled(seed: int, step: int, size: int, batch_size: int) -> Int[np.ndarray, "steps batch_size"]:
    """The order of `train.epoch`, made by the host's processor for the host: the device has other work."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return np.asarray(_batches(jax.random.key(seed), np.int32(step), size, batch_size))


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
