"""Says from what a run begins: its data, its folder, and its first state, fresh or resumed."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np

from aejax import core
from aejax.core import InputError, as_arrays, named_leaves
from aejax.data import NO_RECORD, UNKNOWN, DataRecord, Dataset, load, load_again, require_same
from aejax.devices import Parallel, Program, hosts
from aejax.experiment import Experiment, differences
from aejax.runs import FRESH, Checkpoints, Notes, Run, add_notes
from aejax.training._priming import priming_examples

log = logging.getLogger("aejax")

_REMEDY = "with that (--data PATH, if it lies elsewhere now), or train a new run"


def data_of(experiment: Experiment, resume: str | Path | None = None) -> Dataset:
    """Loads the data of an experiment, or of a run to resume, whose data lie where they lay when it began.

    Raises `InputError` where they cannot be read, or are not those that the run was trained on.
    """
    run = None if resume is None else Run(Path(resume))
    if run is None:
        return load(experiment.data)
    if run.experiment.data.name != experiment.data.name:
        return load(experiment.data, known=UNKNOWN if run.data is None else run.data.schema)
    return load_again(experiment.data, run.data, remedy=f"resume {run.path} {_REMEDY}")


def windowed_before(resume: str | Path | None) -> bool | None:
    """Tells whether a run to resume has its examples shuffled within windows: None where there is none that says so.

    Every process must call it.
    """
    return hosts.told_by_first(Run(Path(resume)).windowed if resume is not None and hosts.first() else None)


def opened(
    experiment: Experiment,
    dataset: Dataset,
    record: DataRecord,
    windowed: bool,
    folder: Any,
    resume: Any,
    params: Any,
    notes: Notes,
) -> Run | None:
    """Opens the run: a new one in a folder, or one to resume, once its settings and its data are found to be the same.

    `windowed` says whether its examples are shuffled within windows.

    Raises `InputError` where a run cannot be made there, or cannot be resumed so.
    """
    if not hosts.first() or (folder is None and resume is None):  # the first process reads and writes for all
        return None
    steps_per_epoch = len(dataset.train) // experiment.batch_size
    if resume is None:
        facts = (experiment, dataset.shape, steps_per_epoch, params, record)
        return Run.create(Path(folder), *facts, windowed=windowed, notes=notes)
    run = Run(Path(resume))
    changed = differences(run.experiment, experiment)
    # More epochs or steps only lengthen a run, and data may be moved; anything else would make it another experiment.
    free = {"epochs", "steps"} | (set() if run.data is None else {"data.name"})
    if set(changed) - free:
        said = "; ".join(f"{name} {old!r}, not {new!r}" for name, (old, new) in changed.items())
        raise InputError(f"{run.path} cannot be resumed, it was made with {said}: give it its own settings")
    if (run.shape, run.steps_per_epoch) != (dataset.shape, steps_per_epoch):
        raise InputError(
            f"{run.path} cannot be resumed, its data was of shape {run.shape} with {run.steps_per_epoch} steps an "
            f"epoch, not {dataset.shape} with {steps_per_epoch}: give it the data that it was made with"
        )
    if run.data is None:
        log.warning(NO_RECORD, run.path)
    else:
        require_same(dataset, run.data, f"resume {run.path} {_REMEDY}")
        run.data = record
    if run.changes():
        log.warning("%s was made with %s: bits may differ", run.path, "; ".join(run.changes()))
    run.windowed = windowed
    add_notes(run.path, notes)
    return run


def checkpoints_of(run: Run | None, parallel: Parallel) -> Checkpoints | None:
    """Returns where this process saves states, if it does: all do where layers are divided over them, else the first.

    Every process must call it.
    """
    if not parallel.over_hosts:
        return None if run is None else run.checkpoints
    folder = hosts.told_by_first(None if run is None else str(run.checkpoints.folder.absolute()))
    return None if folder is None else Checkpoints(Path(folder)) if run is None else run.checkpoints


def begin(
    given: Experiment,
    program: Program,
    dataset: Dataset,
    last: int,
    resumed: Run | None,
    checkpoints: Checkpoints | None,
    params: Any,
) -> tuple[core.State, list[dict[str, Any]]]:
    """Returns the state to begin from on the devices, fresh or resumed, and the rows that led to it.

    Of several processes the first alone has the run that is resumed. Where layers are divided over them each restores
    what its devices hold, from `checkpoints`; else the first gives its state to all.
    """
    like, history, state = program.shapes(dataset.shape), list[dict[str, Any]](), None
    parts = {"state": like, "preprocess": program.preprocess}
    if resumed is not None and resumed.checkpoints.steps():
        state = resumed.restore(parts)["state"]
    elif resumed is not None and resumed.params != FRESH:
        raise InputError(f"{resumed.path} has no checkpoint, and began with params it does not hold: train it again")
    if program.parallel.over_hosts:
        step = hosts.told_by_first(None if state is None else int(state.step))
        if step is not None and state is None and checkpoints is not None:
            state = checkpoints.restore([step], parts)["state"]
    if state is None:
        state = program.init(dataset.shape, priming_examples(program.model, dataset, program.preprocess))
        if params is not None and resumed is None:
            state = dataclasses.replace(state, params=params, opt_state=program.optimizer.init(params))
    if resumed is not None:
        step = int(state.step)
        if step > last:
            done = f"{step // resumed.steps_per_epoch} epochs" if given.steps is None else f"{step} steps"
            flag = "--epochs" if given.steps is None else "--steps"
            raise InputError(f"{resumed.path} has {done} behind it: give {flag} of at least as many")
        resumed.update(given, step)
        history = resumed.rewind(step)
    if hosts.several() and not program.parallel.over_hosts:
        state = hosts.from_first(program.parallel.to_host(state))
    return program.parallel.place(state), history


def started(params: Any, fresh: Any) -> Any:
    """Returns parameters to start from as float32 arrays. Raises `InputError` unless they are those of the model.

    `fresh` are the model's, or their shapes.
    """
    given, needed = ({(name, np.shape(leaf)) for name, leaf in named_leaves(tree)} for tree in (params, fresh))
    if given != needed:
        wrong = sorted({name for name, _ in given ^ needed})
        raise InputError(f"the params to start from are not the model's, in name or in shape: {', '.join(wrong)}")
    return as_arrays(params)
