"""Trains one experiment: reads, writes and shows each window of steps while the next one runs."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aejax import core
from aejax.core import BUFFER, DivergedError, InputError, Stopped, as_arrays, named_leaves
from aejax.data import (
    NO_RECORD,
    DataRecord,
    Dataset,
    as_dataset,
    load as load_data,
    load_again,
    require_same,
    settled,
)
from aejax.devices import ALL_DEVICES, Parallel, Program, hosts
from aejax.experiment import Experiment, differences
from aejax.runs import FRESH, Run, Saving, stopping, validation_losses
from aejax.trained import Trained
from aejax.training._checkpointing import CheckpointPolicy
from aejax.training._priming import priming_examples
from aejax.training._progress import Progress
from aejax.training._rows import RowLog
from aejax.training._streaming import source_for
from aejax.training.engine import Engine, Window
from aejax.training.intervals import Intervals
from aejax.training.observer import Observer
from aejax.training.selection import EarlyStopping

log = logging.getLogger("aejax")

_REMEDY = "with that (--data PATH, if it lies elsewhere now), or train a new run"

ADVICE = "a lower --optimizer.learning-rate or --optimizer.clip-norm 1 may help"


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
) -> Trained:
    """Trains an experiment and returns the trained model.

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
        show_progress: a progress bar with loss, examples per second and time left.
        observers: called with the rows and the state wherever rows are due; see `aejax.training.Observer`. Of several
            processes each calls its own.

    Raises:
        InputError: for settings, data or a run that cannot be used, before any training.
        DivergedError: when a term is not finite; the last good state is kept.
        DiskError: when the run directory cannot be written any more; what was saved before is kept.
        Stopped: after Ctrl-C or SIGTERM, with a run directory: the last step that was dispatched is saved. Where it
            is not done within `stopping.GRACE` seconds of SIGTERM, the state at the last row of metrics is saved and
            the process ends with 143.
    """
    if dataset is None:
        dataset = data_of(experiment, resume)
    elif not isinstance(dataset, Dataset):
        experiment = experiment.on_arrays()
        dataset = as_dataset(dataset, experiment.data)
    dataset = settled(dataset, experiment.data.preprocess)
    record = DataRecord.of(dataset)
    given, experiment = experiment, experiment.resolve(dataset)
    parallel = parallel.resolve(experiment)
    preprocess = experiment.data.preprocess.fit(dataset.train.x)
    reference = experiment.reference(dataset.train, preprocess)
    source = source_for(experiment, dataset, preprocess, parallel, buffer)
    program = Program.of(experiment, preprocess, parallel)
    if not hosts.first():  # the first process reads and writes for all
        folder = resume = None
    run = _open_run(given, dataset, record, folder, resume, params)
    saving, last = saving or Saving(), experiment.steps_in(source.steps)
    if patience is not None:
        _check_patience(patience, dataset)
    fitted = {"preprocess": program.preprocess} | ({} if reference is None else {"reference": reference})
    policy = CheckpointPolicy(run, fitted, saving, source.steps)
    with _watched(run, experiment, policy) as asked:
        state, history = _begin(given, program, dataset, last, run if resume else None, params)
        copies = run is not None or patience is not None or hosts.several() or bool(observers)  # the same on all hosts
        engine = Engine(program, source, state, int(jax.device_get(state.step)), copies)
        first = parallel.copied(state) if copies else None
        policy.begin(first, engine.step, history, save=params is not None and resume is None)
        begin = last if _has_converged(history, patience) else engine.step
        stops = (intervals or Intervals()).stops(begin, last, source.steps, saving, lambda: engine.pace)
        row_log = RowLog(engine.step, source.steps, experiment.batch_size)
        with Progress(experiment, history, last, show_progress and hosts.first()) as bar:
            watching: tuple[Observer, ...] = (policy, bar, *observers)
            for window in engine.windows(stops, asked=asked):
                _require_finite(window, policy)
                rows = row_log.rows(window)
                history += rows
                for observe in watching:
                    observe(rows, window.state)
                if asked():
                    break
                converged = _has_converged(history, patience)
                policy.save_if_due(late=window.save, last=window.stop == last or converged)
                if converged:
                    engine.state = window.state
                    break
    state = engine.state if parallel.tensor > 1 else jax.device_put(parallel.to_host(engine.state))
    return Trained(experiment, dataset.shape, preprocess, state, history, run, record, reference)


def data_of(experiment: Experiment, resume: str | Path | None = None) -> Dataset:
    """Loads the data of an experiment, or of a run to resume, whose data lie where they lay when it began.

    Raises `InputError` where they cannot be read, or are not those that the run was trained on.
    """
    run = None if resume is None else Run(Path(resume))
    if run is None or run.experiment.data.name != experiment.data.name:
        return load_data(experiment.data)
    return load_again(experiment.data, run.data, remedy=f"resume {run.path} {_REMEDY}")


def _check_patience(patience: int, dataset: Dataset) -> None:
    if patience < 1:
        raise InputError(f"patience is {patience}: give at least 1")
    if not len(dataset.validation):
        raise InputError("patience needs a validation part, but the data holds none out: set data.validation")


def _has_converged(history: list[dict[str, Any]], patience: int | None) -> bool:
    """Tells whether the validation loss has not fallen for as many measurements as patience allows.

    Every process must call it; they agree, though of a resumed run the first alone knows the rows of before.
    """
    if patience is None:
        return False
    losses = np.asarray(list(validation_losses(history).values()))[:, None]
    over = len(losses) > 0 and not EarlyStopping(patience).keep(losses)[0]
    return bool(hosts.agreed(lambda: int(over))())


@contextmanager
def _watched(run: Run | None, experiment: Experiment, policy: CheckpointPolicy) -> Iterator[Callable[[], int]]:
    """Holds the run open for writing, and catches requests to stop, for the length of the context.

    It yields a function that returns the number of the signal that asked to stop, or 0. At the end the run is on
    disk, and a request raises `Stopped`. Without a run and other hosts it does nothing.
    """
    with ExitStack() as stack:
        asked: Callable[[], int] = lambda: 0  # noqa: E731
        if run is not None:
            stack.enter_context(stopping.in_time(lambda: _how_to_go_on(policy, experiment)))
            stack.enter_context(run.writing())
        if run is not None or hosts.several():
            asked = hosts.agreed(stack.enter_context(stopping.requests()))
        yield asked
        if run is not None:
            run.checkpoints.wait()
        if number := asked():
            raise Stopped("stopped" if run is None else _how_to_go_on(policy, experiment), number)


def _open_run(
    experiment: Experiment, dataset: Dataset, record: DataRecord, folder: Any, resume: Any, params: Any
) -> Run | None:
    steps_per_epoch = len(dataset.train) // experiment.batch_size
    if resume is None:
        facts = (experiment, dataset.shape, steps_per_epoch, params, record)
        return None if folder is None else Run.create(Path(folder), *facts)
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
    return run


def _begin(
    given: Experiment, program: Program, dataset: Dataset, last: int, resumed: Run | None, params: Any
) -> tuple[core.State, list[dict[str, Any]]]:
    """Returns the state to begin from on the devices, fresh or resumed, and the rows that led to it."""
    like, history = program.shapes(dataset.shape), list[dict[str, Any]]()
    program.parallel.check_divided(like)
    if resumed is not None and resumed.checkpoints.steps():
        state = resumed.restore({"state": like, "preprocess": program.preprocess})["state"]
    elif resumed is not None and resumed.params != FRESH:
        raise InputError(f"{resumed.path} has no checkpoint, and began with params it does not hold: train it again")
    else:
        state = program.init(dataset.shape, priming_examples(program.model, dataset, program.preprocess))
        if params is not None and resumed is None:
            params = _fitting(params, state.params)
            state = dataclasses.replace(state, params=params, opt_state=program.optimizer.init(params))
    if resumed is not None:
        step = int(state.step)
        if step > last:
            done = f"{step // resumed.steps_per_epoch} epochs" if given.steps is None else f"{step} steps"
            flag = "--epochs" if given.steps is None else "--steps"
            raise InputError(f"{resumed.path} has {done} behind it: give {flag} of at least as many")
        resumed.update(given, step)
        history = resumed.rewind(step)
    return _placed(program, state), history


def _placed(program: Program, state: core.State) -> core.State:
    """Returns the first process's state, laid out for training."""
    return program.parallel.place(hosts.from_first(program.parallel.to_host(state)) if hosts.several() else state)


