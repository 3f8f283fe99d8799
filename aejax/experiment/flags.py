"""Writes the settings of an experiment as flags of `aejax train`, of which the same experiment is made again."""

import shlex
from typing import Any

from aejax.core import InputError
from aejax.experiment import registry
from aejax.experiment.choices import choose_parts, kebab, part_choices
from aejax.experiment.experiment import Experiment
from aejax.experiment.serialization import differences, from_json, to_json

_ANY = ".NAME"
"""How a path ends that leads to parts of any name."""


def train_command(experiment: Experiment) -> str | None:
    """Returns the command that trains an experiment; None where no flags make it of the registered one of its name.

    That is where a term was removed, or a part was made in Python that no flag leads to.
    """
    try:
        made, flags = registry.get(experiment.name), list[str]()
        while exchanged := _exchanged(made, experiment):
            made, _ = choose_parts(made, exchanged)
            flags += exchanged
    except InputError:
        return None
    content = to_json(made)
    for path, (_, value) in differences(made, experiment).items():
        *parents, last = path.split(".")
        inner = content
        for name in parents:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or last not in inner or last == "class":
            return None
        inner[last] = value
        flags += _flag(path, value)
    if differences(from_json(content), experiment):
        return None
    return registry.with_imports(shlex.join(["aejax", "train", experiment.name, *flags]), experiment.name)


def _exchanged(made: Experiment, wanted: Experiment) -> list[str]:
    """Returns the flags that exchange the outermost parts of an experiment whose classes are not those wanted."""
    paths, flags = [path for path, _ in part_choices(made)], list[str]()
    changed = "-"
    for path in sorted(path for path in paths if not path.endswith(_ANY)):
        old, new = _at(made, path), _at(wanted, path)
        if path.startswith(f"{changed}.") or new is None:  # a new part has other parts of its own
            continue
        if path == "data":
            flags += ["--data", new.name] if old.name != new.name else []
        elif type(old) is not type(new):
            flags += [f"--{path.replace('_', '-')}", kebab(type(new).__name__)]
            changed = path
    for path in (path.removesuffix(_ANY) for path in paths if path.endswith(_ANY) and not flags):
        old, new = _at(made, path) or {}, _at(wanted, path) or {}
        added = [name for name in new if name not in old]
        flags += [word for name in added for word in (f"--{path}.{name}", kebab(type(new[name]).__name__))]
    return flags


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value


def _flag(path: str, value: Any) -> list[str]:
    """Returns the words by which tyro sets a field."""
    *parents, last = path.replace("_", "-").split(".")
    if isinstance(value, bool):
        return ["--" + ".".join([*parents, last if value else f"no-{last}"])]
    return ["--" + ".".join([*parents, last]), *map(str, value if isinstance(value, list) else [value])]
