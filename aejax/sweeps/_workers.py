"""Gives a process that shares work with others a name, and a thread for its signs of life."""

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def repeating(action: Callable[[], object], seconds: float) -> Iterator[None]:
    """Calls `action` in a thread every so many seconds, for the length of the context."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def worker_name() -> str:
    """Returns a name that no other worker has, on any machine."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
