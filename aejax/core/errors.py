"""Defines the errors that aejax raises on purpose."""

import difflib
import errno
import signal
from collections.abc import Iterable
from typing import Any

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES)
"""The system's error numbers that are the fault of the disk and not of the program."""

MEMORY_FULL = "RESOURCE_EXHAUSTED"
"""The beginning of the message of JAX's error for a device that has no memory left."""


class InputError(ValueError):
    """Says that input cannot be used; the message is one sentence: what came, what was expected, what to do.

    The command line prints the message alone and exits with code 2.
    """


class DivergedError(RuntimeError):
    """Says that a term of the loss became infinite or NaN; the message names the term, the step and what was kept."""


class DiskError(RuntimeError):
    """Says that a disk is full or fails; the message says what could not be written, what is kept, and how to go on."""


class HostLost(RuntimeError):  # noqa: N818 - it says what happened
    """Says that another process of a shared training ended or no longer answers; the message says how to go on."""


class Stopped(RuntimeError):  # noqa: N818 - it is a request that was carried out, not an error
    """Says that work was asked to stop and has saved its state; the message says how to go on."""

    trained: Any = None
    """What was trained until then, an `aejax.trained.Trained`, where one run was; None: there is none."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        """Takes the message, and the number of the signal that asked for the stop."""
        super().__init__(message)
        self.number = number


def require_known(kind: str, name: str, known: Iterable[str], listing: str) -> None:
    """Checks that a name is among the known ones.

    Args:
        kind: what the name is of, for the message.
        name: the name to check.
        known: all valid names.
        listing: the command that lists them, for the message.

    Raises:
        InputError: for an unknown name; the message offers the most similar names, or else the command.
    """
    known = list(known)
    if name not in known:
        raise InputError(f"there is no {kind} {name!r}: {nearest(name, known) or f'`{listing}` shows them all'}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns a question that offers the known names most similar to an unknown one, or an empty text.

    Of paths, as `optimizer.learning_rate`, it offers what `similar_paths` returns.
    """
    near = similar_paths(name, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


def similar(name: str, known: Iterable[str]) -> list[str]:
    """Returns the known names that are spelled most like a name, the most similar first: three at most."""
    spelled = {each.lower(): each for each in known}
    return [spelled[each] for each in difflib.get_close_matches(name.lower(), spelled, n=3, cutoff=0.55)]


def similar_paths(path: str, known: Iterable[str]) -> list[str]:
    """Returns the known paths that are spelled most like a path: of a group that there is, those in it alone.

    What all of a group begin with would make each of them look like a name that is none of theirs. A name without a
    group may be any of the known ones.
    """
    known, (group, _, last) = list(known), path.rpartition(".")
    inside = {other.rpartition(".")[2]: other for other in known if group and other.rpartition(".")[0] == group}
    return [inside[near] for near in similar(last, inside)] if inside else similar(path, known)


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or the name of its class where it has none.

    Of the system's errors it is the words alone, without their number and the file's name.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().partition("\n")[0] or type(error).__name__
