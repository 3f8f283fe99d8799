"""Holds `aejax runs`: lists and compares the runs of a folder, without JAX."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from tyro.conf import Positional

from aejax.cli._common import check_out
from aejax.core import InputError


@dataclass(frozen=True)
class RunsCommand:
    """Lists and compares runs: what differs from the registered experiment, metrics, time, and how each run stands.

    A column is the path of a setting (optimizer.learning-rate), a metric (loss_nats, test.squared_error), or one of
    run, entry, name, tags, note, state, error, begun, epoch, step, seconds. A metric of validation is that of the
    last measurement; test metrics are those of runs that are done.
    """

    folder: Positional[Path] = Path("runs")
    """A folder with runs in it, at any depth; or one run, for which all that is known is shown."""
    tag: tuple[str, ...] = ()
    """Only runs that have all these tags."""
    state: Literal["running", "done", "stopped", "failed"] | None = None
    """Only runs that stand so."""
    where: tuple[str, ...] = ()
    """Only runs that meet these conditions: COLUMN=VALUE, or in quotes with !=, <, <=, > or >=, as 'epochs>=20'."""
    metric: str = "loss_nats"
    """The metric to show, of validation and of test."""
    columns: tuple[str, ...] = ()
    """More columns to show."""
    sort: str = "begun"
    """The column by which runs are ordered, the lowest value first."""
    reverse: tyro.conf.FlagCreatePairsOff[bool] = False
    """The highest value first."""
    out: Path | None = None
    """Also write all columns of these runs to a .csv, .json or .parquet file."""

    def __call__(self) -> None:
        """Prints a row for each run, and writes the file that is asked for."""
        from aejax.runs import lines, listing

        if self.out is not None:
            check_out(self.out, lines.ENDS)
        found = listing.find_runs(self.folder)
        if not found:
            raise InputError(f"{self.folder} holds no runs: give a folder that `aejax train --out` has written to")
        runs = listing.select(found, self.where, self.tag)
        runs = [run for run in runs if self.state in (None, run.state)]
        shown = [self.metric] if any(run.metrics for run in found) else []
        listing.require_columns(found, [*shown, *self.columns, self.sort])
        runs = listing.ordered(runs, self.sort, self.reverse)
        if self.out is not None:
            lines.write_lines(self.out, listing.as_lines(runs))
        if not runs:
            print(f"none of {len(found)} runs")
        elif found[0].path == self.folder:
            _show_one(runs[0])
        else:
            self._show(runs)
            print(f"{len(runs)} of {len(found)} runs")
        if self.out is not None:
            print(self.out)

    def _show(self, runs: list[Any]) -> None:
        from aejax.core import print_table
        from aejax.metrics import describe, labelled
        from aejax.runs import listing

        known = describe(self.metric.rpartition(".")[2])
        label = labelled(self.metric, None if known is None else known.better)
        part, _, _ = self.metric.rpartition(".")
        shared, differing = listing.differences(runs)
        paths = [str(run.path.relative_to(self.folder)) for run in runs]
        columns = {
            "run": paths,
            "name": [run.notes.name or "" for run in runs],
            "tags": [" ".join(run.notes.tags) for run in runs],
            "state": [run.state for run in runs],
            **({} if part else {f"{p} {label}": _cells(runs, f"{p}.{self.metric}") for p in ("validation", "test")}),
            **({label: _cells(runs, self.metric)} if part else {}),
            **{column: _cells(runs, column) for column in self.columns},
            "time": [_time(run.seconds) for run in runs],
            "differs": differing,
        }
        columns = {head: cells for head, cells in columns.items() if any(cells)}
        title = f"all with {shared}" if shared else None
        print_table([*columns], [*zip(*columns.values(), strict=True)], title)
        for path, run in zip(paths, runs, strict=True):
            for said in (run.error, run.notes.note):
                if said:
                    print(f"{path}: {said}")


@dataclass(frozen=True)
class RunsNoteCommand:
    """Names, tags or annotates a run, for `aejax runs`; also while it trains."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""
    name: str | None = None
    """What the run is called from now on."""
    tag: tuple[str, ...] = ()
    """Tags that it gets besides those it has."""
    note: str | None = None
    """A remark, in place of the one before."""

    def __call__(self) -> None:
        """Writes what is given beside what was said before, and prints all of it."""
        from aejax.core import print_table
        from aejax.runs import Notes, add_notes, listing, no_run, read_notes

        if listing.run_in(self.run) is None:
            raise no_run(self.run)
        add_notes(self.run, Notes(self.name, self.tag, self.note))
        notes = read_notes(self.run)
        rows = [("name", notes.name or ""), ("tags", " ".join(notes.tags)), ("note", notes.note or "")]
        print_table(("", self.run.name), rows)


@dataclass(frozen=True)
class TrackCommand:
    """Sends a run to trackers: its settings, all rows of metrics so far, and once it is done test metrics and figures.

    What a tracked run holds already is not sent again, so that of a run in training the same command later sends the
    rest. Where runs go is what the trackers' own variables say, as WANDB_PROJECT, WANDB_MODE=offline,
    MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME; by default it is the project or experiment aejax. `aejax train
    --track` sends a run while it trains.
    """

    run: Positional[Path]
    """A run directory, runs/NAME/ID."""
    to: tuple[Literal["wandb", "mlflow", "tensorboard"], ...]
    """The trackers; tensorboard writes the folder of that name in the run directory anew."""

    def __call__(self) -> None:
        """Sends the run, and prints where it is found."""
        from aejax.tracking import replay

        for name, where in replay(self.run, self.to).items():
            print(f"{name}: {where}")


def _cells(runs: list[Any], column: str) -> list[str]:
    return [run.shown(column) for run in runs]


def _show_one(run: Any) -> None:
    from aejax.core import print_table
    from aejax.runs.listing import OWN, shown

    rows = [(name, shown(run.value(name))) for name in OWN] + [(name, run.shown(name)) for name in run.metrics]
    rows += [(path, shown(value)) for path, value in run.settings.items()]
    print_table(("", run.path.name), [row for row in rows if row[1]])


def _time(seconds: float) -> str:
    """Returns a time in the unit in which it is read at once."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
