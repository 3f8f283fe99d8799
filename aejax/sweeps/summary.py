"""Summarises a sweep's results: one row for each setting, with its seeds taken together."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import InputError, print_table, short_paths as short
from aejax.metrics import Better, direction, labelled, named_in
from aejax.runs import write_lines
from aejax.sweeps.store import Sweep

_log = logging.getLogger("aejax")

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class SummaryRow:
    """Holds the results of the seeds of one setting, which has a value for every axis but the seed."""

    settings: dict[str, Any]
    """The value of each axis, by path."""
    values: list[float]
    """The metric of each seed that has finished and has it."""
    failed: int
    """Number of seeds whose loss became non-finite, or whose metric is."""
    missing: int
    """Number of seeds that have no result yet."""

    @property
    def mean(self) -> float:
        """Returns the mean of the metric over the seeds that have it; nan without any."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def half_width(self) -> float:
        """Returns half the width of the mean's 95 % interval by Student's t; nan with fewer than two seeds."""
        from scipy import stats

        count = len(self.values)
        if count < 2:
            return math.nan
        return float(stats.t.ppf(0.975, count - 1) * np.std(self.values, ddof=1) / math.sqrt(count))


def part_of(sweep: Sweep) -> str:
    """Returns the part of the data on which settings are compared: validation, or test where nothing was held out."""
    return "validation" if any("validation" in result.metrics for result in sweep.results().values()) else "test"


def is_ranked(part: str) -> bool:
    """Tells whether settings are ordered by their metric on a part of the data: not on test, which chooses nothing."""
    return part != "test"


def direction_in(sweep: Sweep, metric: str, given: Better | None = None) -> Better:
    """Returns which values of a metric of a sweep are better.

    Args:
        sweep: the sweep, whose losses' terms are metrics too.
        metric: the metric.
        given: what the user says; None: what the metric's declaration says.

    Raises:
        InputError: where neither says it.
    """
    terms = {name for trial in sweep.trials for name in trial.experiment.loss.terms}
    return direction(metric, terms, given)


def warn_of_weights(sweep: Sweep, metric: str) -> None:
    """Warns where a sweep is compared by a loss whose own settings vary over it, so that its values differ in meaning.

    A lower weight alone makes the loss lower.
    """
    settings = [trial.settings for trial in sweep.trials]
    paths = {path for one in settings for path in one if path.startswith("loss")}
    varying = sorted(path for path in paths if len({str(one.get(path)) for one in settings}) > 1)
    if metric == "loss_nats" and varying:
        _log.warning(
            "loss_nats has another meaning at each %s: compare by a metric that has none of it in it, as --metric "
            "negative_elbo_nats of a variational model (measured with --measure-all) or squared_error",
            ", ".join(varying),
        )


def summarise(sweep: Sweep, metric: str, part: str, better: Better | None = None) -> list[SummaryRow]:
    """Returns a row for each setting, the best mean first.

    On the test part rows are in the plan's order, because nothing is to be chosen by it.

    Args:
        sweep: the sweep.
        metric: the metric to compare.
        part: the part of the data that it was measured on.
        better: which values are better; None: what the metric's declaration says.

    Raises:
        InputError: for a metric that no result has, and for one of which nobody says which values are better.
    """
    results = sweep.results()
    known = sorted({name for result in results.values() for name in result.metrics.get(part, {})})
    if named_in(metric, known) is None:
        raise InputError(
            f"no result in {sweep.folder} has the metric {metric!r} of {part}: it has {', '.join(known) or 'none'}"
        )
    better = direction_in(sweep, metric, better)
    rows: dict[str, SummaryRow] = {}
    for trial in sweep.trials:
        settings = {path: value for path, value in trial.settings.items() if path != "seed"}
        row = rows.setdefault(str(settings), SummaryRow(settings, [], 0, 0))
        result = results.get(trial.id)
        failed = result is not None and result.failed_at is not None
        measured = {} if result is None or failed else result.metrics.get(part, {})
        name = named_in(metric, measured)
        if name is not None and math.isfinite(measured[name]):
            row.values.append(measured[name])
        elif name is not None:
            failed = True
        rows[str(settings)] = SummaryRow(settings, row.values, row.failed + failed, row.missing + (result is None))
    if not is_ranked(part):
        return list(rows.values())
    sign = -1 if better == "higher" else 1
    return sorted(rows.values(), key=lambda row: (math.isnan(row.mean), sign * row.mean))


def show(rows: list[SummaryRow], metric: str, part: str, better: Better | None = None) -> None:
    """Prints the rows as a table, under a title with the settings that all of them share.

    Args:
        rows: the rows, as `summarise` returns them.
        metric: the metric of the rows.
        part: the part of the data that it was measured on.
        better: which values are better; None: what the metric's declaration says.
    """
    better = direction(metric, given=better)
    paths, heads = varied(rows), (f"{part} {labelled(metric, better)}", "±95%", "best", "seeds", "failed", "to do")
    choose, lines = max if better == "higher" else min, []
    for row in rows:
        numbers = (row.mean, row.half_width, choose(row.values, default=math.nan))
        counts = (len(row.values), row.failed, row.missing)
        settings = [text(row.settings[path]) for path in paths]
        lines.append([*settings, *(f"{number:.4g}" for number in numbers), *map(str, counts)])
    print_table([*short(paths), *heads], lines, fixed(rows))


def varied(rows: Sequence[SummaryRow]) -> list[str]:
    """Returns the paths of the axes whose values are not the same in all rows."""
    return [path for path in rows[0].settings if len({str(row.settings[path]) for row in rows}) > 1]


def fixed(rows: Sequence[SummaryRow]) -> str:
    """Returns the settings that all rows share, as one line `PATH=VALUE, ...`."""
    shared = {path: value for path, value in rows[0].settings.items() if path not in varied(rows)}
    return ", ".join(f"{path}={value}" for path, value in shared.items())


def export(sweep: Sweep, path: Path) -> None:
    """Writes one line for each trial to a .csv, .json or .parquet file: its settings, how it ended, and every metric.

    Raises `InputError` for another kind of file.
    """
    lines = []
    for trial in sweep.trials:
        result = sweep.result_of(trial)
        line = {"id": trial.id, **trial.settings}
        if result is not None:
            line |= {name: getattr(result, name) for name in ("failed_at", "stopped_after", "seconds")}
            line |= {f"{part}.{name}": value for part in PARTS for name, value in result.metrics.get(part, {}).items()}
        lines.append(line)
    write_lines(path, lines)


def text(value: Any) -> str:
    """Returns the value of a setting as it is shown: a float with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
