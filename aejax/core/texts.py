"""Writes values as JSON text that any reader takes, reads the numbers in it that are none, and spells names."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any


def json_text(content: Any, **options: Any) -> str:
    """Returns content as JSON text, with null for each number that is not finite, as JSON has no NaN and no Infinity.

    `options` are those of `json.dumps`.
    """
    return json.dumps(without_nan(content), allow_nan=False, **options)


def without_nan(content: Any) -> Any:
    """Returns content with None for each number that is not finite."""
    if isinstance(content, dict):
        return {name: without_nan(item) for name, item in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(item) for item in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def with_nan(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Returns numbers by name as they were before `without_nan`, with nan for None."""
    return {name: math.nan if number is None else number for name, number in numbers.items()}


def setting_path(text: str) -> str:
    """Returns the path of a setting as experiments spell it, `optimizer.learning_rate`, however it was typed.

    Words may be joined by `-` or `_` on the command line, in axes, in files and in Python alike.
    """
    return text.strip().replace("-", "_")


def kebab(name: str) -> str:
    """Writes a class's name in kebab case: `WarmupCosine` as `warmup-cosine`, `MLPEncoder` as `mlp-encoder`."""
    out = ""
    for index, letter in enumerate(name):
        after = name[index + 1 : index + 2]
        starts_word = letter.isupper() and index > 0 and (name[index - 1].islower() or after.islower())
        out += ("-" if starts_word else "") + letter.lower()
    return out


def short_paths(paths: Sequence[str], least: int = 1) -> list[str]:
    """Shortens each path to its last names, as many as tell it from the other paths, and `least` where it has them."""
    names = []
    for path in paths:
        parts = path.split(".")
        ends = (".".join(parts[-count:]) for count in range(min(least, len(parts)), len(parts) + 1))
        names.append(next(end for end in ends if sum(f".{other}".endswith(f".{end}") for other in paths) == 1))
    return names


def first_sentence(text: str | None) -> str:
    """Returns the first sentence of a text, such as a docstring, on one line; an empty text of None."""
    paragraph = " ".join((text or "").strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", paragraph, maxsplit=1)[0]
