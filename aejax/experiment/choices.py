"""Chooses a part of an experiment by name: `--optimizer sgd`, `--loss.likelihood gaussian`, `--data mnist-5k`.

A term of the loss is added in the same way: `--loss.terms.NAME code-l1`, and so is a learning rate of its own:
`--optimizer.rates.NAME rate`.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from aejax.core import InputError, first_sentence, kebab, known_subclasses, no_choice, setting_path
from aejax.data import Data

T = TypeVar("T")

DATA = {
    "NAME": "A data set that `aejax data list` shows.",
    "tfds:NAME": "Any data set of TFDS, of images or vectors.",
    "PATH": "A file or folder of your own: see `aejax data check PATH`.",
}
"""What can be given as data, and what it means."""


def choose_parts(value: T, arguments: list[str]) -> tuple[T, list[str]]:
    """Applies every argument `--PATH NAME` whose path leads to a part that is itself made of settings.

    Returns the value with those parts exchanged, and the arguments that are left. A new part keeps the
    settings that it shares with the old one. Raises `InputError` for a name that no such part has.
    """
    left: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        flag, _, given = argument.partition("=")
        path = setting_path(flag[2:]).split(".") if flag.startswith("--") else []
        if not path or not _leads_to_part(value, path):
            left.append(argument)
            continue
        name = given or next(remaining, "")
        value = _exchange(value, type(value), path, name, flag)
    return value, left


def part_choices(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the path of every part that can be exchanged, with the names of its alternatives and what they mean.

    `path` is the path of `value` itself, which is put before the others.
    """
    hints = typing.get_type_hints(type(value))
    for name in [item.name for item in dataclasses.fields(value)]:
        part, here = _get(value, name), f"{path}.{name}" if path else name
        if isinstance(part, Data):
            yield here, DATA
        elif isinstance(part, dict):
            yield f"{here}.NAME", _meanings(_options(typing.get_args(hints[name])[1]))
            for key, item in part.items():
                yield from part_choices(item, f"{here}.{key}")
        elif dataclasses.is_dataclass(part) and len(_options(hints[name])) > 1:
            yield here, _meanings(_options(hints[name]))
        if dataclasses.is_dataclass(part):
            yield from part_choices(part, here)


def kinds_with(value: Any, path: str) -> list[str]:
    """Returns by which names a part would be chosen that has a setting which the part at its place lacks.

    `path` is the path of the setting, `optimizer.weight_decay`. There are none where no part is at its place.
    """
    *place, last = path.split(".")
    held: Any = None
    for name in place:
        held = typing.get_args(held)[1] if isinstance(value, dict) else typing.get_type_hints(type(value)).get(name)
        value = _get(value, name)
    if not dataclasses.is_dataclass(value):
        return []
    others = {name: cls for name, cls in _options(held).items() if not isinstance(value, cls)}
    return [name for name, cls in others.items() if last in {item.name for item in dataclasses.fields(cls)}]


def _meanings(options: dict[str, type]) -> dict[str, str]:
    return {name: first_sentence(cls.__doc__) for name, cls in options.items()}


def _options(annotation: Any) -> dict[str, type]:
    """Returns the registered kinds of a part, by the names that they are chosen by: itself where it has no others."""
    if not isinstance(annotation, type):
        return {}
    return {kebab(cls.__name__): cls for cls in known_subclasses(annotation) or [annotation]}


def part_name(content: Mapping[str, Any]) -> str:
    """Returns the name by which a part is chosen, of its JSON form: data by theirs, all else by that of the class."""
    return content["name"] if content["class"] == Data.__name__ else kebab(content["class"])


def _leads_to_part(value: Any, path: list[str]) -> bool:
    """Tells whether the path leads to a part, or to a key of a dictionary, where a part can be added."""
    for name in path:
        parent, value = value, _get(value, name)
    return dataclasses.is_dataclass(value) or isinstance(parent, dict)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _exchange(value: Any, annotation: Any, path: list[str], name: str, flag: str) -> Any:
    first, rest = path[0], path[1:]
    old = _get(value, first)
    held = typing.get_args(annotation)[1] if isinstance(value, dict) else typing.get_type_hints(type(value))[first]
    if rest:
        new = _exchange(old, held, rest, name, flag)
    elif isinstance(old, Data):
        new = old.named(name)
    else:
        new = _convert(old, _options(held), name, flag)
    return {**value, first: new} if isinstance(value, dict) else dataclasses.replace(value, **{first: new})


def _convert(old: Any, known: dict[str, type], name: str, flag: str) -> Any:
    if old is not None and len(known) < 2:
        raise InputError(f"{flag} cannot be exchanged for {name!r}, only its settings can be: see --help")
    if name not in known:
        raise no_choice(flag, name, known)
    cls = known[name]
    before = () if old is None else dataclasses.fields(old)
    shared = {item.name for item in dataclasses.fields(cls)} & {item.name for item in before}
    return cls(**{item: getattr(old, item) for item in shared - {"parent", "name"}})
