"""Writes a run's TensorBoard files again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aejax.core import InputError
from aejax.runs.listing import ListedRun
from aejax.runs.metric_log import TensorBoardMirror
from aejax.runs.status import State
from aejax.tracking.tracker import Opened


class TensorBoard:
    """Writes `tensorboard/` in the folder of a run anew; a run that trains writes it by itself."""

    name = "tensorboard"

    def check(self) -> None:
        """Does nothing: what it needs comes with aejax."""

    def open(self, run: ListedRun, id: str | None) -> Opened:
        """Removes what is there. Raises `InputError` while the run trains."""
        folder = run.path / "tensorboard"
        if run.state == "running":
            raise InputError(f"{run.path} is being trained, and writes {folder} itself")
        self.mirror = TensorBoardMirror(folder)
        self.mirror.clear()
        return Opened(None, str(folder))

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows of metrics to the files of TensorBoard."""
        self.mirror.write([*rows])

    def show(self, figures: Sequence[Path], step: int) -> None:
        """Adds figures, PNG files, to the files of TensorBoard."""
        self.mirror.show(figures, step)

    def close(self, state: State) -> None:
        """Closes the file that is written."""
        self.mirror.close()
