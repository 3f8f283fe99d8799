"""Checks the numbers of an experiment's settings."""

import dataclasses
import math
from typing import Any

from aejax.core import InputError


def check_positive(value: Any, path: str = "") -> None:
    """Checks that every field marked `positive` in a tree of settings is above zero and finite, or None.

    `value` is a dataclass or a dictionary of them; the error message puts `path` before the field's name.
    Raises `InputError` for the first field that is not.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            check_positive(item, f"{path}{name}.")
    if not dataclasses.is_dataclass(value):
        return
    for item in dataclasses.fields(value):
        number = getattr(value, item.name, None)
        if item.metadata.get("positive") and number is not None and not 0 < number < math.inf:
            raise InputError(f"{path}{item.name} is {number}, but it must be above zero and finite")
        check_positive(number, f"{path}{item.name}.")
