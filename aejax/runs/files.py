"""Writes files whole or not at all, and reads JSON that may have been made by anybody."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from aejax.core import InputError

GLANCE = 0.1
"""Seconds that a lock is tried for: whoever looks whether it is held holds it for a moment."""

_DEEPEST = 100
"""Largest number of nested levels in JSON that is read: an experiment has a dozen."""


def write_atomically(path: Path, content: str | Callable[[IO[bytes]], object]) -> None:
    """Writes a whole file or none: to a temporary name beside it, synced, then renamed.

    `content` is text, or a function that writes bytes to the open file it is given.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, refusal: str = "") -> Iterator[None]:
    """Holds the lock of a file, which is made where it is missing; the system frees it however its holder dies.

    Waits while another process holds it. With a `refusal` it waits for `GLANCE` seconds alone, and then raises
    `InputError` with that message.
    """
    with path.open("w") as file:  # a file, as NFS cannot lock a folder
        until = time.monotonic() + GLANCE
        while not _is_taken(file, wait=not refusal):
            if time.monotonic() > until:
                raise InputError(refusal)
            time.sleep(GLANCE / 5)
        yield


def is_locked(path: Path) -> bool:
    """Tells whether a process holds the lock of a file; nobody does where there is no such file."""
    try:
        with path.open() as file:
            return not _is_taken(file, wait=False, kind=fcntl.LOCK_SH)
    except OSError:
        return False


def _is_taken(file: IO[Any], wait: bool, kind: int = fcntl.LOCK_EX) -> bool:
    """Takes the lock of an open file until it is closed, and tells whether it could: always, where it may wait."""
    try:
        fcntl.flock(file, kind | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON object; a file that is not there, is damaged or holds something else counts as an empty one."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_json(path: Path) -> Any:
    """Reads a JSON file. Raises `OSError` where it cannot be read, and `ValueError` however it is damaged."""
    try:
        content = json.loads(path.read_text())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [content]
    for _ in range(_DEEPEST):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inner for item in items]
    if level:
        raise ValueError("it is nested too deeply")
    return content
