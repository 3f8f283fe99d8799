"""Keeps what a worker has claimed its own: the worker's name, its heartbeats, and how long a claim outlives them.

Workers share trials by a folder (`aejax.sweeps.store`) or by a database (`aejax.sweeps._study`). Each kind of storage
says how a heartbeat is left in it and how a claim is given back; when and how often is said here.
"""

import contextlib
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

LEASE = 30.0
"""Seconds without a heartbeat after which a worker is taken for dead, and what it has claimed is free."""


@contextlib.contextmanager
def held(beat: Callable[[], object], release: Callable[[], object]) -> Iterator[None]:
    """Calls `beat` six times a lease from a thread while the block runs, and `release` when it ends, however it ends.

    A heartbeat that fails with an `OSError`, as those on a shared disk may, is tried again at the next one's time.
    """
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(LEASE / 6):
            try:
                beat()
            except OSError as error:
                log.warning("a heartbeat failed (%s): the next one follows in %.0f s", error, LEASE / 6)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        release()


def worker_name() -> str:
    """Returns a name that no other worker has, on whatever machine it runs."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
