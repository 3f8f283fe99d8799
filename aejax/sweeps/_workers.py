"""What a process needs that shares work with others: a name, and a sign of life that it gives meanwhile."""

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def repeating(action: Callable[[], object], seconds: float) -> Iterator[None]:
    """Calls `action` in a thread meanwhile, every so many seconds."""
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
    """A name that no other worker has, wherever it runs."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
