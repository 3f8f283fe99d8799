"""Says how often a run logs its metrics and measures its validation part."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from aejax.core import InputError


class Stop(NamedTuple):
    """Names a step at which a window ends, and what is wanted there."""

    step: int
    validate: bool = True
    """Whether the validation part is measured."""


@dataclass(frozen=True)
class Intervals:
    """Says after how many steps metrics are logged and validation is measured; at the end of each epoch both are."""

    log_steps: int | None = None
    """Number of steps after which a row of training metrics is written too."""
    validate_steps: int | None = None
    """Number of steps after which validation is measured too, with a row of training metrics."""

    def __post_init__(self) -> None:
        """Raises `InputError` for a number below 1."""
        for name in ("log_steps", "validate_steps"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InputError(f"{name} is {number}: give at least 1")

    def stops(self, start: int, last: int, steps_per_epoch: int, save_steps: int | None) -> Iterator[Stop]:
        """Yields the steps at which something is due, in order.

        Args:
            start: the number of steps that have been made.
            last: the number of steps of the whole run.
            steps_per_epoch: the number of steps in an epoch.
            save_steps: the number of steps after which a checkpoint is due too, so that its step has a row.
        """
        validated = [steps_per_epoch, *([self.validate_steps] if self.validate_steps else [])]
        every = [*validated, *(steps for steps in (self.log_steps, save_steps) if steps)]
        while start < last:
            start = min(last, *(start - start % steps + steps for steps in every))
            yield Stop(start, validate=start == last or any(start % steps == 0 for steps in validated))
