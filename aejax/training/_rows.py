"""Turns the metrics of windows into the rows of a run's log."""

import time
from typing import Any

from aejax.core import means
from aejax.runs import record_duration
from aejax.training.engine import Window


class RowLog:
    """Makes the rows of windows, and reports how long each epoch took."""

    def __init__(self, steps_per_epoch: int, batch_size: int) -> None:
        """Starts the clock of the first row."""
        self.steps_per_epoch, self.batch_size = steps_per_epoch, batch_size
        self.clock = time.perf_counter()
        self.epoch_steps, self.epoch_seconds = 0, 0.0

    def rows(self, window: Window) -> list[dict[str, Any]]:
        """Returns the rows of a window, one for each part; it waits for the metrics."""
        metrics, steps = window.metrics, window.stop - window.start
        seconds, self.clock = time.perf_counter() - self.clock, time.perf_counter()
        self._add_to_epoch(window.stop, steps, seconds)
        where = {"epoch": -(-window.stop // self.steps_per_epoch), "step": window.stop}
        rows = [where | {"split": split} | means(part) for split, part in metrics.items()]
        rows[0] |= {"seconds": seconds, "examples_per_second": steps * self.batch_size / seconds}
        return rows

    def _add_to_epoch(self, stop: int, steps: int, seconds: float) -> None:
        """Adds to the time of the present epoch, and reports it where a whole epoch ends."""
        self.epoch_steps, self.epoch_seconds = self.epoch_steps + steps, self.epoch_seconds + seconds
        if stop % self.steps_per_epoch == 0:
            if self.epoch_steps == self.steps_per_epoch:
                record_duration("epoch", self.epoch_seconds)
            self.epoch_steps, self.epoch_seconds = 0, 0.0
