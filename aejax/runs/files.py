"""Writes files whole or not at all, and reads JSON that may have been made by anybody."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from aejax.core import InputError

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

    Waits while another process holds it. With a `refusal` it does not wait and raises `InputError` with that message.
    """
    with path.open("w") as file:  # a file, as NFS cannot lock a folder
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError:
            raise InputError(refusal) from None
        yield


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
