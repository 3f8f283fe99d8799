"""Runs the host's side of training: dispatches an epoch, and reads, writes and shows the one before meanwhile."""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from aejax import core, devices
from aejax.core import BUFFER, DivergedError, InputError, Metrics, Stopped, as_arrays, blank_example, means
from aejax.data import Dataset, load as load_data
from aejax.devices import ALL_DEVICES, Parallel, hosts
from aejax.experiment import Experiment, differences
from aejax.runs import FRESH, Run, Saving, checkpoint_template, record_duration, stopping
from aejax.trained import Trained
from aejax.training._checkpointing import CheckpointPolicy
from aejax.training._progress import Progress
from aejax.training._sources import Source
from aejax.training._streaming import source_for

T = TypeVar("T")

log = logging.getLogger("aejax")

_finite = jax.jit(lambda tree: jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all())

ADVICE = "a lower --optimizer.learning-rate or --optimizer.clip-norm 1 may help"


@dataclasses.dataclass(frozen=True)
class DispatchedEpoch:
    """Holds one epoch as it was dispatched; reading its metrics waits for it. The states are in the host's memory."""

    number: int
    """The number of the epoch, counted from 1."""
    before: core.State
    """The state before the epoch."""
    after: core.State
    """The state after the epoch."""
    metrics: dict[str, Metrics]
    """The metrics of each part: train with an axis of steps, and validation where there is one."""
    finite: jax.Array
    """Whether every parameter is finite after the epoch."""


def fit(
    experiment: Experiment,
    *,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    dataset: Dataset | None = None,
    params: Any = None,
    parallel: Parallel = ALL_DEVICES,
    saving: Saving | None = None,
    buffer: float = BUFFER,
    show_progress: bool = False,
) -> Trained:
    """Trains an experiment and returns the trained model.

    Args:
        experiment: what to train.
        folder: where the run directory is made, as `folder/NAME/ID`; None: nothing is written.
        resume: a run directory to go on with instead; it ends with the same bits as if it had never stopped.
        dataset: in place of the one that `experiment.data` names.
        params: to start from, in place of fresh ones; see `aejax.training.unroll`. A resumed run has its own.
        parallel: the devices that train it together, and how.
        saving: when checkpoints are written, and which are kept; None is `Saving()`.
        buffer: gigabytes; packed data whose training part is larger is streamed from disk through as much memory.
        show_progress: a progress bar with loss, examples per second and time left.

    Raises:
        InputError: for settings, data or a run that cannot be used, before any training.
        DivergedError: when a term is not finite; the last good state is kept.
        DiskError: when the run directory cannot be written any more; what was saved before is kept.
        Stopped: after Ctrl-C or SIGTERM, with a run directory: the last whole epoch is saved. Where an epoch
            outlasts SIGTERM by `stopping.GRACE` seconds, the one before is saved and the process ends with 143.
    """
    dataset = load_data(experiment.data) if dataset is None else dataset
    given, experiment = experiment, experiment.resolve(dataset)
    parallel = parallel.resolve(experiment)
    preprocess = experiment.data.preprocess.fit(dataset.train.x)
    feed = source_for(experiment, dataset, as_arrays(preprocess), parallel, buffer)
    if not hosts.first():  # the first process reads and writes for all
        folder = resume = None
    run = _open_run(given, dataset, folder, resume, params)
    keeper = CheckpointPolicy(run, as_arrays(preprocess), saving or Saving())
    with _watched(run, experiment, keeper) as stopped_by:
        state, history = _begin(given, experiment, dataset.shape, run if resume else None, params)
        state = hosts.from_first(state)
        keeper.begin(state, history, save=params is not None and resume is None)
        with Progress(experiment, history, show_progress and hosts.first()) as bar:
            clock = time.perf_counter()
            for epoch in filter(None, one_ahead(_epochs(feed, parallel, state, experiment.epochs))):
                _require_finite(epoch, keeper)
                seconds, clock = time.perf_counter() - clock, time.perf_counter()
                record_duration("epoch", seconds)
                rows = _rows(epoch, len(dataset.train), seconds)
                history += rows
                state = epoch.after
                keeper.log(rows, state)
                bar.show(rows)
                if stopped_by():
                    break
                keeper.keep(epoch.number, now=epoch.number == experiment.epochs)
    return Trained(experiment, dataset.shape, preprocess, jax.device_put(jax.device_get(state)), history, run)


@contextmanager
def _watched(run: Run | None, experiment: Experiment, keeper: CheckpointPolicy) -> Iterator[Callable[[], int]]:
    """Holds the run open for writing, and catches requests to stop, for the length of the context.

    It yields a function that returns the number of the signal that asked to stop, or 0. At the end the run is on
    disk, and a request raises `Stopped`. Without a run and other hosts it does nothing.
    """
    with ExitStack() as stack:
        asked: Callable[[], int] = lambda: 0  # noqa: E731
        if run is not None:
            stack.enter_context(stopping.in_time(lambda: _how_to_go_on(keeper, experiment)))
            stack.enter_context(run.writing())
        if run is not None or hosts.several():
            asked = hosts.agreed(stack.enter_context(stopping.requests()))
        yield asked
        if run is not None:
            run.checkpoints.wait()
        if number := asked():
            raise Stopped("stopped" if run is None else _how_to_go_on(keeper, experiment), number)


