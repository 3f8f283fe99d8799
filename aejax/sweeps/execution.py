"""Works on a sweep: claims groups of trials, trains them as populations, measures and records them."""

import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from aejax import training
from aejax.core import BUFFER, Examples
from aejax.data import Dataset
from aejax.devices import peak_memory
from aejax.runs import hardware
from aejax.sweeps._thumbnails import thumbnails
from aejax.sweeps.claims import worker_name
from aejax.sweeps.plan import Trial
from aejax.sweeps.result import Result
from aejax.sweeps.store import Sweep
from aejax.trained import Trained
from aejax.training import Selection

MeasureTrained = Callable[[Trained, Examples], dict[str, float]]


@dataclass(frozen=True)
class SweepEvents:
    """Holds functions that are called while a sweep runs. By default they do nothing."""

    begun: Any = field(default=lambda trials: None)
    """Called with the trials of a group before they train."""
    epoch: Any = field(default=lambda members: None)
    """Called after each epoch of a group, with its number of members."""
    recorded: Any = field(default=lambda trial, result: None)
    """Called with each finished trial and its result."""


def run_sweep(
    sweep: Sweep,
    *,
    width: int = 32,
    shared_order: bool = False,
    selection: Selection | None = None,
    buffer: float = BUFFER,
    measure: MeasureTrained = Trained.evaluate,
    events: SweepEvents | None = None,
) -> None:
    """Claims, trains and records groups of trials until none is free.

    Args:
        sweep: the sweep to work on; other processes may be at work on it too.
        width: how many trials are claimed at once, at most; `training.fit_each` decides how many train side by side.
        shared_order: see `training.fit_each`.
        selection: see `training.fit_each`; it compares trials that are claimed together.
        buffer: gigabytes; packed data whose training part is larger is streamed from disk through as much memory.
        measure: measures each trained model on validation and test, as `evaluation.measure` does.
        events: functions to call on the way; None: none.
    """
    worker = worker_name()
    events = SweepEvents() if events is None else events
    training = sweep.folder / "training"
    options = {"shared_order": shared_order, "selection": selection, "on_epoch": events.epoch}
    options |= {"keep": training, "keep_thumbnails": True, "buffer": buffer}
    while claimed := sweep.claim(worker, width):
        with (
            sweep.touching(worker, claimed),
            closing(
                train_trials(claimed, sweep.dataset(claimed[0].experiment.data), worker, measure, **options)
            ) as results,
        ):
            events.begun(claimed)
            for trial, result in results:
                if sweep.record(worker, trial, result):
                    events.recorded(trial, result)
    if len(sweep.finished()) == len(sweep.trials):
        shutil.rmtree(training, ignore_errors=True)


def train_trials(
    trials: Sequence[Trial],
    dataset: Dataset,
    worker: str,
    measure: MeasureTrained,
    *,
    keep_thumbnails: bool = False,
    **options: Any,
) -> Generator[tuple[Trial, Result], None, None]:
    """Trains trials of one structure, and yields each with its result.

    Args:
        trials: the trials.
        dataset: their data.
        worker: the name of the worker, which the results say.
        measure: measures each trained model on validation and test.
        keep_thumbnails: add small pictures to the result of a model of images.
        options: those of `training.fit_each`.
    """
    parts = {name: dataset.part(name) for name in ("validation", "test") if len(dataset.part(name))}
    experiments = [trial.experiment for trial in trials]
    # The wrapped generator is closed however this one ends: what is still in training then stops and is kept.
    with closing(outcome for outcome in training.fit_each(experiments, dataset=dataset, **options)) as outcomes:
        for trial, outcome in zip(trials, outcomes, strict=True):
            trained, failed = outcome.trained, outcome.failed_at is not None
            measured = {name: {} if failed else measure(trained, part) for name, part in parts.items()}
            provenance = {
                "members": len(trials),
                "resident_mb_a_member": peak_memory() / 1e6 / len(trials),
                "worker": worker,
                "hardware": hardware(),
            }
            small = thumbnails(trained, dataset.test) if keep_thumbnails and not failed else None
            yield trial, Result.of(trial, outcome, measured, thumbnails=small, provenance=provenance)
