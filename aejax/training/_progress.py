"""Shows the progress of a training run on standard error."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

from aejax.experiment import Experiment


class Progress:
    """Shows epochs or steps done, loss, examples per second and time left on standard error; nothing unless `shown`."""

    def __init__(self, experiment: Experiment, history: list[dict[str, Any]], last: int, shown: bool) -> None:
        """Makes a bar over a run.

        Args:
            experiment: the experiment, which counts in epochs or in steps.
            history: the rows of what is done.
            last: the number of steps of the whole run.
            shown: whether anything is drawn.
        """
        self.unit = "epoch" if experiment.steps is None else "step"
        self.bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            disable=not shown,
        )
        done = history[-1][self.unit] if history else 0
        total = experiment.epochs if experiment.steps is None else last
        self.task = self.bar.add_task(experiment.name, total=total, completed=done, status="compiling")
        self.compiled = False

    def __enter__(self) -> Self:
        """Starts drawing the bar."""
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stops drawing, and leaves the bar on the screen."""
        self.bar.stop()

    def __call__(self, rows: list[dict[str, Any]], state: Any) -> None:
        """Shows how far training came by the last rows: the losses of train and validation, and examples per second.

        The time of the first rows has that of compiling in it, and the bar says so.
        """
        losses = " / ".join(f"{row['loss_nats']:.2f}" for row in rows)
        status = f"loss {losses} nats  {rows[0]['examples_per_second']:,.0f}/s"
        status += "" if self.compiled else " with compiling"
        self.bar.update(self.task, completed=rows[0][self.unit], status=status)
        self.compiled = True
