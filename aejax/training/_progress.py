"""Shows the progress of a training run on standard error."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

from aejax.experiment import Experiment


class Progress:
    """Shows epochs done, loss, examples per second and time left on standard error; nothing unless `shown`."""

    def __init__(self, experiment: Experiment, history: list[dict[str, Any]], shown: bool) -> None:
        """Makes a bar over the epochs of an experiment, from the last one in `history` on."""
        self.bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            disable=not shown,
        )
        done = history[-1]["epoch"] if history else 0
        self.task = self.bar.add_task(experiment.name, total=experiment.epochs, completed=done, status="compiling")

    def __enter__(self) -> Self:
        """Starts drawing the bar."""
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stops drawing, and leaves the bar on the screen."""
        self.bar.stop()

    def show(self, rows: list[dict[str, Any]]) -> None:
        """Shows an epoch by its rows: the losses of train and validation, and examples per second."""
        losses = " / ".join(f"{row['loss_nats']:.2f}" for row in rows)
        status = f"loss {losses} nats  {rows[0]['examples_per_second']:,.0f}/s"
        self.bar.update(self.task, completed=rows[0]["epoch"], status=status)
