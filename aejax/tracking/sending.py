"""Sends a run to trackers: while it trains, from a thread of its own, or afterwards from its folder."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aejax.core import InputError, Stopped, first_line, json_text, nearest
from aejax.runs import locked, no_run, write_atomically
from aejax.runs.files import read_object
from aejax.runs.listing import ListedRun, run_in
from aejax.runs.status import State
from aejax.tracking._mlflow import MLflow
from aejax.tracking._tensorboard import TensorBoard
from aejax.tracking._wandb import WandB
from aejax.tracking.tracker import Opened, Tracker

log = logging.getLogger("aejax")

SECONDS = 10.0
"""Seconds that trackers may take to send what is left of a run that was stopped or has failed."""

_KEPT = "tracking.json"

_KNOWN: dict[str, Callable[[], Tracker]] = {"wandb": WandB, "mlflow": MLflow}


class Tracking:
    """Observes a run and sends it to trackers; one that fails is left out with a warning, and never ends training.

    As a context it closes the tracked runs at its end. Their ids are kept in the run's `tracking.json`, and a run that
    is resumed goes on with them.
    """

    def __init__(
        self, track: Sequence[str | Tracker] = (), resumed: Path | None = None, *, warned: bool = True
    ) -> None:
        """Checks the trackers.

        Args:
            track: trackers, or the names wandb and mlflow.
            resumed: the folder of a run to resume, which goes on with the trackers that it was sent to.
            warned: warn of a tracker that fails; what it says is in `failed` in any case.

        Raises:
            InputError: for a name that is not known, and for a tracker that cannot be used.
        """
        self.trackers = [_tracker(each) for each in track]
        for tracker in self.trackers:
            tracker.check()
        self.trackers += [] if resumed is None else _trackers_of(resumed, {each.name for each in self.trackers})
        self.opened: dict[str, Opened] = {}
        self.failed: dict[str, str] = {}
        self.state: State = "stopped"
        self.warned = warned
        self._stack = ExitStack()
        self._waiting: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        """Does nothing yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Closes the tracked runs: waits until all is sent, and for `SECONDS` alone after a stop or an error."""
        if kind is not None:
            self.state = "stopped" if issubclass(kind, Stopped | KeyboardInterrupt) else "failed"
        with self._stack:
            if not self._thread.is_alive():
                return
            for tracker in self.trackers:
                if tracker.name in self.opened:
                    self._waiting.put(partial(self._attempt, tracker, tracker.close, self.state))
            self._waiting.put(None)
            self._thread.join(None if kind is None else SECONDS)
            if self._thread.is_alive():
                said = "not all of %s was sent: aejax track %s --to %s sends the rest"
                log.warning(said, self.path, self.path, " ".join(self.opened))

    def begin(self, path: Path, rows: Sequence[dict[str, Any]]) -> None:
        """Opens the tracked runs of the run in a folder, and sends the rows that they do not hold yet."""
        self.path = path
        if not self.trackers:
            return
        try:
            busy = f"another process sends {path} to its trackers: wait until it has ended"
            self._stack.enter_context(locked(path / "tracking.lock", refusal=busy))
            run, kept = _listed(path), read_object(path / _KEPT)
        except (OSError, InputError) as error:
            for tracker in self.trackers:
                self._leave_out(tracker, error)
            return
        for tracker in self.trackers:
            try:
                opened = tracker.open(run, _id_in(kept.get(tracker.name)))
                if opened.id is not None:
                    kept[tracker.name] = {"id": opened.id, "where": opened.where}
                    write_atomically(path / _KEPT, json_text(kept, indent=2))
                self.opened[tracker.name] = opened
            except Exception as error:  # whatever the library of a tracker raises
                self._leave_out(tracker, error)
        self._thread.start()
        self(rows, None)

    def __call__(self, rows: Sequence[dict[str, Any]], state: Any) -> None:
        """Has rows sent, without waiting for it."""
        for tracker in self._in_use():
            last = self.opened[tracker.name].last
            if new := [row for row in rows if row["step"] > last.get(row["split"], -1)]:
                self._waiting.put(partial(self._unless_failed, tracker, tracker.write, new))

    def finish(self) -> None:
        """Has the test metrics and the figures sent that are in the run's folder."""
        if not self._in_use():
            return
        run = _listed(self.path)
        self.state, step = run.state, run.value("step")
        test = {name.removeprefix("test."): x for name, x in run.metrics.items() if name.startswith("test.")}
        if test:
            self([{"epoch": run.value("epoch"), "step": step, "split": "test", **test}], None)
        figures = sorted((run.path / "figures").glob("*.png"))
        for tracker in self._in_use():
            self._waiting.put(partial(self._unless_failed, tracker, tracker.show, figures, step))

    def _in_use(self) -> list[Tracker]:
        return [each for each in self.trackers if each.name in self.opened and each.name not in self.failed]

    def _unless_failed(self, tracker: Tracker, method: Callable[..., object], *arguments: Any) -> None:
        if tracker.name not in self.failed:
            self._attempt(tracker, method, *arguments)

    def _attempt(self, tracker: Tracker, method: Callable[..., object], *arguments: Any) -> None:
        try:
            method(*arguments)
        except Exception as error:  # whatever the library of a tracker raises
            self._leave_out(tracker, error)

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            call()

    def _leave_out(self, tracker: Tracker, error: Exception) -> None:
        known = tracker.name in self.failed
        self.failed.setdefault(tracker.name, first_line(error))
        if self.warned and not known:
            said = "%s has failed (%s) and the run goes on without it: aejax track %s --to %s sends it later"
            log.warning(said, tracker.name, first_line(error), self.path, tracker.name)


