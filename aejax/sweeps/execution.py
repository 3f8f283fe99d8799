"""Work on a sweep: groups of trials are claimed, trained as populations, measured and recorded."""

import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from aejax import training
from aejax.core import Examples
from aejax.data import load
from aejax.devices import peak_memory
from aejax.runs import hardware
from aejax.sweeps._thumbnails import thumbnails
from aejax.sweeps.claims import worker_name
from aejax.sweeps.plan import Trial
from aejax.sweeps.store import Result, Sweep
from aejax.trained import Trained
from aejax.training import Outcome, Selection

MeasureTrained = Callable[[Trained, Examples], dict[str, float]]


@dataclass(frozen=True)
class SweepEvents:
    """What a caller is told while a sweep runs; the default says nothing."""

    begun: Any = field(default=lambda trials: None)
    """Called with the trials of a group before they train."""
    epoch: Any = field(default=lambda members: None)
    """Called after each epoch of a group, with its number of members."""
    recorded: Any = field(default=lambda trial, content: None)
    """Called with each finished trial and its result."""


def run_sweep(
    sweep: Sweep,
    *,
    width: int = 32,
    shared_order: bool = False,
    selection: Selection | None = None,
    measure: MeasureTrained = Trained.evaluate,
    events: SweepEvents | None = None,
) -> None:
    """Claims, trains and records groups of trials until none is free.

    Args:
        sweep: the folder to work on; others may be at work on it too.
        width: at most so many trials are claimed at once; how many train side by side, `training.fit_each` decides.
        shared_order: see `training.fit_each`.
        selection: see `training.fit_each`; it compares trials that are claimed together.
        measure: what is measured of each trained model on validation and test, such as `evaluation.measure`.
        events: what is called on the way.
    """
    worker = worker_name()
    events = SweepEvents() if events is None else events
    training = sweep.folder / "training"
    options = {"shared_order": shared_order, "selection": selection, "on_epoch": events.epoch}
    options |= {"keep": training, "keep_thumbnails": True}
    while claimed := sweep.claim(worker, width):
        with sweep.touching(worker, claimed), closing(train_trials(claimed, worker, measure, **options)) as results:
            events.begun(claimed)
            for trial, content in results:
                if sweep.record(worker, trial, content):
                    events.recorded(trial, content)
    if len(sweep.finished()) == len(sweep.trials):
        shutil.rmtree(training, ignore_errors=True)


def train_trials(
    trials: Sequence[Trial], worker: str, measure: MeasureTrained, *, keep_thumbnails: bool = False, **options: Any
) -> Generator[tuple[Trial, Result], None, None]:
    """Trains trials of one structure with the options of `training.fit_each`, and yields what each came to.

    With `keep_thumbnails` a result has small pictures too, see `_thumbnails`.
    """
    dataset = load(trials[0].experiment.data)
    parts = {name: dataset.part(name) for name in ("validation", "test") if len(dataset.part(name))}
    experiments = [trial.experiment for trial in trials]
    # Closed however this ends, as nothing else refers to it: what is still in training stops and is kept.
    with closing(outcome for outcome in training.fit_each(experiments, dataset=dataset, **options)) as outcomes:
        for trial, outcome in zip(trials, outcomes, strict=True):
            content = {
                "id": trial.id,
                "settings": trial.settings,
                **_ending(outcome),
                **{name: {} if outcome.failed_at else measure(outcome.trained, part) for name, part in parts.items()},
                "strip": thumbnails(outcome.trained, dataset.test)
                if keep_thumbnails and not outcome.failed_at
                else None,
                "members": len(trials),
                "resident_mb_a_member": peak_memory() / 1e6 / len(trials),
                "worker": worker,
                "hardware": hardware(),
            }
            yield trial, content


def _ending(outcome: Outcome) -> Result:
    rows = outcome.trained.history
    last = {row["split"]: row for row in rows}
    names = ("epoch", "step", "split", "seconds")
    return {
        "failed_at": outcome.failed_at,
        "stopped_after": outcome.stopped_after,
        "seconds": sum(row.get("seconds", 0.0) for row in rows),
        **{split: {name: value for name, value in row.items() if name not in names} for split, row in last.items()},
        "curves": {split: [row["loss_nats"] for row in rows if row["split"] == split] for split in last},
    }
