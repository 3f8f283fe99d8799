"""Summarises a sweep's results: a row for each setting, with its seeds taken together, and a row for each trial."""

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import InputError, print_table, short_paths
from aejax.experiment import Experiment, with_imports
from aejax.metrics import Better, at_ceiling, direction, labelled, named_in
from aejax.runs import write_lines
from aejax.sweeps.objective import proposals, why_unranked
from aejax.sweeps.plan import Trial
from aejax.sweeps.result import Result
from aejax.sweeps.store import Sweep

_log = logging.getLogger("aejax")

_WHOLE = "at its last epoch"

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


@dataclass(frozen=True)
class TrialRow:
    """Says of one trial what a table of trials shows."""

    id: str
    """The trial's id, which it has in any sweep."""
    settings: dict[str, Any]
    """The value of each axis, by path."""
    validation: float | None
    """The metric on validation; None where it has none."""
    test: float | None
    """The metric on test; None where it has none."""
    kl_nats: float | None
    """The divergence of the posterior from the prior, on validation or else on test; None where it has none."""
    seconds: float | None
    """The trial's share of the time that training took; None before its end."""
    ended: str
    """How it ended: at its last epoch, early, by failing; or `to do`."""
    command: str | None
    """The command that trains it alone; None where no flags make it."""


@dataclass(frozen=True)
class Summary:
    """Holds a sweep's settings, compared by a metric of one part of the data."""

    sweep: Sweep
    """The sweep."""
    metric: str
    """The metric."""
    better: Better
    """Whether lower or higher values are better."""
    part: str
    """The part of the data that the metric was measured on."""
    rows: list[SummaryRow]
    """A row for each setting, the best mean first; in the plan's order where none is the best."""
    unranked: str | None = None
    """Why no setting is called the best; None where the first is."""

    def __repr__(self) -> str:
        """Returns what it is in a line: the sweep, and what its settings are compared by."""
        return f"Summary({self.sweep!r}, {len(self.rows)} settings by {self.part} {self.label})"

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: the best setting, and the table of all settings."""
        from aejax.sweeps import page  # here, as it shows summaries

        return page.in_a_notebook(self)

    @property
    def label(self) -> str:
        """The metric's name with an arrow that says which values are better."""
        return labelled(self.metric, self.better)

    @cached_property
    def examples(self) -> int | None:
        """The fewest examples of the part in any data set of the sweep; None where an older version counted none."""
        counts = [record.rows[self.part] for record in self.sweep.records.values() if self.part in record.rows]
        return min(counts, default=None)

    def at_ceiling(self, row: SummaryRow) -> bool:
        """Tells whether a setting's mean is near the most that the metric's estimate can be with so many examples."""
        return bool(self.examples and row.values and at_ceiling({self.metric: row.mean}, self.examples))

    def mean_text(self, row: SummaryRow) -> str:
        """Returns a setting's mean as it is shown, with ≥ where the truth may be anything above it."""
        return f"≥ {number(row.mean)}" if self.at_ceiling(row) else number(row.mean)

    @property
    def remark(self) -> str:
        """What is to be known of the settings whose mean is at the metric's ceiling; nothing where none is."""
        if not any(map(self.at_ceiling, self.rows)):
            return ""
        return f"≥: {self.examples} examples cannot show more {self.metric}, nor tell such settings apart"

    @property
    def best(self) -> SummaryRow | None:
        """The best setting; None where none may be called so, or none has the metric."""
        return self.rows[0] if self.unranked is None and self.rows[0].values else None

    @property
    def best_trial(self) -> Trial:
        """The best seed of the best setting. Raises `InputError` where nothing is the best."""
        if self.best is None:
            why = self.unranked or f"no trial has the metric {self.metric} of validation"
            raise InputError(f"no trial of {self.sweep.folder} is the best: {why}")
        results, sign = self.sweep.results(), -1 if self.better == "higher" else 1
        own = [trial for trial in self.sweep.trials if _without_seed(trial) == self.best.settings]
        values = {trial.id: _value(results.get(trial.id), self.metric, self.part) for trial in own}
        found = [trial for trial in own if values[trial.id] is not None]
        return min(found, key=lambda trial: sign * (values[trial.id] or 0.0))

    @cached_property
    def trials(self) -> list[TrialRow]:
        """A row for each trial, the best setting's first where there is one."""
        results, order = self.sweep.results(), [row.settings for row in self.rows]
        ordered = sorted(self.sweep.trials, key=lambda trial: order.index(_without_seed(trial)))
        return [self._row(trial, results.get(trial.id)) for trial in ordered]

    def _row(self, trial: Trial, result: Result | None) -> TrialRow:
        validation, test = (_value(result, self.metric, part) for part in ("validation", "test"))
        rates = (_value(result, "rate_nats", part) for part in ("validation", "test"))
        rate = next((rate for rate in rates if rate is not None), None)
        ended, seconds = "to do", None
        if result is not None:
            seconds, ended = result.seconds, _WHOLE
            if result.failed_at is not None:
                ended = f"failed at step {result.failed_at}"
            elif result.stopped_after is not None:
                ended = f"after epoch {result.stopped_after}"
        return TrialRow(trial.id, trial.settings, validation, test, rate, seconds, ended, trial.command)


