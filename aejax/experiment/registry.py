"""Registers experiments by name. An entry names the function that builds its experiment: listing imports nothing."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from aejax.core import require_known
from aejax.experiment.zoo import ENTRIES

if TYPE_CHECKING:
    from aejax.experiment.experiment import Experiment

Build = Callable[[], "Experiment"]

_ENTRIES: dict[str, tuple[str, str | Build]] = dict(ENTRIES)


def register(name: str, summary: str, build: str | Build) -> None:
    """Adds an experiment to the registry.

    Args:
        name: the name of the experiment.
        summary: one line on what it is.
        build: the function that builds it, or where that is, as "module:function".

    Raises:
        ValueError: for a name that is taken.
    """
    if name in _ENTRIES:
        raise ValueError(f"an experiment is already registered as {name!r}")
    _ENTRIES[name] = (summary, build)


def names() -> dict[str, str]:
    """Returns every registered name with its one-line summary, in the order of registration."""
    return {name: summary for name, (summary, _) in _ENTRIES.items()}


def get(name: str) -> "Experiment":
    """Builds the experiment of that name. Raises `InputError`, with the nearest names, for an unknown one."""
    require_known("experiment", name, names(), "aejax list")
    build = _ENTRIES[name][1]
    if isinstance(build, str):
        module, function = build.split(":")
        build = getattr(importlib.import_module(module), function)
    return dataclasses.replace(build(), name=name)
