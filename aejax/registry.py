"""Names to experiments. Entries name a function that builds one, so that listing them imports nothing."""

import dataclasses
import difflib
import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aejax.errors import InputError

if TYPE_CHECKING:
    from aejax.experiment import Experiment

Build = Callable[[], "Experiment"]

_ENTRIES: dict[str, tuple[str, str | Build]] = {}


def register(name: str, summary: str, build: str | Build) -> None:
    """Adds an entry: one line on what it is, and the function that builds it, or "module:function".

    Raises `ValueError` for a name that is taken.
    """
    if name in _ENTRIES:
        raise ValueError(f"an experiment is already registered as {name!r}")
    _ENTRIES[name] = (summary, build)


def names() -> dict[str, str]:
    """Every registered name with its one line, in the order of registration."""
    importlib.import_module("aejax.zoo")
    return {name: summary for name, (summary, _) in _ENTRIES.items()}


def get(name: str) -> "Experiment":
    """The experiment of that name. Raises `InputError` with the nearest names for an unknown one."""
    require("experiment", name, names(), "aejax list")
    build = _ENTRIES[name][1]
    if isinstance(build, str):
        module, function = build.split(":")
        build = getattr(importlib.import_module(module), function)
    return dataclasses.replace(build(), name=name)


def require(kind: str, name: str, known: Iterable[str], listing: str) -> None:
    """Raises `InputError` unless `name` is among the known; says the nearest ones and what lists them all."""
    known = list(known)
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(near)}?" if near else f"`{listing}` shows them all"
    raise InputError(f"there is no {kind} {name!r}: {guess}")
