"""Runs the command line: parses it first, and imports heavy modules afterwards."""

import logging
import os
import sys

from aejax import core
from aejax.cli import _data, _training
from aejax.cli._commands import COMMANDS, DATA_COMMANDS, TREE
from aejax.cli._data import DataCommand
from aejax.cli._parsing import parse, print_tree
from aejax.core import (
    DISK_ERRORS,
    MEMORY_FULL,
    DiskError,
    DivergedError,
    HostLost,
    InputError,
    Stopped,
    first_line,
    first_sentence,
)
from aejax.experiment import import_code, import_from_environment

ABOUT = """Autoencoders in JAX and Flax: train registered experiments and use what they learned.
Every command takes --import MODULE or --import FILE.py, for experiments and classes of your own; those that
AEJAX_IMPORT names are always imported."""

WITH_SETTINGS = {
    "train": _training.train,
    "bench": _training.bench,
    "data check": _data.check,
    "data pack": _data.pack,
}
"""The commands whose flags depend on what they are given first."""

_HELP = ("-h", "--help")


class _Named(logging.Formatter):
    """Puts the name of the package that says something before what it says."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        return f"{record.name.partition('.')[0]}: {super().format(record)}"


def main() -> None:
    """Runs one command of the command line.

    The exit code is 0, 1 (the command failed), 2 (bad input), 130 (stopped by Ctrl-C) or 143 (stopped by SIGTERM).
    """
    said = logging.StreamHandler()
    said.setFormatter(_Named())
    logging.basicConfig(handlers=[said])
    try:
        _run(sys.argv[1:])
    except InputError as error:
        _exit(2, error)
    except (DivergedError, DiskError, HostLost) as error:
        _exit(1, error)
    except Stopped as error:
        print(f"aejax: {error}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(128 + error.number)  # any other way to end would wait for the epoch that is under way
    except KeyboardInterrupt:
        _exit(130, "stopped")
    except BrokenPipeError:
        sys.stderr.close()
    except RuntimeError as error:
        if not str(error).startswith(MEMORY_FULL):
            raise
        _exit(1, f"the device's memory is full ({first_line(error)}): smaller batches take less of it")
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        _exit(1, f"{error.filename or 'a file'} cannot be written: {error.strerror}")


def _run(arguments: list[str]) -> None:
    arguments = _import_own_code(arguments)
    if not arguments or arguments[0] in _HELP:
        print_tree(TREE, ABOUT)
        return
    if arguments[0].startswith("-"):
        raise InputError(f"a command comes before {arguments[0]}: `aejax --help` shows all")
    core.require_known("command", arguments[0], COMMANDS, "aejax --help")
    name, left = _command(arguments)
    if name == "data":
        print_tree(DATA_COMMANDS, first_sentence(DataCommand.__doc__), "aejax data")
    elif name in WITH_SETTINGS and left and left[0] not in _HELP:
        WITH_SETTINGS[name](left)
    else:
        parse(TREE[name], f"aejax {name}", left)()


def _command(arguments: list[str]) -> tuple[str, list[str]]:
    """Returns the name of the command, of one word or of two, and the arguments behind it."""
    first, second = arguments[0], arguments[1] if len(arguments) > 1 else "--help"
    if f"{first} {second}" in TREE:
        return f"{first} {second}", arguments[2:]
    if first == "data" and not second.startswith("-"):
        core.require_known("command", second, DATA_COMMANDS, "aejax data --help")
    return first, arguments[1:]


def _import_own_code(arguments: list[str]) -> list[str]:
    """Imports the modules and files of every --import and of AEJAX_IMPORT; returns the other arguments."""
    flag, left, given = "--import", [], []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == flag or argument.startswith(f"{flag}="):
            given.append(argument.removeprefix(flag).removeprefix("=") or next(remaining, ""))
        else:
            left.append(argument)
    if "" in given:
        raise InputError(f"{flag} names nothing: give a module or a file that ends in .py")
    import_from_environment()
    for name in given:
        import_code(name)
    return left


def _exit(code: int, error: object) -> None:
    print(f"aejax: {error}", file=sys.stderr)
    if "aejax.devices.hosts" in sys.modules:  # other processes may train with this one: do not wait
        sys.modules["aejax.devices.hosts"].leave(code)
    sys.exit(code)
