"""Describes what a search may choose from: ranges of numbers, and lists of values."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aejax.core import InputError, import_extra, json_text, setting_path
from aejax.sweeps import plan


@dataclass(frozen=True)
class Range:
    """Holds a range of numbers, both ends included."""

    low: float
    """The lower end."""
    high: float
    """The upper end."""
    kind: Literal["lin", "log", "whole"] = "lin"
    """How the range is searched: on a linear scale, on a logarithmic one, or among whole numbers alone."""

    def __contains__(self, value: Any) -> bool:
        """Tells whether a number lies in the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high


Space = Mapping[str, Range | Sequence[Any]]
"""What each setting may be, by its path as in `plan.Axes`: a number in a range, or one of several values."""


def parse_search_axis(text: str) -> tuple[str, Range | list[Any]]:
    """Parses an axis of a search as it is typed, and returns its path and what its setting may be.

    `PATH=1e-4:1e-2:log`, `PATH=0:1:lin` and `PATH=2..64` are ranges; all else are values, as `parse_axis` reads them.
    Raises `InputError` for a text that is neither.
    """
    path, _, values = text.partition("=")
    kind: Any
    ends: tuple[float, float]
    if whole := re.fullmatch(r"(-?\d+)\.\.(-?\d+)", values):
        ends, kind = (int(whole[1]), int(whole[2])), "whole"
    elif values.count(":") == 2:
        low, high, kind = values.split(":")
        ends = _float(low), _float(high)
    else:
        return plan.parse_axis(text)
    least = 0.0 if kind == "log" else -math.inf
    if kind not in ("lin", "log", "whole") or not least < ends[0] < ends[1] < math.inf:
        raise InputError(
            f"{text!r} is no range: give LOW:HIGH:log with both ends above zero, LOW:HIGH:lin or LOW..HIGH, "
            "the lower end first"
        )
    return setting_path(path), Range(ends[0], ends[1], kind)


def distribution(axis: Range | Sequence[Any]) -> Any:
    """Returns Optuna's distribution for an axis."""
    distributions: Any = import_extra("optuna", "sweep").distributions
    if not isinstance(axis, Range):
        return distributions.CategoricalDistribution([_choice(value) for value in axis])
    if axis.kind == "whole":
        return distributions.IntDistribution(int(axis.low), int(axis.high))
    return distributions.FloatDistribution(axis.low, axis.high, log=axis.kind == "log")


def value_of(axis: Range | Sequence[Any], choice: Any) -> Any:
    """Returns the value of an axis that Optuna's choice stands for."""
    return choice if isinstance(axis, Range) else next(value for value in axis if _choice(value) == choice)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _choice(value: Any) -> Any:
    """Returns a value as Optuna's category: a list, which cannot be one, as JSON."""
    return value if isinstance(value, bool | int | float | str | None) else json_text(value)
