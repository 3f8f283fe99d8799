"""Notices at once that another process has ended: each holds a connection to the first, and the system closes it.

A process that hangs, or a host that loses its power, closes nothing: JAX's heartbeats find those.
"""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils

from aejax.errors import HostLost


@contextmanager
def watching(lost: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Says `lost` and ends this process with 1 as soon as another one ends, until what it yields is called."""
    over = threading.Event()
    with ExitStack() as stack:
        for peer in _connected(stack):
            threading.Thread(target=_watch, args=(peer, over, lost), daemon=True).start()
        yield over.set


def _watch(peer: socket.socket, over: threading.Event, lost: Callable[[], str]) -> None:
    with contextlib.suppress(OSError):
        peer.recv(1)  # nothing is ever sent: it returns when the other end is closed
    if not over.is_set():
        print(f"aejax: {lost()}", file=sys.stderr, flush=True)
        os._exit(1)


def _connected(stack: ExitStack) -> list[socket.socket]:
    """The first process's connections to all others, or another one's to the first."""
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
            probe.connect(("10.255.255.255", 1))  # sends nothing: it chooses the way out
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
