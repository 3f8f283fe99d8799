"""Writes values as JSON text that any reader takes, and reads the numbers in it that are none."""

import json
import math
from collections.abc import Mapping
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
