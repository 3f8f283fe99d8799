"""The host's side of training: dispatches an epoch, and reads, writes and shows the one before while it runs."""

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from aejax import devices, train
from aejax.data import Dataset, Preprocess
from aejax.data import load as load_data
from aejax.devices import Parallel
from aejax.errors import DivergedError, InputError, Stopped
from aejax.experiment import Experiment, differences
from aejax.feed import Feed, Resident
from aejax.metrics import Metrics, means
from aejax.progress import Progress
from aejax.pytree import as_arrays
from aejax.runs import Run
from aejax.timing import tell
from aejax.trained import Trained, example, template

T = TypeVar("T")

_finite = jax.jit(lambda tree: jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all())

ALL = Parallel()
ADVICE = "a lower --optimizer.learning-rate or --optimizer.clip-norm 1 may help"


@dataclasses.dataclass(frozen=True)
class Epoch:
    """One epoch as it was dispatched; reading its metrics waits for it. The states are in the host's memory."""

    number: int
    before: train.State
    after: train.State
    metrics: dict[str, Metrics]
    """By part: train with an axis of steps, and validation where there is one."""
    finite: jax.Array
    """Whether every parameter is."""


def fit(
    experiment: Experiment,
    *,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    dataset: Dataset | None = None,
    params: Any = None,
    parallel: Parallel = ALL,
    save_every: float = 60.0,
    show_progress: bool = False,
) -> Trained:
    """Trains an experiment and returns the trained model.

    Args:
        experiment: what to train.
        folder: where the run directory is made, as `folder/NAME/ID`; None: nothing is written.
        resume: a run directory to go on with instead; it ends with the same bits as if it had never stopped.
        dataset: in place of the one that `experiment.data` names.
        params: to start from, in place of fresh ones; see `aejax.pretrain`. A resumed run has its own.
        parallel: the devices that train it together, and how.
        save_every: least number of seconds between checkpoints; the last epoch is always saved.
        show_progress: a progress bar with loss, examples per second and time left.

    Raises:
        InputError: for settings, data or a run that cannot be used, before any training.
        DivergedError: when a term is not finite; the last good state is kept.
        Stopped: after Ctrl-C or SIGTERM, with a run directory: the last whole epoch is saved.
    """
    dataset = load_data(experiment.data) if dataset is None else dataset
    given, experiment = experiment, experiment.resolve(dataset)
    parallel = parallel.resolve(experiment)
    preprocess = experiment.data.preprocess.fit(dataset.train.x)
    feed = Resident(experiment, dataset, as_arrays(preprocess), parallel)
    run = _open_run(given, dataset, folder, resume, params)
    state, history = _begin(experiment, dataset.shape, run if resume else None, params)
    keeper = _Keeper(run, preprocess, save_every)
    with (
        _closing(run),
        _stop_requests(run is not None) as stopping,
        Progress(experiment, history, show_progress) as bar,
    ):
        clock = time.perf_counter()
        for epoch in one_ahead(_epochs(feed, parallel, state, experiment.epochs)):
            _require_finite(epoch, keeper)
            seconds, clock = time.perf_counter() - clock, time.perf_counter()
            tell("epoch", seconds)
            rows = _rows(epoch, len(dataset.train), seconds)
            history += rows
            state = epoch.after
            keeper.log(rows)
            bar.show(rows)
            stop = stopping() and epoch.number < experiment.epochs
            keeper.keep(state, now=stop or epoch.number == experiment.epochs)
            if stop:
                raise Stopped(_how_to_go_on(epoch, experiment, run))
    return Trained(experiment, dataset.shape, preprocess, jax.device_put(jax.device_get(state)), history, run)


@contextmanager
def _closing(run: Run | None) -> Iterator[None]:
    try:
        yield
    finally:
        if run is not None:
            run.close()


def _open_run(experiment: Experiment, dataset: Dataset, folder: Any, resume: Any, params: Any) -> Run | None:
    if resume is None:
        steps_per_epoch = len(dataset.train) // experiment.batch_size
        return None if folder is None else Run.create(Path(folder), experiment, dataset.shape, steps_per_epoch, params)
    run = Run(Path(resume))
    changed = differences(run.experiment, experiment)
    # More epochs only lengthen a run; anything else would make it another experiment.
    if set(changed) - {"epochs"}:
        said = "; ".join(f"{name} {old!r}, not {new!r}" for name, (old, new) in changed.items())
        raise InputError(f"{run.path} cannot be resumed, it was made with {said}: give it its own settings")
    run.update(experiment)
    return run


def _begin(
    experiment: Experiment, shape: tuple[int, ...], resumed: Run | None, params: Any
) -> tuple[train.State, list[dict[str, Any]]]:
    if resumed is not None:
        state, _ = resumed.restore(template(experiment, shape))
        return state, resumed.rewind(int(state.step))
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    batch = example(shape)
    state = devices.init(experiment.model, loss, optimizer, batch, jax.random.key(experiment.seed))
    if params is None:
        return state, []
    return dataclasses.replace(state, params=_fitting(params, state.params)), []


