"""Trains one experiment: reads, writes and shows each window of steps while the next one runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aejax.core import BUFFER, DivergedError, Stopped
from aejax.data import DataRecord, Dataset, settled
from aejax.devices import ALL_DEVICES, Parallel, Program, hosts
from aejax.experiment import Experiment, with_imports
from aejax.runs import NO_NOTES, Notes, Run, Saving, stopping, validation_losses
from aejax.tracking import Tracking
from aejax.trained import History, Trained
from aejax.training._beginning import begin, checkpoints_of, opened, started, windowed_before
from aejax.training._checkpointing import CheckpointPolicy
from aejax.training._progress import TrainingProgress
from aejax.training._rows import RowLog
from aejax.training._streaming import source_for
from aejax.training.engine import Engine, Window
from aejax.training.intervals import Intervals
from aejax.training.observer import Observer
from aejax.training.outcome import tell_skipped
from aejax.training.selection import EarlyStopping, require_validation

ADVICE = "a lower --optimizer.learning-rate or --optimizer.clip-norm 1 may help"


def train(
    experiment: Experiment,
    dataset: Dataset,
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
    notes: Notes = NO_NOTES,
    tracking: Tracking | None = None,
) -> Trained:
    """Trains an experiment on a data set and returns the trained model: what `fit` does before it measures.

    Arguments and errors are those of `fit`, except that an interrupt raises `Stopped` in an interactive session too;
    `tracking` is begun once the run is there, and observes it.
    """
    ending = None if patience is None else EarlyStopping(patience)
    if ending is not None:
        require_validation(dataset, "patience")
    dataset = settled(dataset, experiment.data.preprocess)
    given, record, experiment = experiment, DataRecord.of(dataset), experiment.resolve(dataset)
    parallel = parallel.resolve(experiment)
    preprocess = experiment.data.preprocess.fit(dataset.train.x)
    reference = experiment.reference(dataset.train, preprocess)
    source = source_for(experiment, dataset, preprocess, parallel, buffer, windowed_before(resume))
    program, last = Program.of(experiment, preprocess, parallel), experiment.steps_in(source.steps)
    like = program.shapes(dataset.shape)
    parallel.check_divided(like)
    params = None if params is None or resume is not None else started(params, like.params)
    run = opened(given, dataset, record, source.windowed, folder, resume, params, notes)
    fitted = {"preprocess": program.preprocess} | ({} if reference is None else {"reference": reference})
    checkpoints = checkpoints_of(run, parallel)
    policy = CheckpointPolicy(run, checkpoints, fitted, saving or Saving(), source.steps)

    def made(state: Any) -> Trained:
        tell_skipped(experiment, state)
        on_host = state if parallel.tensor > 1 else jax.device_put(parallel.to_host(state))
        return Trained(experiment, dataset.shape, preprocess, on_host, History(history), run, record, reference, given)

    try:
        with _watched(run, experiment, policy) as asked:
            state, history = begin(given, program, dataset, last, run if resume else None, checkpoints, params)
            copies = run is not None or patience is not None or hosts.several() or bool(observers)  # alike on all hosts
            engine = Engine(program, source, state, int(jax.device_get(state.step)), copies)
            policy.begin(parallel.copied(state) if copies else None, engine.step, history, save=params is not None)
            tracking = tracking or Tracking()
            if run is not None:
                tracking.begin(run.path, history)
            start = last if _has_converged(history, ending) else engine.step
            stops = (intervals or Intervals()).stops(start, last, source.steps, policy.saving, lambda: engine.pace)
            row_log = RowLog(engine.step, source.steps, experiment.batch_size)
            with TrainingProgress(experiment, history, last, show_progress and hosts.first()) as bar:
                watching: tuple[Observer, ...] = (policy, bar, tracking, *observers)
                for window in engine.windows(stops, asked=asked):
                    _require_finite(window, policy)
                    rows = row_log.rows(window)
                    history += rows
                    for observe in watching:
                        observe(rows, window.state)
                    if asked():
                        if run is None and not hosts.several():
                            continue  # what is under way cannot be taken back, and there is no copy of before
                        break
                    converged = _has_converged(history, ending)
                    policy.save_if_due(late=window.save, last=window.stop == last or converged)
                    if converged:
                        engine.state = window.state
                        break
    except Stopped as stopped:
        if not hosts.several():
            stopped.trained = made(engine.state if run is None else policy.state)
        raise
    return made(engine.state)


def _has_converged(history: list[dict[str, Any]], ending: EarlyStopping | None) -> bool:
    """Tells whether the validation loss has not fallen for as many measurements as are waited for.

    Every process must call it; they agree, though of a resumed run the first alone knows the rows of before.
    """
    if ending is None:
        return False
    losses = np.asarray(list(validation_losses(history).values()))[:, None]
    over = len(losses) > 0 and not ending.keep(losses)[0]
    return bool(hosts.agreed(lambda: int(over))())


@contextmanager
def _watched(run: Run | None, experiment: Experiment, policy: CheckpointPolicy) -> Iterator[Callable[[], int]]:
    """Holds the run open for writing, and catches requests to stop, for the length of the context.

    It yields a function that returns the number of the signal that asked to stop, or 0. At the end the run is on
    disk, and a request raises `Stopped`. Without a run, and without other hosts, Ctrl-C alone is such a request.
    """
    with ExitStack() as stack:
        shared = hosts.several()
        if policy.checkpoints is not None:  # as it is of every process that holds pieces of layers
            stack.enter_context(stopping.in_time(lambda: _how_to_go_on(policy, experiment)))
        if run is not None:
            stack.enter_context(run.writing())
        asked = hosts.agreed(stack.enter_context(stopping.requests(terminated=run is not None or shared)))
        yield asked
        if policy.checkpoints is not None:
            policy.checkpoints.wait()
        if number := asked():
            raise Stopped(_how_to_go_on(policy, experiment), number)


def _how_to_go_on(policy: CheckpointPolicy, experiment: Experiment) -> str:
    if policy.checkpoints is None:
        return "stopped; nothing is on disk without a folder"
    last = experiment.steps_in(policy.steps_per_epoch)
    if policy.step >= last:
        where = "after the last epoch" if experiment.steps is None else "after the last step"
    elif experiment.steps is None:
        where = f"in epoch {policy.step // policy.steps_per_epoch + 1} of {experiment.epochs}"
    else:
        where = f"after step {policy.step:,} of {last:,}"
    again = with_imports(f"aejax train {experiment.name} --resume {policy.checkpoints.folder.parent}", experiment.name)
    return f"stopped {where}; {policy.rescue()}: {again} goes on"


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