def replay(path: str | Path, track: Sequence[str | Tracker]) -> dict[str, str]:
    """Sends the run in a folder to trackers: settings, all rows so far, and once it is done test metrics and figures.

    What a tracked run holds already is not sent again, so that the same call later sends the rest.

    Args:
        path: the folder of the run, which may be training.
        track: trackers, or the names wandb, mlflow and tensorboard.

    Returns:
        Where the tracked run is found, by the names of the trackers.

    Raises:
        InputError: where there is no run, another process sends it, or a tracker cannot be used or fails.
    """
    path = Path(path)
    run = _listed(path)
    with Tracking([TensorBoard() if each == "tensorboard" else each for each in track], warned=False) as tracking:
        tracking.begin(path, run.rows)
        tracking.finish()
    if tracking.failed:
        raise InputError("; ".join(f"{name} has failed ({said})" for name, said in tracking.failed.items()))
    return {name: opened.where for name, opened in tracking.opened.items()}


def _tracker(given: str | Tracker) -> Tracker:
    if not isinstance(given, str):
        return given
    if given not in _KNOWN:
        guess = nearest(given, _KNOWN) or f"give {' or '.join(_KNOWN)}"
        raise InputError(f"there is no tracker {given!r}: {guess}")
    return _KNOWN[given]()


def _trackers_of(run: Path, given: set[str]) -> list[Tracker]:
    """Returns the trackers that a run was sent to besides those given, and warns of those that cannot be used."""
    found = list[Tracker]()
    for name in read_object(run / _KEPT).keys() - given:
        try:
            tracker = _tracker(name)
            tracker.check()
            found.append(tracker)
        except InputError as error:
            log.warning("%s was sent to %s, and goes on without it: %s", run, name, error)
    return found


def _id_in(entry: Any) -> str | None:
    found = entry.get("id") if isinstance(entry, dict) else None
    return found if isinstance(found, str) else None


def _listed(path: Path) -> ListedRun:
    """Returns what the folder of a run says. Raises `InputError` where it is none."""
    run = run_in(path)
    if run is None:
        raise no_run(path)
    return run
