"""Fits one experiment: trains it, measures what it has come to, and draws it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aejax.core import BUFFER, InputError
from aejax.data import Dataset, as_dataset
from aejax.devices import ALL_DEVICES, Parallel, hosts
from aejax.evaluation import SAMPLES, finish
from aejax.experiment import Experiment
from aejax.runs import Notes, Saving
from aejax.tracking import Tracker, Tracking
from aejax.trained import Trained
from aejax.training._beginning import data_of
from aejax.training.intervals import Intervals
from aejax.training.loop import train
from aejax.training.observer import Observer


def fit(
    experiment: Experiment,
    dataset: Any = None,
    *,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    params: Any = None,
    parallel: Parallel = ALL_DEVICES,
    saving: Saving | None = None,
    intervals: Intervals | None = None,
    patience: int | None = None,
    buffer: float = BUFFER,
    show_progress: bool = False,
    observers: Sequence[Observer] = (),
    figures: bool = True,
    samples: int = SAMPLES,
    name: str | None = None,
    tags: Sequence[str] = (),
    note: str | None = None,
    track: Sequence[str | Tracker] = (),
) -> Trained:
    """Trains an experiment and returns the trained model; with a folder, also measures it on test and draws it there.

    Args:
        experiment: what to train.
        dataset: in place of the one that `experiment.data` names: a `Dataset`, an array of examples, a data frame, or
            a pair of examples and labels; see `aejax.data.Dataset.of`.
        folder: where the run directory is made, as `folder/NAME/ID`; None: nothing is written.
        resume: a run directory to go on with instead; it ends with the same bits as if it had never stopped.
        params: to start from, in place of fresh ones; see `aejax.training.unroll`. A resumed run has its own.
        parallel: the devices that train it together, and how.
        saving: when checkpoints are written, and which are kept; None is `Saving()`.
        intervals: how often metrics are logged and validation is measured; None is `Intervals()`, once an epoch.
        patience: number of measurements of validation, one an epoch by default, without a lower loss after which
            training ends, with the state of the last one; None: it goes on to its last step.
        buffer: gigabytes; packed data whose training part is larger is streamed from disk through as much memory.
        show_progress: a progress bar with loss, examples per second and time left, and the test metrics as a table.
        observers: called with the rows and the state wherever rows are due; see `aejax.training.Observer`. Of several
            processes each calls its own.
        figures: draw the run's figures; result.json is written in any case.
        samples: the number of importance samples of each test example for a variational model's likelihood.
        name: what the run is called in `aejax runs`.
        tags: words by which the run is found there.
        note: a remark on the run, shown there.
        track: what the run is sent to: "wandb", "mlflow", or an `aejax.tracking.Tracker`. A run that is resumed goes on
            with the tracked runs that it has, also where they are not given again.

    Raises:
        InputError: for settings, data or a run that cannot be used, before any training.
        DivergedError: when a term is not finite; the last good state is kept.
        DiskError: when the run directory cannot be written any more; what was saved before is kept.
        Stopped: after Ctrl-C or SIGTERM, with a run directory: the last step that was dispatched is saved. Where it
            is not done within `stopping.GRACE` seconds of SIGTERM, the state at the last row of metrics is saved and
            the process ends with 143.
    """
    if track and folder is None and resume is None:
        raise InputError("track needs a folder= for the run: what trackers get is what lies there")
    with _tracking(track, resume) as tracking:
        if dataset is None:
            dataset = data_of(experiment, resume)
        elif not isinstance(dataset, Dataset):
            experiment = experiment.on_arrays()
            dataset = as_dataset(dataset, experiment.data)
        trained = train(
            experiment,
            dataset,
            folder=folder,
            resume=resume,
            params=params,
            parallel=parallel,
            saving=saving,
            intervals=intervals,
            patience=patience,
            buffer=buffer,
            show_progress=show_progress,
            observers=observers,
            notes=Notes(name, tuple(tags), note),
            tracking=tracking,
        )
        if trained.run is not None:
            finish(trained, dataset, samples, buffer=buffer, figures=figures, shown=show_progress)
            tracking.finish()
    return trained


def _tracking(track: Sequence[str | Tracker], resume: str | Path | None) -> Tracking:
    """Returns what sends the run to trackers: of several processes the first alone."""
    if not hosts.first():
        return Tracking()
    return Tracking(track, None if resume is None else Path(resume))