def summarise(
    sweep: Sweep, metric: str | None = None, part: str | None = None, better: Better | None = None
) -> Summary:
    """Compares the settings of a sweep.

    On the test part nothing is called the best, because nothing is to be chosen by it; nor where the metric measures
    different things of different trials, as a loss whose weights vary.

    Args:
        sweep: the sweep.
        metric: the metric; None: the one by which the sweep was planned. Of a sweep of an older version, which planned
            none, the loss, or where that cannot compare its trials another one that was measured, which is said.
        part: the part of the data that it was measured on; None: validation, or test where nothing was held out.
        better: which values are better; None: what the metric's declaration says.

    Raises:
        InputError: before the first result, for a metric that no result has, and for one of which nobody says which
            values are better.
    """
    results, experiments = sweep.results(), [trial.experiment for trial in sweep.trials]
    if not results:
        raise InputError(_nothing_yet(sweep))
    if part is None:
        part = "validation" if any("validation" in result.metrics for result in results.values()) else "test"
    if metric is None:
        metric = _own_metric(sweep, experiments)
    if better is None and sweep.objective is not None and sweep.objective.metric == metric:
        better = sweep.objective.better
    known = sorted({name for result in results.values() for name in result.metrics.get(part, {})})
    if named_in(metric, known) is None and any(result.failed_at is None for result in results.values()):
        raise InputError(
            f"no result in {sweep.folder} has the metric {metric!r} of {part}: it has {', '.join(known) or 'none'}"
        )
    better = direction(metric, {term for each in experiments for term in each.loss.terms}, better)
    rows: dict[str, SummaryRow] = {}
    for trial in sweep.trials:
        settings, result = _without_seed(trial), results.get(trial.id)
        row = rows.setdefault(str(settings), SummaryRow(settings, [], 0, 0))
        value, failed = _value(result, metric, part), result is not None and result.failed_at is not None
        if value is not None:
            row.values.append(value)
        elif result is not None and result.value(metric, part) is not None:
            failed = True
        rows[str(settings)] = SummaryRow(settings, row.values, row.failed + failed, row.missing + (result is None))
    why = "nothing is chosen by the test part" if part == "test" else why_unranked(metric, experiments)
    if part == "test" and not any("validation" in result.metrics for result in results.values()):
        why = f"the data hold no validation part out, and {why}: give data.validation=0.1"
    if part == "train":
        why = "nothing is chosen by the part that was trained on"
    if why is not None:
        return Summary(sweep, metric, better, part, list(rows.values()), why)
    sign = -1 if better == "higher" else 1
    ordered = sorted(rows.values(), key=lambda row: (math.isnan(row.mean), sign * row.mean))
    return Summary(sweep, metric, better, part, ordered)


def _nothing_yet(sweep: Sweep) -> str:
    begun = next((entry["command"] for entry in reversed(sweep.made) if entry.get("command")), None)
    if not sweep.trials:
        return f"no trial of {sweep.folder} has ended yet: its search proposes and trains them"
    trains = f"`{begun}` trains them" if begun else "the command that began it trains them"
    return f"none of the {len(sweep.trials)} trials of {sweep.folder} has ended yet: {trains}"


def _own_metric(sweep: Sweep, experiments: Sequence[Experiment]) -> str:
    """Returns the metric by which a sweep was planned, or one that can compare its trials where it planned none."""
    if sweep.objective is not None or sweep.unranked is None:
        return sweep.metric
    results = sweep.results().values()
    fixed = [name for name in proposals(experiments) if any(result.value(name, "test") for result in results)]
    if not fixed:
        return sweep.metric
    _log.warning("%s: the settings are compared by %s (--metric shows another)", sweep.unranked, fixed[0])
    return fixed[0]


def _value(result: Result | None, metric: str, part: str) -> float | None:
    """Returns a metric of a trial that ended well, where it is finite."""
    value = None if result is None or result.failed_at is not None else result.value(metric, part)
    return value if value is not None and math.isfinite(value) else None


