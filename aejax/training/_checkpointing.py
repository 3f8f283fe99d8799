"""Keeps a run on disk while it trains: its rows, and checkpoints of the newest state and of the best."""

import math
import threading
from collections.abc import Mapping
from typing import Any

from aejax.core import State
from aejax.devices import hosts
from aejax.runs import Checkpoints, Run, Saving, in_pieces, validation_losses


class CheckpointPolicy:
    """Observes a run: writes its rows, and checkpoints where they are due; does nothing without one.

    The states that it is given stay on the devices, and are copied to the host when they are saved.
    """

    def __init__(
        self,
        run: Run | None,
        checkpoints: Checkpoints | None,
        fitted: Mapping[str, Any],
        saving: Saving,
        steps_per_epoch: int,
    ) -> None:
        """Starts without any state: `begin` tells the first.

        Args:
            run: the run; None: no rows are written.
            checkpoints: where states are saved; None: nowhere. Where several processes have one, they save alike.
            fitted: what every checkpoint has beside the state, by the names of its parts.
            saving: when checkpoints are written, and which are kept.
            steps_per_epoch: the number of steps in an epoch.
        """
        self.run, self.checkpoints, self.fitted = run, checkpoints, fitted
        self.saving, self.steps_per_epoch = saving, steps_per_epoch
        self.state: State | None = None
        """The state at the last rows that are written: no later one may be saved."""
        self.step = 0
        """The step of the last rows that are written; 0 before the first."""
        self.best: State | None = None
        """The state with the least validation loss, while it is not on disk."""
        self.best_loss, self.best_step = _least([])
        self.saved_step = -1
        self._lock = threading.Lock()

    def begin(self, state: State | None, step: int, history: list[dict[str, Any]], save: bool) -> None:
        """Begins from a state.

        Args:
            state: the state to begin from; None without a run.
            step: the number of steps that it has made.
            history: the rows that led to it.
            save: write it now, because it is neither on disk nor easily made again.
        """
        self.state, self.step = state, step
        self.best_loss, self.best_step = hosts.told_by_first(_least(history))  # which alone knows the rows of before
        if save and self.checkpoints is not None:
            self.save()
            self.checkpoints.wait()
        self.saved_step = step

    def __call__(self, rows: list[dict[str, Any]], state: State) -> None:
        """Writes the rows that led to `state`, which may be saved from now on."""
        if self.run is not None:
            self.run.log(rows)
        if self.checkpoints is None:
            return
        with self._lock:
            self.state, self.step = state, rows[0]["step"]
            loss, step = _least(rows)
            if loss < self.best_loss:
                self.best, self.best_loss, self.best_step = state, loss, step

    def save_if_due(self, *, late: bool, last: bool) -> None:
        """Has the newest state and the best written where that is due.

        Args:
            late: whether it is due by time: then it is left out while the disk is still busy with the one before.
            last: whether the state is the run's last.
        """
        if self.checkpoints is None:
            return
        if last or self.saving.due(self.step, self.steps_per_epoch) or (late and not self._busy()):
            self.save()

    def _busy(self) -> bool:
        """Tells whether the disk is busy with the checkpoint before: on any host, where all save this one together."""
        checkpoints = self.checkpoints
        assert checkpoints is not None
        return bool(hosts.agreed(lambda: checkpoints.busy)()) if in_pieces(self.state) else checkpoints.busy

    def save(self) -> None:
        """Has the newest state and the best written, unless they are already, without waiting for it."""
        assert self.checkpoints is not None
        with self._lock:  # a request to stop may come from another thread while this one saves
            self.checkpoints.wait()
            for step, state in ((self.best_step, self.best), (self.step, self.state)):
                if step is not None and state is not None and step > self.saved_step:
                    content = {"state": state, **self.fitted}
                    self.checkpoints.save(step, content, self.saving.keep, self.best_step)
                    self.saved_step = step
            self.best = None

    def rescue(self) -> str:
        """Saves the state at the last rows, waits until it is on disk, and says what is kept."""
        if self.checkpoints is None:
            return "nothing is kept without a run directory"
        if self.step == 0:
            return "no epoch had been finished"
        self.save()
        self.checkpoints.wait()
        epoch, rest = divmod(self.step, self.steps_per_epoch)
        once = "" if self.step in self.checkpoints.steps() else " once every process has written its pieces"
        return f"{f'step {self.step}' if rest else f'epoch {epoch}'} is saved in {self.checkpoints.folder.parent}{once}"


def _least(rows: list[dict[str, Any]]) -> tuple[float, int | None]:
    """Returns the least validation loss among rows, and its step; infinity and None where there is none."""
    return min(((loss, step) for step, loss in validation_losses(rows).items()), default=(math.inf, None))