def _open_run(experiment: Experiment, dataset: Dataset, folder: Any, resume: Any, params: Any) -> Run | None:
    steps_per_epoch = len(dataset.train) // experiment.batch_size
    if resume is None:
        return None if folder is None else Run.create(Path(folder), experiment, dataset.shape, steps_per_epoch, params)
    run = Run(Path(resume))
    changed = differences(run.experiment, experiment)
    # More epochs only lengthen a run; anything else would make it another experiment.
    if set(changed) - {"epochs"}:
        said = "; ".join(f"{name} {old!r}, not {new!r}" for name, (old, new) in changed.items())
        raise InputError(f"{run.path} cannot be resumed, it was made with {said}: give it its own settings")
    if (run.shape, run.steps_per_epoch) != (dataset.shape, steps_per_epoch):
        raise InputError(
            f"{run.path} cannot be resumed, its data was of shape {run.shape} with {run.steps_per_epoch} steps an "
            f"epoch, not {dataset.shape} with {steps_per_epoch}: give it the data that it was made with"
        )
    if run.changes():
        log.warning("%s was made with %s: bits may differ", run.path, "; ".join(run.changes()))
    return run


def _begin(
    given: Experiment, experiment: Experiment, shape: tuple[int, ...], resumed: Run | None, params: Any
) -> tuple[core.State, list[dict[str, Any]]]:
    """Returns the state to begin from, fresh or resumed, and the rows that led to it."""
    if resumed is not None:
        if resumed.checkpoints.steps():
            state = resumed.restore(checkpoint_template(experiment, shape))["state"]
            done = int(state.step) // resumed.steps_per_epoch
            if done > experiment.epochs:
                raise InputError(f"{resumed.path} has {done} epochs behind it: give --epochs of at least as many")
            resumed.update(given, int(state.step))
            return state, resumed.rewind(int(state.step))
        if resumed.params != FRESH:
            raise InputError(
                f"{resumed.path} has no checkpoint, and began with params it does not hold: train it again"
            )
        resumed.update(given, 0)
        resumed.rewind(0)
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    batch = blank_example(shape)
    state = devices.init(experiment.model, loss, optimizer, batch, jax.random.key(experiment.seed))
    if params is None or resumed is not None:
        return state, []
    return dataclasses.replace(state, params=_fitting(params, state.params)), []


def _fitting(params: Any, fresh: Any) -> Any:
    """Returns the given parameters as float32 arrays. Raises `InputError` unless they are those of the model."""
    given, needed = _shapes(params), _shapes(fresh)
    if given != needed:
        wrong = sorted({name for name, _ in given ^ needed})
        raise InputError(f"the params to start from are not the model's, in name or in shape: {', '.join(wrong)}")
    return as_arrays(params)


def _shapes(tree: Any) -> set[tuple[str, tuple[int, ...]]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {(jax.tree_util.keystr(path, simple=True, separator="."), np.shape(leaf)) for path, leaf in leaves}


def _epochs(feed: Source, parallel: Parallel, start: core.State, epochs: int) -> Iterator[DispatchedEpoch | None]:
    """Dispatches every epoch that is left. Each takes the memory of the state before it, of which a copy is kept.

    It yields None after each part of an epoch, and the epoch at its end: meanwhile the one before can be read.
    """
    state, after = parallel.place(start), start
    for number in range(int(start.step) // feed.steps + 1, epochs + 1):
        parts = []
        for following, metrics in feed.train(state):
            state = following
            parts.append(metrics)
            yield None
        by_part = {"train": jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts) if parts[1:] else parts[0]}
        validation = feed.validate(state)
        if validation is not None:
            by_part["validation"] = validation
        before, after = after, parallel.keep(state)
        yield DispatchedEpoch(number, before, after, by_part, _finite(state.params))


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields each item after the next one has been made, so that the device never waits for the host to read."""
    iterator = iter(items)
    for current in iterator:
        for following in iterator:
            yield current
            current = following
        yield current


def _rows(epoch: DispatchedEpoch, examples: int, seconds: float) -> list[dict[str, Any]]:
    """Returns the rows of an epoch for metrics.jsonl, one for each part."""
    where = {"epoch": epoch.number, "step": int(epoch.after.step)}
    rows = [where | {"split": split} | means(metrics) for split, metrics in epoch.metrics.items()]
    rows[0] |= {"seconds": seconds, "examples_per_second": examples / seconds}
    return rows


def _how_to_go_on(keeper: CheckpointPolicy, experiment: Experiment) -> str:
    assert keeper.run is not None
    left = keeper.epoch < experiment.epochs
    where = f"in epoch {keeper.epoch + 1} of {experiment.epochs}" if left else "after the last epoch"
    again = f"aejax train {experiment.name} --resume {keeper.run.path} goes on"
    return f"stopped {where}; {keeper.rescue()}: {again}"


def _require_finite(epoch: DispatchedEpoch, keeper: CheckpointPolicy) -> None:
    """Checks that all terms and parameters of an epoch are finite.

    Otherwise saves the state before the epoch, and raises `DivergedError` with the first step that was not finite.
    """
    sums = {name: np.atleast_1d(mean.sum) for name, mean in epoch.metrics["train"].items()}
    bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in sums.items()}
    steps = {name: int(where[0]) for name, where in bad.items() if len(where)}
    if not steps:
        if not epoch.finite:
            raise DivergedError(
                f"parameters became infinite or undefined in the last step of epoch {epoch.number}; "
                f"{keeper.rescue()}: {ADVICE}"
            )
        return
    first = min(steps.values())
    names = [name for name, where in steps.items() if where == first and name != "loss_nats"] or ["loss_nats"]
    kept = keeper.rescue()
    raise DivergedError(
        f"{' and '.join(names)} became {sums[names[0]][first]} at step {int(epoch.before.step) + first + 1} "
        f"(epoch {epoch.number}); {kept}: {ADVICE}"
    )
