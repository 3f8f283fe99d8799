"""Says how many members of a population are trained at the same time on this process's devices."""

import os

import jax


def rounded(members: int) -> int:
    """Rounds a number of members up to a multiple of the number of devices.

    A number smaller than that of the devices is returned as it is.
    """
    count = jax.device_count()
    return members if members < count else -(-members // count) * count


def lanes() -> int:
    """Returns how many programs are best run at the same time: on a CPU one for each core, elsewhere one.

    A single program seldom fills the cores of a CPU. With several devices it is one on a CPU too.
    """
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Returns the bytes that a program may take on all devices together: nine tenths of what is left."""
    stats = jax.local_devices()[0].memory_stats()
    if stats is None:  # a CPU: what the host has left
        return int(0.9 * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return int(0.9 * (stats["bytes_limit"] - stats["bytes_in_use"]) * jax.device_count())