def _without_seed(trial: Trial) -> dict[str, Any]:
    return {path: value for path, value in trial.settings.items() if path != "seed"}


def show(summary: Summary) -> None:
    """Prints the settings as a table, and what is the best of them, or why nothing is."""
    rows, paths = summary.rows, varied(summary.rows)
    columns: dict[str, list[str]] = {
        name: [text(row.settings[path]) for row in rows] for name, path in zip(short(paths), paths, strict=True)
    }
    columns["mean"] = [summary.mean_text(row) for row in rows]
    if any(len(row.values) > 1 for row in rows):
        choose = max if summary.better == "higher" else min
        columns["±95%"] = [number(row.half_width) for row in rows]
        if summary.unranked is None:
            columns["best"] = [number(choose(row.values, default=math.nan)) for row in rows]
    columns["seeds"] = [str(len(row.values)) for row in rows]
    counts = {"failed": [row.failed for row in rows], "to do": [row.missing for row in rows]}
    columns |= {name: list(map(str, counted)) for name, counted in counts.items() if any(counted)}
    shared = fixed(rows)
    _print_columns(columns, f"{summary.part} {summary.label}, over seeds" + (f"\n{shared}" if shared else ""))
    if summary.remark:
        print(summary.remark)
    if summary.best is None:
        print(f"no setting is called the best: {summary.unranked or 'none has the metric yet'}")
        return
    show_best(summary)
    print(f"      {summary.best_trial.command or 'made in Python, so that no command trains it alone'}")
    again = with_imports(f"aejax sweep best {summary.sweep.folder}", summary.best_trial.experiment.name)
    print(f"      {again}")


def show_best(summary: Summary, remark: str = "") -> None:
    """Prints which trial is the best, by what, and a remark on it. Raises `InputError` where none is."""
    trial, best = summary.best_trial, summary.best
    assert best is not None
    said = [settings_text(trial.settings, [*varied(summary.rows), "seed"]), f"trial {trial.id}", remark]
    print(f"best by {summary.part} {summary.label} {number(best.mean)}: {', '.join(filter(None, said))}")


def show_trials(summary: Summary) -> None:
    """Prints a table of all trials, and below it the command that trains each alone."""
    trials, columns = summary.trials, trial_columns(summary)
    _print_columns(columns, f"trials, {summary.label}")
    for row in trials:
        if row.command is not None:
            print(f"{row.id}: {row.command}")


def trial_columns(summary: Summary) -> dict[str, list[str]]:
    """Returns the columns of a table of trials, by their heads; those that are empty are left out."""
    rows = summary.trials
    paths = varied(rows)
    columns: dict[str, list[str]] = {"trial": [row.id for row in rows]}
    columns |= {
        name: [text(row.settings[path]) for row in rows] for name, path in zip(short(paths), paths, strict=True)
    }
    numbers = {
        "validation": [row.validation for row in rows],
        "test": [row.test for row in rows],
        "KL (nats)": [row.kl_nats for row in rows],
        "seconds": [row.seconds for row in rows],
    }
    columns |= {
        name: list(map(number, values)) for name, values in numbers.items() if any(v is not None for v in values)
    }
    early = ["" if row.ended == _WHOLE else row.ended for row in rows]
    return columns | ({"ended": early} if any(early) else {})


def settings_text(settings: Mapping[str, Any], paths: Collection[str] | None = None) -> str:
    """Returns settings as one line, `PATH=VALUE, ...`: all, or those at the given paths."""
    chosen = {path: value for path, value in settings.items() if paths is None or path in paths}
    return ", ".join(f"{path}={text(value)}" for path, value in chosen.items())


def varied(rows: Sequence[SummaryRow] | Sequence[TrialRow]) -> list[str]:
    """Returns the paths of the axes whose values are not the same in all rows."""
    return [path for path in rows[0].settings if len({str(row.settings[path]) for row in rows}) > 1]


def fixed(rows: Sequence[SummaryRow]) -> str:
    """Returns the settings that all rows share, as one line `PATH=VALUE, ...`."""
    paths = varied(rows)
    return settings_text(rows[0].settings, [path for path in rows[0].settings if path not in paths])


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


def number(value: float | None) -> str:
    """Returns a number as it is shown, with four significant digits; nothing for one that is not there."""
    return "" if value is None or math.isnan(value) else f"{value:#.4g}".removesuffix(".")


def short(paths: Sequence[str]) -> list[str]:
    """Shortens each path to its last names: two, or as many as tell it from the other paths."""
    return short_paths(paths, least=2)


def _print_columns(columns: Mapping[str, Sequence[str]], title: str) -> None:
    print_table([*columns], list(zip(*columns.values(), strict=True)), title)
