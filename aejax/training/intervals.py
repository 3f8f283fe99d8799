"""Says how often a run logs its metrics and measures its validation part, and into which windows it is cut for that."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from aejax.core import InputError
from aejax.devices import hosts
from aejax.runs import Saving

_SHARE = 8
"""Number of pieces of training in the shortest interval in seconds, at least: something that is due waits for two."""

_FIRST = 32
"""Number of pieces of an epoch while nothing is known of a step's time and rows are wanted by the clock."""


class Stop(NamedTuple):
    """Names a step at which a piece of training ends, and what is due there."""

    step: int
    row: bool = True
    """Whether the metrics since the last row are read."""
    validate: bool = True
    """Whether the validation part is measured, for which there must be a row."""
    save: bool = False
    """Whether a checkpoint is due by time, for which there must be a row."""


@dataclass(frozen=True)
class Intervals:
    """Says how often metrics are logged and validation is measured; at the end of each epoch both are.

    What is due by time is done a little later, at the end of one of the pieces of an epoch that are trained at once.
    """

    log_steps: int | None = None
    """Number of steps after which a row of training metrics is written too."""
    log_seconds: float | None = None
    """Seconds after which a row of training metrics is written too."""
    validate_steps: int | None = None
    """Number of steps after which validation is measured too, with a row of training metrics."""
    validate_seconds: float | None = None
    """Seconds after which validation is measured too, with a row of training metrics."""

    def __post_init__(self) -> None:
        """Raises `InputError` for steps below 1, and for seconds that are not above 0."""
        for name in (field.name for field in fields(self)):
            number = getattr(self, name)
            if number is not None and not (number >= 1 if name.endswith("steps") else number > 0):
                least = "at least 1" if name.endswith("steps") else "a number above 0"
                raise InputError(f"{name} is {number}: give {least}")

    def stops(
        self, start: int, last: int, steps_per_epoch: int, saving: Saving, pace: Callable[[], float] = lambda: math.nan
    ) -> Iterator[Stop]:
        """Yields the steps at which pieces end, in order; several hosts take those of the first one's clock.

        Args:
            start: the number of steps that have been made.
            last: the number of steps of the whole run.
            steps_per_epoch: the number of steps in an epoch.
            saving: when checkpoints are due, each of which needs a row.
            pace: returns the number of seconds that a step takes, NaN while that is not known.
        """
        measured = [steps for steps in (steps_per_epoch, self.validate_steps) if steps]
        logged = [steps for steps in (self.log_steps, saving.save_steps) if steps]
        clocks = [_Clock(seconds) for seconds in (self.log_seconds, self.validate_seconds, saving.save_seconds)]
        while start < last:
            now = [*(clock.due() for clock in clocks), self._longest(steps_per_epoch, saving, pace())]
            log, validate, save, longest = hosts.from_first(np.asarray(now, np.int32)).tolist()
            cut = start + longest - start % steps_per_epoch % longest
            start = min(last, cut, *(start - start % steps + steps for steps in (*measured, *logged)))
            validate = validate or start == last or any(start % steps == 0 for steps in measured)
            row = validate or log or save or any(start % steps == 0 for steps in logged)
            yield Stop(start, bool(row), bool(validate), bool(save))

    def _longest(self, steps_per_epoch: int, saving: Saving, pace: float) -> int:
        """Returns how many steps may be trained at once: an epoch, or a part of it, where the clock decides."""
        rows = [seconds for seconds in (self.log_seconds, self.validate_seconds) if seconds]
        if math.isnan(pace):
            return -(-steps_per_epoch // _FIRST) if rows else steps_per_epoch
        shortest, length = min(filter(None, (*rows, saving.save_seconds)), default=math.inf), steps_per_epoch
        while length > 1 and length * pace > shortest / _SHARE:
            length = -(-length // 2)  # halves, so that few lengths are ever compiled
        return length


class _Clock:
    """Tells when an interval is over, from now on; one of None never is."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds, self.since = math.inf if seconds is None else seconds, time.monotonic()

    def due(self) -> bool:
        """Tells whether the interval is over; then the next one begins."""
        over = time.monotonic() - self.since >= self.seconds
        if over:
            self.since = time.monotonic()
        return over
