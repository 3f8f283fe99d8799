"""Turns Ctrl-C and SIGTERM into a request to stop; after SIGTERM the process ends in time, whatever it is doing.

A signal handler in Python runs only when the main thread is back from what it waits for, and XLA may compile or
compute for minutes. Another thread reads at once what the system writes to the wakeup file.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

GRACE = 15.0
"""Seconds after SIGTERM in which an epoch may come to its end: most systems kill after 30."""

TOGETHER = 1.0
"""Seconds in which several signals are one request: GNU's `timeout` sends two, to the process and to its group."""

RESCUE = 10.0
"""Seconds that saving may take once `GRACE` is over."""


@contextmanager
def requests(terminated: bool = True) -> Iterator[Callable[[], int]]:
    """Turns the first Ctrl-C into a request to stop, or SIGTERM where `terminated`, for the length of the context.

    It yields a function that returns the number of the signal, or 0 before it. A second Ctrl-C interrupts as
    usual. In another thread than the main one nothing is changed.
    """
    numbers: list[int] = []
    if not _in_main_thread():
        yield lambda: 0
        return

    def request(number: int, frame: FrameType | None) -> None:
        numbers.append(number)
        signal.signal(signal.SIGINT, interrupt)

    interrupt = signal.getsignal(signal.SIGINT)
    with handling(signal.SIGINT, request), handling(signal.SIGTERM, request) if terminated else nullcontext():
        yield lambda: numbers[0] if numbers else 0


@contextmanager
def in_time(rescue: Callable[[], str], grace: float | None = None) -> Iterator[None]:
    """Ends the process `grace` seconds after SIGTERM, unless the context has ended by then; a second one ends it now.

    `rescue` saves what there is to save and says how to go on; `grace` is `GRACE` by default. The exit code is 143.
    In another thread than the main one nothing is changed.
    """
    if not _in_main_thread():
        yield
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    def watch() -> None:
        with ours:
            if not _next(ours):
                return
            first = time.monotonic()
            ours.settimeout(GRACE if grace is None else grace)
            with contextlib.suppress(TimeoutError, BlockingIOError):
                while _next(ours):
                    if time.monotonic() - first > TOGETHER:
                        _end("stopped by a second signal")
                return
            _end(_said_in_time(rescue))

    threading.Thread(target=watch, daemon=True).start()
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        with handling(signal.SIGTERM, lambda number, frame: None):
            yield
    finally:
        signal.set_wakeup_fd(before)
        theirs.close()


def _next(socket: socket.socket) -> bool:
    """Waits for SIGTERM and returns True; returns False once the other end is closed."""
    while number := socket.recv(1):
        if number[0] == signal.SIGTERM:
            return True
    return False


def _said_in_time(rescue: Callable[[], str]) -> str:
    said = ["stopped; there was no time to save more than was saved before"]

    def attempt() -> None:
        try:
            said.append(rescue())
        except Exception as error:  # the process ends in any case, and says why less is kept
            said.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(RESCUE)
    return said[-1]


def _end(sentence: str) -> None:
    print(f"aejax: {sentence}", file=sys.stderr, flush=True)
    os._exit(128 + signal.SIGTERM)


@contextmanager
def handling(number: int, handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Replaces the handler of a signal for the length of the context."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
