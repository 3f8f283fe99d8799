"""Makes variants of an experiment: settings are changed by their paths, parts are exchanged by name."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from aejax.core import InputError, nearest, setting_path
from aejax.experiment import registry
from aejax.experiment.choices import choose_parts, kinds_with, part_choices
from aejax.experiment.experiment import Experiment
from aejax.experiment.serialization import from_json, require_field, to_json


def vary(base: Experiment, settings: Mapping[str, Any]) -> Experiment:
    """Returns the experiment with settings changed, each by its path. Raises `InputError` as `replace_at` does."""
    experiment = registry.get(str(settings["experiment"])) if "experiment" in settings else base
    # An exchanged part has other settings, so it comes before its settings: the shorter path first.
    for path in sorted(settings, key=lambda path: _path(path).count(".")):
        if path != "experiment":
            experiment = replace_at(experiment, path, settings[path])
    return experiment


def replace_at(experiment: Experiment, path: str, value: Any) -> Experiment:
    """Returns the experiment with one setting changed.

    Args:
        experiment: the experiment to vary.
        path: the path of the setting, or of a part that is exchanged; its words are joined by `-` or `_`.
        value: the new value, or the name of the new part.

    Raises:
        InputError: for an unknown path, or a value of a wrong type.
    """
    path = _path(path)
    if path in {part for part, _ in part_choices(experiment)}:
        changed, _ = choose_parts(experiment, [f"--{path}", str(value)])
        return changed
    content = to_json(experiment)
    *parents, last = path.split(".")
    inner = content
    for name in parents:
        inner = inner.get(name) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or last not in inner or last == "class" or isinstance(inner[last], dict):
        kinds, known = kinds_with(experiment, path), list(_paths(content))
        having = f"{path.rpartition('.')[0]} {' or '.join(kinds)} has it" if kinds else ""
        guess = having or nearest(path, known) or f"it has {', '.join(known)}"
        raise InputError(f"{experiment.name} has no setting {path!r}: {guess}")
    inner[last] = list(value) if isinstance(value, tuple) else value
    require_field(inner, last, inner[last], path)
    return dataclasses.replace(from_json(content), expected=experiment.expected)


def _path(text: str) -> str:
    """Returns the path of a setting: to name other data is to exchange them, which may hold out validation."""
    path = setting_path(text)
    return "data" if path == "data.name" else path


def _paths(content: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{name}.")
        elif name not in ("class", "expected", "name"):
            yield f"{prefix}{name}"