def _fitting(params: Any, fresh: Any) -> Any:
    """The given parameters as float32 arrays. Raises `InputError` unless they are those of the model."""
    given, needed = _shapes(params), _shapes(fresh)
    if given != needed:
        wrong = sorted({name for name, _ in given ^ needed})
        raise InputError(f"the params to start from are not the model's, in name or in shape: {', '.join(wrong)}")
    return as_arrays(params)


def _shapes(tree: Any) -> set[tuple[str, tuple[int, ...]]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {(jax.tree_util.keystr(path, simple=True, separator="."), np.shape(leaf)) for path, leaf in leaves}


def _epochs(feed: Feed, parallel: Parallel, start: train.State, epochs: int) -> Iterator[Epoch]:
    """Dispatches every epoch that is left. Each takes the memory of the state before it, of which a copy is kept."""
    state, after = parallel.place(start), start
    for number in range(int(start.step) // feed.steps + 1, epochs + 1):
        parts = []
        for following, metrics in feed.train(state):
            state = following
            parts.append(metrics)
        by_part = {"train": jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts) if parts[1:] else parts[0]}
        validation = feed.validate(state)
        if validation is not None:
            by_part["validation"] = validation
        before, after = after, parallel.keep(state)
        yield Epoch(number, before, after, by_part, _finite(state.params))


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields each item after the next one has been made: the device never waits for the host to read."""
    iterator = iter(items)
    for current in iterator:
        for following in iterator:
            yield current
            current = following
        yield current


def _rows(epoch: Epoch, examples: int, seconds: float) -> list[dict[str, Any]]:
    """What metrics.jsonl says of an epoch: a row for each part."""
    where = {"epoch": epoch.number, "step": int(epoch.after.step)}
    rows = [where | {"split": split} | means(metrics) for split, metrics in epoch.metrics.items()]
    rows[0] |= {"seconds": seconds, "examples_per_second": examples / seconds}
    return rows


def _how_to_go_on(epoch: Epoch, experiment: Experiment, run: Run | None) -> str:
    where = "" if run is None else f": aejax train {experiment.name} --resume {run.path} goes on"
    return f"stopped after epoch {epoch.number} of {experiment.epochs}, which is saved{where}"


def _require_finite(epoch: Epoch, keeper: "_Keeper") -> None:
    """Raises `DivergedError` with the first step at which a term was not finite, after keeping what came before."""
    sums = {name: np.atleast_1d(mean.sum) for name, mean in epoch.metrics["train"].items()}
    bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in sums.items()}
    steps = {name: int(where[0]) for name, where in bad.items() if len(where)}
    if not steps:
        if not epoch.finite:
            raise DivergedError(
                f"parameters became infinite or undefined in the last step of epoch {epoch.number}; "
                f"{keeper.rescue(epoch.before)}: {ADVICE}"
            )
        return
    first = min(steps.values())
    names = [name for name, where in steps.items() if where == first and name != "loss_nats"] or ["loss_nats"]
    kept = keeper.rescue(epoch.before)
    raise DivergedError(
        f"{' and '.join(names)} became {sums[names[0]][first]} at step {int(epoch.before.step) + first + 1} "
        f"(epoch {epoch.number}); {kept}: {ADVICE}"
    )


class _Keeper:
    """Writes rows and, not too often, checkpoints; does nothing without a run."""

    def __init__(self, run: Run | None, preprocess: Preprocess, save_every: float) -> None:
        self.run, self.preprocess, self.save_every = run, as_arrays(preprocess), save_every
        self.saved_at, self.saved_step = time.perf_counter(), -1

    def log(self, rows: list[dict[str, Any]]) -> None:
        if self.run is not None:
            self.run.log(rows)

    def keep(self, state: train.State, now: bool) -> None:
        if self.run is not None and (now or time.perf_counter() - self.saved_at >= self.save_every):
            self._save(state)

    def rescue(self, state: train.State) -> str:
        """Saves the last good state and says where."""
        if self.run is None:
            return "nothing is kept without a run directory"
        if int(state.step) == 0:
            return "no epoch had been finished"
        if int(state.step) != self.saved_step:
            self._save(state)
        return f"the state before that epoch is kept in {self.run.path}"

    def _save(self, state: train.State) -> None:
        assert self.run is not None
        self.saved_step = int(state.step)
        self.run.save(self.saved_step, (state, self.preprocess))
        self.saved_at = time.perf_counter()


@contextmanager
def _stop_requests(enabled: bool) -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C or SIGTERM into a request that is read between epochs; a second one is not held up."""
    requested = threading.Event()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request(number: int, frame: Any) -> None:
        requested.set()
        restore()

    for number in signals:
        signal.signal(number, request)
    try:
        yield requested.is_set
    finally:
        restore()
