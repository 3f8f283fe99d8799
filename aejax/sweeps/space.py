"""What a search may choose from: ranges of numbers, and lists of values."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aejax.core import InputError, import_extra
from aejax.sweeps import plan


@dataclass(frozen=True)
class Range:
    """The numbers between two ends, which are among them."""

    low: float
    high: float
    kind: Literal["lin", "log", "whole"] = "lin"
    """Searched on a straight scale, on a logarithmic one, or whole numbers alone."""


Space = Mapping[str, Range | Sequence[Any]]
"""What each setting may be, by its path as in `plan.Axes`: a range, or one of some values."""


def parse_search_axis(text: str) -> tuple[str, Range | list[Any]]:
    """One axis as it is typed: `1e-4:1e-2:log`, `0:1:lin` and `2..64` are ranges, all else values as in a grid.

    Raises `InputError` for what is neither.
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
    return plan.path_of(path), Range(ends[0], ends[1], kind)


def distribution(axis: Range | Sequence[Any]) -> Any:
    """An axis as Optuna has it."""
    distributions: Any = import_extra("optuna", "sweep").distributions
    if not isinstance(axis, Range):
        return distributions.CategoricalDistribution([_choice(value) for value in axis])
    if axis.kind == "whole":
        return distributions.IntDistribution(int(axis.low), int(axis.high))
    return distributions.FloatDistribution(axis.low, axis.high, log=axis.kind == "log")


def value_of(axis: Range | Sequence[Any], choice: Any) -> Any:
    """The value that Optuna has chosen from an axis."""
    return choice if isinstance(axis, Range) else next(value for value in axis if _choice(value) == choice)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _choice(value: Any) -> Any:
    """Optuna's categories are no lists."""
    return value if isinstance(value, bool | int | float | str | None) else json.dumps(value)
