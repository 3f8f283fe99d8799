"""Sends runs to Weights & Biases."""

import os
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from aejax.core import InputError, import_extra
from aejax.runs.listing import ListedRun
from aejax.runs.metric_log import scalars
from aejax.runs.status import State
from aejax.tracking.tracker import Opened

SECONDS = 20.0
"""Seconds in which the server must have answered before training begins."""


class WandB:
    """Sends a run to Weights & Biases, as its own variables say: WANDB_MODE, WANDB_ENTITY, WANDB_BASE_URL and others.

    Metrics of test are in its summary, settings in its config. With WANDB_MODE=offline everything stays in `wandb/` of
    the run's folder, or in WANDB_DIR, until `wandb sync` sends it.
    """

    name = "wandb"

    def __init__(self, project: str | None = None) -> None:
        """Names the project; None: that of WANDB_PROJECT, or else aejax."""
        self.project = project

    def check(self) -> None:
        """Raises `InputError` where wandb is not installed, or is to send and nobody is logged in."""
        wandb = import_extra("wandb", "wandb")
        sends = wandb.setup().settings.mode in ("online", "shared")
        if sends and not wandb.login(prompt=False, verify=False):
            raise InputError(
                "wandb is not logged in: type `wandb login`, or set WANDB_MODE=offline to keep the run on this machine"
            )

    def open(self, run: ListedRun, id: str | None) -> Opened:
        """Begins a run of W&B, or goes on with that of an id."""
        import wandb

        content, notes = run.content, run.notes
        self.run = wandb.init(
            project=self.project or os.environ.get("WANDB_PROJECT") or "aejax",
            id=id,
            resume="allow",
            name=notes.name or f"{run.entry}/{run.path.name}",
            group=run.entry,
            tags=list(notes.tags) or None,
            notes=notes.note,
            config={**content["experiment"], "provenance": content.get("provenance"), "run": str(run.path.resolve())},
            allow_val_change=True,
            dir=None if "WANDB_DIR" in os.environ else str(run.path),
            reinit="create_new",
            settings=wandb.Settings(init_timeout=SECONDS, console="off"),
        )
        held = self.run.starting_step - 1  # of an earlier part that the server holds; offline it is sent whole
        where = self.run.url or str(Path(self.run.dir).resolve().parent)
        return Opened(self.run.id, where, {"train": held, "validation": held})

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows: those of one step are one step of W&B's."""
        self.run.summary.update({tag: x for row in rows if row["split"] == "test" for tag, x in scalars(row).items()})
        trained = [row for row in rows if row["split"] != "test"]
        for step, together in groupby(trained, key=itemgetter("step")):
            numbers = {tag: value for row in together for tag, value in scalars(row).items()}
            self.run.log(numbers, step=step)

    def show(self, figures: Sequence[Path], step: int) -> None:
        """Adds figures to the summary."""
        import wandb

        for path in figures:
            self.run.summary[f"figures/{path.stem}"] = wandb.Image(str(path))

    def close(self, state: State) -> None:
        """Ends the run, and waits until it is sent."""
        self.run.finish(exit_code=int(state == "failed"))
