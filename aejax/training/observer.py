"""Says what watches training: an observer is called with the rows of metrics and the state that they led to."""

from typing import Any, Protocol


class Observer(Protocol):
    """Watches a run, a population or a sweep: it is called wherever rows of metrics are due.

    A run's own log with its checkpoints, and its progress bar, are observers; `aejax.fit(observers=...)` takes more.
    They are called one after the other, after the log; an exception that one raises ends training, and the checkpoints
    so far stay whole.
    """

    def __call__(self, rows: list[dict[str, Any]], state: Any, /) -> None:
        """Takes in rows and a state.

        Args:
            rows: a row for each part that was measured, training first, as they stand in `metrics.jsonl`. Those of a
                population have `member` too, the place of an experiment, and those of a sweep `trial`, the trial's id.
            state: the state after them: a copy on the devices that training leaves alone. Of a population it has the
                members of one group.
        """
