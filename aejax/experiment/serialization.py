"""Converts experiments to JSON and back, names them, and compares their settings."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn

from aejax.core import InputError, json_text, kind_in_words, known_class, no_choice, of_other_kind, setting_path
from aejax.experiment.experiment import Experiment


def to_json(value: Any) -> Any:
    """Returns the JSON form of an experiment or any part of it: classes by registered name, tuples as lists."""
    return _to_json(value, lambda cls, name: True)


def canonical(value: Any) -> str:
    """Returns the JSON text of which names and hashes of a value are made, without fields that equal their defaults.

    So it stays the same when a class gets a new field with a default. It would not tell two versions apart that
    differ in a default, which is why the default of a field never changes.
    """
    return json_text(_to_json(value, lambda cls, name: False), sort_keys=True)


def as_first_written(value: Any) -> Any:
    """Returns the JSON form that version 0.1.0 gave a value, of which it made names and hashes.

    Fields that were added since are left out where they equal their defaults.
    """
    first = _first_settings()
    return _to_json(value, lambda cls, name: name in first.get(cls.__name__, (name,)))


@cache
def _first_settings() -> dict[str, dict[str, Any]]:
    """Returns the defaults of every field in version 0.1.0, by class."""
    return json.loads(Path(__file__).with_name("settings-0.1.0.json").read_text())


def _to_json(value: Any, always: Callable[[type, str], bool]) -> Any:
    """Returns the JSON form of a value; a field that equals its default is there only if `always` says so."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        content: dict[str, Any] = {"class": type(value).__name__}
        for field in _fields(type(value)):
            told = _to_json(getattr(value, field.name), always)
            if always(type(value), field.name) or told != _to_json(_default(field), always):
                content[field.name] = told
        return content
    if isinstance(value, dict):
        return {name: _to_json(item, always) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_to_json(item, always) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"a setting is {value}, which no file of settings can hold: give a finite number")
    return value


def _default(field: dataclasses.Field) -> Any:
    """Returns the default of a field; where it has none, what is equal to nothing."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def from_json(value: Any) -> Any:
    """Restores a value from its JSON form, as `to_json` made it. Restores registered classes only, imports nothing.

    Raises `InputError` for an unknown class, an unknown or missing field, or a field of the wrong type.
    """
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    # An entry of a dictionary of settings may be named "class" too. It is then a dictionary itself, not a string.
    if isinstance(value.get("class", {}), dict):
        return {name: from_json(item) for name, item in value.items()}
    fields = {setting_path(name): from_json(item) for name, item in value.items() if name != "class"}
    cls = known_class(value["class"])
    types_ = typing.get_type_hints(cls)
    for name, item in fields.items():
        if name not in _field_names(cls):
            raise InputError(f"{cls.__name__} has no field {name!r}: its fields are {', '.join(_field_names(cls))}")
        _require_fit(f"{cls.__name__}.{name}", item, types_[name])
    try:
        return cls(**fields)
    except TypeError as error:
        raise InputError(f"{cls.__name__} cannot be made from its JSON form: {error}") from None


def require_field(content: Mapping[str, Any], name: str, value: Any, called: str) -> None:
    """Raises `InputError` where a value in its JSON form does not fit a field of what JSON content stands for.

    Args:
        content: the JSON form of an instance of a registered class; of any other nothing is checked.
        name: the name of the field.
        value: the value, none with a class of its own.
        called: what the field is called in the message.
    """
    if isinstance(content.get("class"), str):
        _require_fit(called, from_json(value), typing.get_type_hints(known_class(content["class"]))[name])


def _require_fit(called: str, value: Any, annotation: Any) -> None:
    if not _fits(value, annotation):
        choices = typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()
        shown = list(value) if isinstance(value, tuple) else value
        raise no_choice(called, shown, choices) if choices else of_other_kind(called, kind_in_words(annotation), shown)


def dumps(experiment: Experiment) -> str:
    """Returns an experiment as JSON text. Equal experiments give equal text."""
    return json_text(to_json(experiment), indent=2)


def differences(old: Experiment, new: Experiment) -> dict[str, tuple[Any, Any]]:
    """Returns the settings in which two experiments differ: (old, new) by path, with None for one that is missing.

    The field `expected` is no setting, and is not compared.
    """
    before, after = (_flatten(to_json(dataclasses.replace(item, expected=None))) for item in (old, new))
    paths = list(dict.fromkeys([*before, *after]))
    return {path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


def without_defaults(value: Any) -> dict[str, Any]:
    """Returns the settings of a value that are not their defaults, and the classes of its parts, by path."""
    return _flatten(_to_json(value, lambda cls, name: False))


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {
        name: leaf
        for key, item in value.items()
        for name, leaf in _flatten(item, f"{path}.{key}" if path else key).items()
    }


def _fields(cls: type) -> list[dataclasses.Field]:
    # A Linen module's `parent` and `name` say where it is mounted, not what it is.
    skip = ("parent", "name") if issubclass(cls, nn.Module) else ()
    return [field for field in dataclasses.fields(cls) if field.init and field.name not in skip]


def _field_names(cls: type) -> list[str]:
    return [field.name for field in _fields(cls)]


def _fits(value: Any, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is None or not isinstance(annotation, type):
        return value is None
    return isinstance(value, annotation)
