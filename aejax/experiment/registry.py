"""Registers experiments by name. An entry names the function that builds its experiment: listing imports nothing."""

import dataclasses
import importlib
import shlex
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from aejax.core import kebab, require_known
from aejax.experiment.own_code import GROUP, origin_of
from aejax.experiment.zoo import ENTRIES

if TYPE_CHECKING:
    from aejax.experiment.experiment import Experiment

Build = Callable[[], "Experiment"]

_ENTRIES: dict[str, tuple[str, str | Build]] = dict(ENTRIES)


def register(name: str, summary: str, build: str | Build) -> None:
    """Adds an experiment to the registry.

    Args:
        name: the name of the experiment. Registered again from the same place, as by a notebook's cell that is run
            twice, it is replaced.
        summary: one line on what it is.
        build: the function that builds it, or where that is, as "module:function".

    Raises:
        ValueError: for a name that another place has registered.
    """
    if name in _ENTRIES and _origin(_ENTRIES[name][1]) != _origin(build):
        raise ValueError(f"an experiment is already registered as {name!r}, of {_origin(_ENTRIES[name][1])}")
    _ENTRIES[name] = (summary, build)


def names() -> dict[str, str]:
    """Returns every registered name with its one-line summary, in the order of registration.

    After them come the experiments that installed packages declare in the group `aejax.experiments` of entry points,
    except those whose name is taken.
    """
    return {name: summary for name, (summary, _) in _entries().items()}


def get(name: str) -> "Experiment":
    """Builds the experiment of that name. Raises `InputError`, with the nearest names, for an unknown one."""
    entries = _ENTRIES if name in _ENTRIES else _entries()  # to look for installed packages takes time
    require_known("experiment", name, entries, "aejax list")
    build = entries[name][1]
    if isinstance(build, str):
        module, function = build.split(":")
        build = getattr(importlib.import_module(module), function)
    return dataclasses.replace(build(), name=name)


def changes(experiment: "Experiment") -> dict[str, Any] | None:
    """Returns the settings in which an experiment differs from the registered one of its name.

    Returns:
        The new values by path, and None for what is there no more; None where no experiment is registered under that
        name. Of a part that was exchanged or added it is the name by which it is chosen, and those of its settings that
        the old part had too, or that are not its defaults. What data of one's own hold out where the registered
        experiment holds out nothing is no change of a setting: see `Data.named`.
    """
    if experiment.name not in names():
        return None
    from aejax.experiment.serialization import differences, without_defaults  # here, as they import jax

    registered = get(experiment.name)
    changed, told = differences(registered, experiment), without_defaults(experiment)
    if experiment.data.holds_out_by_itself(registered.data):
        changed.pop("data.validation")
    exchanged = tuple(path.removesuffix("class") for path in changed if path.endswith(".class"))
    found: dict[str, Any] = {}
    for path, (old, new) in changed.items():
        if path.endswith(".class"):
            found[path.removesuffix(".class")] = None if new is None else kebab(new)
        elif not path.startswith(exchanged) or (old is not None and new is not None) or path in told:
            found[path] = new
    return found


def without_others_figure(experiment: "Experiment") -> "Experiment":
    """Returns an experiment that was read from a file, without the published figure unless it is as registered."""
    changed = changes(experiment)
    as_registered = changed is not None and changed.keys() <= {"seed"}
    return experiment if as_registered else dataclasses.replace(experiment, expected=None)


def code_of(name: str) -> str | None:
    """Returns the file or module that is to be imported for an experiment to be known; None for aejax's own.

    Those that installed packages declare need no import either.
    """
    build = _ENTRIES[name][1] if name in _ENTRIES else "aejax:"
    if isinstance(build, str):
        module = build.split(":")[0]
        return None if module.split(".")[0] == "aejax" else module
    return origin_of(build)


def with_imports(command: str, name: str) -> str:
    """Returns a command on an experiment or what was made with it, with the --import that it needs, if any."""
    code = code_of(name)
    return command if code is None else f"{command} --import {shlex.quote(code)}"


def _entries() -> dict[str, tuple[str, str | Build]]:
    declared: dict[str, tuple[str, str | Build]] = {
        point.name: (f"of the package {point.dist.name if point.dist else point.module}", point.value)
        for point in entry_points(group=GROUP)
    }
    return _ENTRIES | {name: entry for name, entry in declared.items() if name not in _ENTRIES}


def _origin(build: str | Build) -> str:
    return build if isinstance(build, str) else f"{build.__module__}:{build.__qualname__}"
