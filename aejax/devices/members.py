"""Members of a population, shared out over this process's devices."""

import os
from typing import TypeVar

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

T = TypeVar("T")


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
