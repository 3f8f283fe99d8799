"""Notices when another process ends or hangs.

Each process holds a connection to the first one, and both ends send beats. The system closes the connection of a
process that ends, which is noticed at once. A process that hangs, or whose host loses its power, closes nothing,
but sends nothing either.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils

from aejax.core import HostLost

BEAT = 0.5
"""Seconds from one beat on a connection to the next."""


@contextmanager
def watching(timeout: float, lost: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Prints `lost()` and ends this process with exit code 1 when another process ends.

    It does the same when nothing was heard of another process for `timeout` seconds. Calling the function that
    the context yields ends the watch.
    """
    over = threading.Event()
    with ExitStack() as stack:
        for peer in _connected(stack):
            peer.settimeout(timeout)
            threading.Thread(target=_beat, args=(peer,), daemon=True).start()
            threading.Thread(target=_watch, args=(peer, over, lost), daemon=True).start()
        yield over.set


def _beat(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other end is closed, which `_watch` reports
        while True:
            peer.sendall(b".")
            time.sleep(BEAT)


def _watch(peer: socket.socket, over: threading.Event, lost: Callable[[], str]) -> None:
    with contextlib.suppress(OSError):  # a time-out is an `OSError` too
        while peer.recv(1024):
            pass
    if not over.is_set():
        print(f"aejax: {lost()}", file=sys.stderr, flush=True)
        os._exit(1)


def _connected(stack: ExitStack) -> list[socket.socket]:
    """Opens this process's connections: from the first process to all others, from any other one to the first."""
    server = socket.create_server(("", 0)) if jax.process_index() == 0 else None
    address = (*map(int, _own_address().split(".")), server.getsockname()[1] if server else 0)
    *host, port = multihost_utils.broadcast_one_to_all(np.asarray(address, np.int32)).tolist()
    if server is None:
        first = ".".join(map(str, host))
        try:
            return [stack.enter_context(socket.create_connection((first, port)))]
        except OSError as error:
            raise HostLost(f"the first process cannot be reached at {first}:{port} ({error.strerror})") from None
    with server:
        return [stack.enter_context(server.accept()[0]) for _ in range(jax.process_count() - 1)]


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # sends nothing, but chooses the way out
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