def _fitting(params: Any, fresh: Any) -> Any:
    """Returns the given parameters as float32 arrays. Raises `InputError` unless they are those of the model."""
    given, needed = ({(name, np.shape(leaf)) for name, leaf in named_leaves(tree)} for tree in (params, fresh))
    if given != needed:
        wrong = sorted({name for name, _ in given ^ needed})
        raise InputError(f"the params to start from are not the model's, in name or in shape: {', '.join(wrong)}")
    return as_arrays(params)


def _how_to_go_on(policy: CheckpointPolicy, experiment: Experiment) -> str:
    assert policy.run is not None
    last = experiment.steps_in(policy.steps_per_epoch)
    if policy.step >= last:
        where = "after the last epoch" if experiment.steps is None else "after the last step"
    elif experiment.steps is None:
        where = f"in epoch {policy.step // policy.steps_per_epoch + 1} of {experiment.epochs}"
    else:
        where = f"after step {policy.step:,} of {last:,}"
    again = f"aejax train {experiment.name} --resume {policy.run.path} goes on"
    return f"stopped {where}; {policy.rescue()}: {again}"


def _require_finite(window: Window, policy: CheckpointPolicy) -> None:
    """Checks that all terms of a window are finite, and the parameters after it.

    Otherwise saves the last good state, and raises `DivergedError` with the first step that was not finite.
    """
    sums = {name: mean.sum for name, mean in window.metrics["train"].items()}
    bad = {name: int(np.argmin(np.isfinite(each))) for name, each in sums.items() if not np.isfinite(each).all()}
    if bad:
        first = min(bad.values())
        names = [name for name, step in bad.items() if step == first and name != "loss_nats"] or ["loss_nats"]
        place = f"at step {window.start + first + 1} (epoch {window.epoch})"
        what = f"{' and '.join(names)} became {sums[names[0]][first]} {place}"
    elif not window.finite:
        what = f"parameters became infinite or undefined in the last step of epoch {window.epoch}"
    else:
        return
    raise DivergedError(f"{what}; {policy.rescue()}: {ADVICE}")
