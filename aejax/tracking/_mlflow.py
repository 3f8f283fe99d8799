"""Sends runs to MLflow."""

import logging
import os
import time
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from aejax.core import import_extra
from aejax.runs.listing import ListedRun
from aejax.runs.metric_log import scalars
from aejax.runs.status import State
from aejax.tracking.tracker import Opened

MOST = 500
"""Largest number of values in one call: MLflow takes 1,000 metrics, and 100 settings."""

_STATUS = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "running": "RUNNING"}


class MLflow:
    """Sends a run to the MLflow that MLFLOW_TRACKING_URI names: a server, or by default `mlflow.db` in this folder.

    Settings are parameters, those that a resumed run has changed are tags of the same name, and experiment.json and
    figures are artifacts.
    """

    name = "mlflow"

    def __init__(self, experiment: str | None = None) -> None:
        """Names the experiment of MLflow; None: that of MLFLOW_EXPERIMENT_NAME, or else aejax."""
        self.experiment = experiment

    def check(self) -> None:
        """Raises `InputError` where MLflow, or what it keeps runs on this machine with, is not installed."""
        for package in ("mlflow", "sqlalchemy", "alembic"):
            import_extra(package, "mlflow")

    def open(self, run: ListedRun, id: str | None) -> Opened:
        """Begins a run of MLflow, or goes on with that of an id."""
        # Of itself it tries for minutes to reach a server, and says so each time.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        import mlflow

        self.client = mlflow.MlflowClient()
        notes = run.notes
        if id is None:
            name = self.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "aejax"
            known = self.client.get_experiment_by_name(name)
            group = known.experiment_id if known else self.client.create_experiment(name)
            id = self.client.create_run(group, run_name=notes.name or f"{run.entry}/{run.path.name}").info.run_id
        else:
            self.client.update_run(id, status="RUNNING")
        self.id = str(id)
        self._describe(run)
        last = {part: self._last_step(f"loss_nats/{part}") for part in ("train", "validation", "test")}
        return Opened(self.id, f"{mlflow.get_tracking_uri()}, run {self.id}", last)

    def _describe(self, run: ListedRun) -> None:
        """Sends settings, notes and provenance."""
        from mlflow.entities import Param, RunTag

        there = self.client.get_run(self.id).data.params
        settings = {path: str(value) for path, value in run.settings.items()}
        new = [Param(path, value) for path, value in settings.items() if path not in there]
        for start in range(0, len(new), 100):
            self.client.log_batch(self.id, params=new[start : start + 100])
        made = (run.content.get("provenance") or [{}])[-1]
        said = {"experiment": run.entry, "run": str(run.path.resolve()), "commit": made.get("commit")}
        for kind in ("versions", "hardware"):
            said |= {f"{kind}.{name}": text for name, text in made.get(kind, {}).items()}
        said |= {path: value for path, value in settings.items() if there.get(path, value) != value}
        said |= {"tags": " ".join(run.notes.tags), "mlflow.note.content": run.notes.note}
        self.client.log_batch(self.id, tags=[RunTag(name, str(text)) for name, text in said.items() if text])
        self.client.log_artifact(self.id, str(run.path / "experiment.json"))

    def _last_step(self, metric: str) -> int:
        return max((each.step for each in self.client.get_metric_history(self.id, metric)), default=-1)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows, several steps in a call where there are many."""
        from mlflow.entities import Metric

        now, waiting = int(time.time() * 1000), list[Metric]()
        for step, together in groupby(rows, key=itemgetter("step")):  # a step's rows are sent together or not at all
            numbers = [Metric(tag, x, now, step) for row in together for tag, x in scalars(row).items()]
            if len(waiting) + len(numbers) > MOST:
                self.client.log_batch(self.id, metrics=waiting)
                waiting = []
            waiting += numbers
        self.client.log_batch(self.id, metrics=waiting)

    def show(self, figures: Sequence[Path], step: int) -> None:
        """Adds figures as artifacts."""
        for path in figures:
            self.client.log_artifact(self.id, str(path), "figures")

    def close(self, state: State) -> None:
        """Says how the run stands."""
        self.client.set_terminated(self.id, _STATUS[state])
