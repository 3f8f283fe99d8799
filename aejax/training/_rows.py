"""Turns the metrics of windows into the rows of a run's log."""

import time
from typing import Any

from aejax.core import Metrics, means
from aejax.runs import record_duration
from aejax.training.engine import Window


class RowLog:
    """Makes the rows of windows, and reports how long each whole epoch took."""

    def __init__(self, start: int, steps_per_epoch: int, batch_size: int) -> None:
        """Starts the clock of the first row, at a number of steps."""
        self.steps_per_epoch, self.batch_size = steps_per_epoch, batch_size
        self.clock = time.perf_counter()
        self.epoch_began = None if start % steps_per_epoch else self.clock

    def rows(self, window: Window) -> list[dict[str, Any]]:
        """Returns the rows of a window, one for each part; it waits for the metrics."""
        rows, steps = rows_of(window, window.metrics), window.stop - window.start
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now
        if window.stop % self.steps_per_epoch == 0:
            if self.epoch_began is not None:
                record_duration("epoch", self.clock - self.epoch_began)
            self.epoch_began = self.clock
        rows[0] |= {"seconds": seconds, "examples_per_second": steps * self.batch_size / seconds}
        return rows


def rows_of(window: Window, metrics: dict[str, Metrics]) -> list[dict[str, Any]]:
    """Returns a row for each part, of a window's metrics or those of one member in it."""
    where = {"epoch": window.epoch, "step": window.stop}
    return [where | {"split": split} | means(part) for split, part in metrics.items()]
