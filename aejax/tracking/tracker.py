"""Says what a tracker is: what a run that is sent somewhere asks of the place."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from aejax.runs.listing import ListedRun
from aejax.runs.status import State

NOTHING: Mapping[str, int] = MappingProxyType({})


class Opened(NamedTuple):
    """Holds what a tracker says of the tracked run that it has opened."""

    id: str | None
    """By which it is opened again; None: it cannot be."""
    where: str
    """Where a user finds it: an address or a folder."""
    last: Mapping[str, int] = NOTHING
    """The last step of each part (train, validation, test) that it holds: rows up to there are not sent again."""


class Tracker(Protocol):
    """Takes what a run leaves in its folder: settings, rows of metrics, figures.

    Its methods may raise anything: the tracker is then left out, with one warning, and training goes on. All but
    `check` and `open` are called in a thread of their own, one after the other: training never waits for them.
    """

    name: str
    """What it is called in messages, and in the run's `tracking.json`."""

    def check(self) -> None:
        """Raises `InputError` where it is known that it cannot be used, as where its package is not installed."""

    def open(self, run: ListedRun, id: str | None) -> Opened:
        """Begins a tracked run with the settings and the provenance of a run.

        Args:
            run: what the folder of the run says: its path, settings, notes and rows.
            id: the tracked run to go on with, as an earlier call returned it; None: a new one.
        """

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows of metrics, as they stand in `metrics.jsonl`; those of the part `test` come last."""

    def show(self, figures: Sequence[Path], step: int) -> None:
        """Adds figures, PNG files, that were drawn after a step."""

    def close(self, state: State) -> None:
        """Ends the tracked run, which stands so, even after a failure: what was written is sent before it returns."""
