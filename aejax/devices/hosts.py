"""Lets several processes train together, on one host or many: how they meet, what they agree on, how they part.

All of them run the same program on the same data. The first alone reads and writes the run directory.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from aejax.core import MEMORY_FULL, DiskError, DivergedError, HostLost, InputError, Stopped, first_line
from aejax.devices import _watch

T = TypeVar("T")

_AGREED = (Stopped, DivergedError)
"""Exceptions that end all processes alike, at the same epoch."""

_ALONE = (InputError, DiskError, KeyboardInterrupt)
"""Exceptions that end this process alone, which leaves without waiting for the others."""

_FOREVER = 7 * 24 * 3600
"""Seconds that processes which have trained wait for the first one, which still measures and draws figures.

The wait can be that long because it is noticed when the first process ends.
"""


@contextmanager
def joined(coordinator: str | None, processes: int | None, process: int | None, timeout: int) -> Iterator[None]:
    """Joins this process with others that train together, where there are any, for the length of the context.

    The others are named, or found by SLURM, Open MPI, GKE or on a TPU. A process that fails by itself leaves at
    once, because the others wait for it: they say so and end with exit code 1.

    Args:
        coordinator: HOST:PORT of the first process; None: taken from the environment.
        processes: how many processes there are; None: taken from the environment.
        process: which one this is, from 0; None: taken from the environment.
        timeout: seconds after which a process that is not heard of is given up.

    Raises:
        InputError: where the others cannot be met as named.
        HostLost: where the others did not come, or one of them was lost.
    """
    if not _meet(coordinator, processes, process, timeout):
        yield
        return
    with _watch.watching(timeout, _lost) as over:
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            if str(error).startswith(MEMORY_FULL):
                raise
            raise HostLost(f"{_lost()} ({first_line(error)})") from None
        except _AGREED:
            _part(over)
            raise
        except _ALONE:
            raise
        except Exception:
            traceback.print_exc()
            leave(1)
        _part(over)


def _part(over: Callable[[], None]) -> None:
    over()
    jax.distributed.shutdown()


def _lost() -> str:
    return (
        f"one of the {jax.process_count()} processes that trained together was lost: start as many as there are now "
        "with --resume and the run's folder, and they go on from its last checkpoint"
    )


def _meet(coordinator: str | None, processes: int | None, process: int | None, timeout: int) -> bool:
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            # JAX's heartbeats end a process without a message: they serve only those that do not watch yet.
            heartbeat_timeout_seconds=2 * timeout,
            shutdown_timeout_seconds=_FOREVER,
        )
    except jax.errors.JaxRuntimeError as error:
        raise HostLost(f"the other processes could not be met ({first_line(error)}): start all of them") from None
    except (ValueError, RuntimeError) as error:  # no other process is known, or JAX is at work already
        if coordinator is not None:
            raise InputError(f"processes cannot meet at {coordinator}: {error}") from None
        return False
    return True


def leave(code: int) -> None:
    """Ends this process with an exit code. It does not wait for other processes, which may be waiting for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if jax.distributed.is_initialized():
        os._exit(code)
    sys.exit(code)


def several() -> bool:
    """Tells whether other processes train with this one."""
    return jax.process_count() > 1


def first() -> bool:
    """Tells whether this is the process that reads and writes for all."""
    return jax.process_index() == 0


def from_first(tree: T) -> T:
    """Returns the first process's arrays in every process. Every process must call it."""
    return multihost_utils.broadcast_one_to_all(tree) if several() else tree


def told_by_first(value: T) -> T:
    """Returns the first process's value, of which JSON can be made, in every process. Every process must call it."""
    if not several():
        return value
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    size = int(from_first(np.int32(len(text))))
    text = from_first(text if first() else np.zeros(size, np.uint8))
    told: T = json.loads(text.tobytes())
    return told


def agreed(number: Callable[[], int]) -> Callable[[], int]:
    """Makes a function that returns the largest `number()` of all processes. Every process must call it as often."""

    def ask() -> int:
        return int(multihost_utils.process_allgather(np.int32(number())).max()) if several() else number()

    return ask
