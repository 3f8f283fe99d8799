"""Says in one way, wherever it was given, that a value is of another kind than a setting takes."""

import dataclasses
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from aejax.core.errors import InputError

KINDS: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    bool: ("True or False", "True or False each"),
    Path: ("a path", "paths"),
    None: ("None", "None each"),
    type(None): ("None", "None each"),
}
"""Kinds of values in words: of one, and of several."""


def of_other_kind(name: str, kind: str, given: Any) -> InputError:
    """Returns the error for a setting whose value is of another kind than `kind`, in words as `kind_in_words` has."""
    shown = type(given).__name__ if dataclasses.is_dataclass(given) else repr(given)
    return InputError(f"{name} takes {kind}, not {shown}")


def no_choice(name: str, given: Any, choices: Iterable[Any]) -> InputError:
    """Returns the error for a setting whose value is none of its choices."""
    return InputError(f"{name} is {given!r}, but it must be one of {', '.join(sorted(map(str, choices)))}")


def kind_in_words(annotation: Any) -> str:
    """Returns in words which values an annotation takes: `int | None` is a whole number or None."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        written = [option for option in arguments if getattr(option, "__name__", "") != "Array"]  # no file holds arrays
        return " or ".join(map(kind_in_words, written))
    if origin is Literal:
        return f"one of {', '.join(sorted(map(str, arguments)))}"
    if origin is tuple and arguments[0] in KINDS:
        return KINDS[arguments[0]][1]
    if origin is None and annotation in KINDS:
        return KINDS[annotation][0]
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
