"""Works on a sweep: claims groups of trials, trains them as populations, measures and records them."""

import shutil
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from aejax import training
from aejax.core import BUFFER
from aejax.data import Dataset
from aejax.devices import peak_memory
from aejax.runs import commit, hardware
from aejax.sweeps import models
from aejax.sweeps._thumbnails import thumbnails
from aejax.sweeps.claims import worker_name
from aejax.sweeps.objective import MeasureTrained
from aejax.sweeps.plan import Trial
from aejax.sweeps.reading import Reader
from aejax.sweeps.result import Result
from aejax.sweeps.store import Sweep
from aejax.trained import Trained
from aejax.training import Observer, Selection


def run_sweep(
    sweep: Sweep,
    *,
    width: int = 32,
    shared_order: bool = False,
    selection: Selection | None = None,
    buffer: float = BUFFER,
    measure: MeasureTrained = Trained.evaluate,
    keep: int = 1,
    observers: Sequence[Observer] = (),
    read: Reader | None = None,
) -> None:
    """Claims, trains and records groups of trials until none is free.

    Args:
        sweep: the sweep to work on; other processes may be at work on it too.
        width: how many trials are claimed at once, at most; `training.fit_each` decides how many train side by side.
        shared_order: see `training.fit_each`.
        selection: see `training.fit_each`; it compares trials that are claimed together.
        buffer: gigabytes; packed data whose training part is larger is streamed from disk through as much memory.
        measure: measures each trained model on validation and test, as `evaluation.measure` does.
        keep: of how many of the best trials so far the trained state is kept, see `models`.
        observers: called after every epoch of a group with the rows of its trials, and for each finished trial with
            what was measured of validation and test; each row has the trial's id as `trial`.
        read: a `Reader` that may have the data already; None: one of its own.
    """
    worker, read = worker_name(), read or Reader()
    training = sweep.folder / "training"
    options: dict[str, Any] = {"shared_order": shared_order, "selection": selection, "observers": observers}
    options |= {"keep": training, "keep_thumbnails": True, "buffer": buffer}
    while claimed := sweep.claim(worker, width):
        dataset = sweep.dataset(claimed[0].experiment.data, read)
        with (
            sweep.touching(worker, claimed),
            closing(train_trials(claimed, dataset, worker, measure, **options)) as results,
        ):
            for trial, result, trained in results:
                if sweep.record(worker, trial, result):
                    models.keep_best(sweep, trial, trained, result, keep)
                    show_result(result, trained.state, observers)
    there = Sweep.open(sweep.folder)  # trials may have been added to it meanwhile
    if len(there.finished()) == len(there.trials):
        shutil.rmtree(training, ignore_errors=True)


def train_trials(
    trials: Sequence[Trial],
    dataset: Dataset,
    worker: str,
    measure: MeasureTrained,
    *,
    keep_thumbnails: bool = False,
    observers: Sequence[Observer] = (),
    **options: Any,
) -> Generator[tuple[Trial, Result, Trained], None, None]:
    """Trains trials of one structure, and yields each with its result and the trained model.

    Args:
        trials: the trials.
        dataset: their data.
        worker: the name of the worker, which the results say.
        measure: measures each trained model on validation and test.
        keep_thumbnails: add small pictures to the result of a model of images.
        observers: called after every epoch of a group with the rows of its trials.
        options: others of `training.fit_each`.
    """

    def observe(rows: list[dict[str, Any]], state: Any) -> None:
        named = [{"trial": trials[row["member"]].id, **row} for row in rows]
        for each in observers:
            each(named, state)

    options["observers"] = [observe]
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
                "commit": commit(),
                "ended": time.strftime("%Y-%m-%d %H:%M:%S"),
            }
            small = thumbnails(trained, dataset.test) if keep_thumbnails and not failed else None
            result = Result.of(trial, outcome, measured, thumbnails=small, provenance=provenance)
            yield trial, result, trained


def show_result(result: Result, state: Any, observers: Sequence[Observer]) -> None:
    """Shows observers what was measured of a trial on validation and test, and the state that it ended in."""
    measured = {split: metrics for split, metrics in result.metrics.items() if split != "train"}
    rows = [{"trial": result.id, "split": split, **metrics} for split, metrics in measured.items()]
    for observe in observers:
        observe(rows, state)
