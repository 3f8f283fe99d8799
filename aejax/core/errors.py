"""What aejax raises on purpose."""

import difflib
import errno
import signal
from collections.abc import Iterable

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES)
"""Numbers of the system's errors that are the disk's fault, and not the program's."""

MEMORY_FULL = "RESOURCE_EXHAUSTED"
"""What the message of JAX's error begins with where a device has no memory left."""


class InputError(ValueError):
    """Input that cannot be used; its message is one sentence: what came, what was expected, what to do.

    The command line prints the message alone and exits with code 2.
    """


class DivergedError(RuntimeError):
    """A term of the loss became infinite or undefined; its message names the term, the step and what was kept."""


class DiskError(RuntimeError):
    """A disk is full or fails; its message says what could not be written, what is kept, and how to go on."""


class HostLost(RuntimeError):  # noqa: N818 - it says what happened
    """Another process that trained with this one ended or was not heard of any more; its message says how to go on."""


class Stopped(RuntimeError):  # noqa: N818 - it is a request that was carried out, not an error
    """Work was asked to stop, and has saved its state; its message says how to go on."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        """`number` is that of the signal which asked."""
        super().__init__(message)
        self.number = number


def require_known(kind: str, name: str, known: Iterable[str], listing: str) -> None:
    """Raises `InputError` unless `name` is among the known; says the nearest ones and what lists them all."""
    known = list(known)
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(near)}?" if near else f"`{listing}` shows them all"
    raise InputError(f"there is no {kind} {name!r}: {guess}")
