"""Keeps a run on disk while it trains: its rows, and checkpoints of the newest state and of the best."""

import math
import time
from typing import Any

from aejax.core import State
from aejax.data import Preprocess
from aejax.runs import Run, Saving, validation_losses


class CheckpointPolicy:
    """Writes the rows of a run and, not too often, checkpoints; does nothing without a run."""

    def __init__(self, run: Run | None, preprocess: Preprocess, saving: Saving) -> None:
        """Starts without any state: `begin` tells the first."""
        self.run, self.preprocess, self.saving = run, preprocess, saving
        self.state: State | None = None
        """The state after the last epoch whose rows are written: no later one may be saved."""
        self.epoch = 0
        """The number of the last epoch whose rows are written; 0 before the first."""
        self.best: State | None = None
        """The state with the least validation loss, while it is not on disk."""
        self.best_loss, self.best_step = _least([])
        self.saved_at, self.saved_step = time.perf_counter(), -1

    def begin(self, state: State, history: list[dict[str, Any]], save: bool) -> None:
        """Begins from a state.

        Args:
            state: the state to begin from.
            history: the rows of the epochs that led to it.
            save: write it now, because it is neither on disk nor easily made again.
        """
        self.state = state
        self.epoch = history[-1]["epoch"] if history else 0
        self.best_loss, self.best_step = _least(history)
        if save and self.run is not None:
            self.save()
            self.run.checkpoints.wait()
        self.saved_step = int(state.step)

    def log(self, rows: list[dict[str, Any]], state: State) -> None:
        """Writes the rows of an epoch that led to `state`, which may be saved from now on."""
        if self.run is not None:
            self.run.log(rows)
        self.state, self.epoch = state, rows[0]["epoch"]
        loss, step = _least(rows)
        if loss < self.best_loss:
            self.best, self.best_loss, self.best_step = state, loss, step

    def keep(self, epoch: int, now: bool) -> None:
        """Has the newest state and the best written after an epoch, where that is due or must be `now`."""
        if self.run is None:
            return
        late = time.perf_counter() - self.saved_at >= self.saving.save_every
        if now or self.saving.due(epoch) or (late and not self.run.checkpoints.busy):
            self.save()

    def save(self) -> None:
        """Has the newest state and the best written, unless they are already, without waiting for it."""
        assert self.run is not None
        self.run.checkpoints.wait()
        for state in (self.best, self.state):
            if state is not None and int(state.step) != self.saved_step:
                self.saved_step = int(state.step)
                content = {"state": state, "preprocess": self.preprocess}
                self.run.checkpoints.save(self.saved_step, content, self.saving.keep, self.best_step)
        self.best, self.saved_at = None, time.perf_counter()

    def rescue(self) -> str:
        """Saves the state after the last whole epoch, waits until it is on disk, and says what is kept."""
        if self.run is None:
            return "nothing is kept without a run directory"
        if self.epoch == 0:
            return "no epoch had been finished"
        self.save()
        self.run.checkpoints.wait()
        return f"epoch {self.epoch} is saved in {self.run.path}"


def _least(rows: list[dict[str, Any]]) -> tuple[float, int | None]:
    """Returns the least validation loss among rows, and its step; infinity and None where there is none."""
    return min(((loss, step) for step, loss in validation_losses(rows).items()), default=(math.inf, None))
