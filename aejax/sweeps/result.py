"""Defines the result of a trial: how its training ended, and what its model measures."""

import math
from dataclasses import dataclass, field
from typing import Any, Self

from aejax.core import with_nan, without_nan
from aejax.metrics import named_in
from aejax.sweeps.plan import Trial
from aejax.training import Outcome

_PARTS = ("train", "validation", "test")
_OF_A_ROW = ("epoch", "step", "split", "seconds", "examples_per_second")
"""The entries of a row of metrics that are no metrics."""


@dataclass(frozen=True)
class Result:
    """Says what one trial came to."""

    id: str
    """The trial's id."""
    settings: dict[str, Any]
    """The values of the trial on the axes of its sweep, by path."""
    failed_at: int | None
    """The step, counted from 1, whose loss was not finite; None where the trial did not fail."""
    stopped_after: int | None
    """The epoch after which a selection dropped the trial; None where none did."""
    seconds: float
    """The seconds that training took, the trial's share of its group's."""
    metrics: dict[str, dict[str, float]]
    """The metrics of each part of the data (train, validation, test) at the end; none where the trial failed."""
    curves: dict[str, list[float]] = field(default_factory=dict)
    """The loss of each epoch in nats, by part of the data."""
    thumbnails: dict[str, Any] | None = None
    """Small pictures of what the model does, see `aejax.sweeps._thumbnails`."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """How the trial was trained: `members` that were claimed together, `resident_mb_a_member`, `worker`, `hardware`,
    `commit`, and `ended`, the date."""

    @classmethod
    def of(cls, trial: Trial, outcome: Outcome, measured: dict[str, dict[str, float]], **other: Any) -> Self:
        """Returns the result of a trial whose training has ended.

        Args:
            trial: the trial.
            outcome: the outcome of its training.
            measured: the metrics of validation and test.
            other: the fields `thumbnails` and `provenance`.
        """
        rows = outcome.trained.history
        last = {row["split"]: row for row in rows}
        ended = {part: {name: row[name] for name in row if name not in _OF_A_ROW} for part, row in last.items()}
        curves = {part: [row["loss_nats"] for row in rows if row["split"] == part] for part in last}
        seconds = sum(row.get("seconds", 0.0) for row in rows)
        ends = (outcome.failed_at, outcome.stopped_after, seconds)
        return cls(trial.id, trial.settings, *ends, metrics=ended | measured, curves=curves, **other)

    def value(self, metric: str, part: str) -> float | None:
        """Returns a metric of a part by either of its names (see `metrics.named_in`), or None where it has none."""
        measured = self.metrics.get(part, {})
        name = named_in(metric, measured)
        return None if name is None else measured[name]

    def to_json(self) -> dict[str, Any]:
        """Returns the content of the result's file, with None for each number that is not finite."""
        content = {
            "id": self.id,
            "settings": self.settings,
            "failed_at": self.failed_at,
            "stopped_after": self.stopped_after,
            "seconds": self.seconds,
            **self.metrics,
            "curves": self.curves,
            "strip": self.thumbnails,
            **self.provenance,
        }
        return without_nan(content)

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Reads the content of a result's file. Raises `ValueError` for content that is no result."""
        try:
            left = dict(content)
            named = {name: left.pop(name) for name in ("id", "settings", "failed_at", "stopped_after", "seconds")}
            metrics = {part: with_nan(left.pop(part)) for part in _PARTS if part in left}
            curves = {
                part: [math.nan if loss is None else loss for loss in curve]
                for part, curve in left.pop("curves", {}).items()
            }
            ends = [named[name] for name in ("failed_at", "stopped_after") if named[name] is not None]
            numbers = [*ends, named["seconds"], *(value for part in metrics.values() for value in part.values())]
            numbers += [value for curve in curves.values() for value in curve]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"it is no result of a trial ({error})") from None
        if not all(type(number) in (int, float) for number in numbers) or "test" not in metrics:
            raise ValueError("it is no result of a trial: a number is none, or test is missing")
        return cls(**named, metrics=metrics, curves=curves, thumbnails=left.pop("strip", None), provenance=left)
