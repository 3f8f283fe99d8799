"""Fits one experiment: trains it, measures what it has come to, and draws it."""

import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aejax.core import BUFFER, InputError, Stopped, is_interactive, is_notebook
from aejax.data import Dataset, as_dataset
from aejax.devices import ALL_DEVICES, Parallel, hosts
from aejax.evaluation import SAMPLES, finish
from aejax.experiment import Experiment, with_imports
from aejax.runs import Notes, Saving, in_pieces
from aejax.tracking import Tracker, Tracking
from aejax.trained import Trained
from aejax.training._beginning import data_of
from aejax.training.intervals import Intervals
from aejax.training.loop import train
from aejax.training.observer import Observer

log = logging.getLogger("aejax")


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
    show_progress: bool | None = None,
    observers: Sequence[Observer] = (),
    figures: bool = True,
    samples: int = SAMPLES,
    generation: bool = False,
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
        show_progress: a progress bar with loss, examples per second and time left, and the test metrics as a table;
            None: in a notebook.
        observers: called with the rows and the state wherever rows are due; see `aejax.training.Observer`. Of several
            processes each calls its own.
        figures: draw the run's figures; result.json is written in any case.
        samples: the number of importance samples of each test example for a variational model's likelihood.
        generation: also generate 10,000 examples, and measure how far they are from as many of test: see `aejax
            metrics fd_{features}`. It takes half a minute more, and a minute where the features are made first.
        name: what the run is called in `aejax runs`.
        tags: words by which the run is found there.
        note: a remark on the run, shown there.
        track: what the run is sent to: "wandb", "mlflow", or an `aejax.tracking.Tracker`. A run that is resumed goes on
            with the tracked runs that it has, also where they are not given again.

    Raises:
        InputError: for settings, data or a run that cannot be used, before any training.
        DivergedError: when a term is not finite; the last good state is kept.
        DiskError: when the run directory cannot be written any more; what was saved before is kept.
        Stopped: after Ctrl-C in a script, and with a run directory after SIGTERM: the model at the last row of
            metrics, by default after the last whole epoch, is its `trained`, and saved in the run directory. Where that
            is not done within `stopping.GRACE` seconds of SIGTERM, the state is saved and the process ends with 143.

    In a notebook or another interactive session an interrupt returns that model in place of raising, and a line says
    how to go on.
    """
    if track and folder is None and resume is None:
        raise InputError("track needs a folder= for the run: what trackers get is what lies there")
    shown = is_notebook() if show_progress is None else show_progress
    with _tracking(track, resume) as tracking:
        if dataset is None:
            dataset = data_of(experiment, resume)
        elif not isinstance(dataset, Dataset):
            experiment = experiment.on_arrays()
            dataset = as_dataset(dataset, experiment.data)
        try:
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
                show_progress=shown,
                observers=observers,
                notes=Notes(name, tuple(tags), note),
                tracking=tracking,
            )
        except Stopped as stopped:
            if stopped.trained is None or stopped.number != signal.SIGINT or not is_interactive():
                raise
            return _left(stopped.trained)
        if trained.run is not None and in_pieces(trained.state):
            again = with_imports(f"aejax train {experiment.name} --resume {trained.run.path}", experiment.name)
            log.warning("its layers lie on several hosts: %s in one process measures and draws", again)
        elif trained.run is not None:
            try:
                finish(trained, dataset, samples, buffer=buffer, figures=figures, generation=generation, shown=shown)
                tracking.finish()
            except KeyboardInterrupt:
                if not is_interactive():
                    raise
                return _left(trained)
    return trained


def _left(trained: Trained) -> Trained:
    """Returns what was trained before an interrupt, and says what it is and how to go on."""
    experiment, last = trained.experiment, trained.history[-1]
    total = "" if experiment.steps is not None else f" of {experiment.epochs}"
    where = f"after step {last['step']:,}, epoch {last['epoch']}{total}"
    if trained.run is None:
        how = "the same call with params=trained.state.params trains on from its parameters"
    else:
        how = f"the same call with resume={str(trained.run.path)!r} in place of folder= goes on with the same bits"
    log.warning("interrupted: this is the model %s; %s", where, how)
    return trained


def _tracking(track: Sequence[str | Tracker], resume: str | Path | None) -> Tracking:
    """Returns what sends the run to trackers: of several processes the first alone."""
    if not hosts.first():
        return Tracking()
    return Tracking(track, None if resume is None else Path(resume))
