"""An experiment is a value: a frozen dataclass that says all there is to say about a run, and its JSON form."""

import dataclasses
import math
from typing import Any

from aejax.core import InputError


def check_positive(value: Any, path: str = "") -> None:
    """Raises `InputError` for a field that is marked `positive` and is not, anywhere in a tree of settings."""
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
