"""Shows the progress of a training run."""

from typing import Any

from aejax.core import Progress
from aejax.experiment import Experiment


class TrainingProgress(Progress):
    """Shows epochs or steps done, loss, examples per second and time left; nothing unless `shown`."""

    def __init__(self, experiment: Experiment, history: list[dict[str, Any]], last: int, shown: bool) -> None:
        """Makes a bar over a run.

        Args:
            experiment: the experiment, which counts in epochs or in steps.
            history: the rows of what is done.
            last: the number of steps of the whole run.
            shown: whether anything is drawn.
        """
        self.unit = "epoch" if experiment.steps is None else "step"
        done = history[-1][self.unit] if history else 0
        total = experiment.epochs if experiment.steps is None else last
        super().__init__(experiment.name, total, done, status="compiling", shown=shown)
        self.compiled = False

    def __call__(self, rows: list[dict[str, Any]], state: Any) -> None:
        """Shows how far training came by the last rows: the losses of train and validation, and examples per second.

        The time of the first rows has that of compiling in it: by ≥ the bar says that training itself is faster.
        """
        train, *others = rows
        losses = f"{_shown(train)} nats" + "".join(f", {row['split']} {_shown(row)}" for row in others)
        rate = f"{'' if self.compiled else '≥'}{train['examples_per_second']:,.0f}/s"
        self.update(train[self.unit], f"loss {losses}  {rate}")
        self.compiled = True


def _shown(row: dict[str, Any]) -> str:
    """Returns the loss of a row with two digits behind the point, or one where there are four before it."""
    loss = row["loss_nats"]
    return f"{loss:.2f}" if abs(loss) < 1000 else f"{loss:.1f}"
