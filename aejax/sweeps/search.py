"""Adaptive search: a group of trials is proposed, trains as populations, and what it came to guides the next ones.

Any number of workers may search together: where they share the sweep's folder, by a study in SQLite or a
journal there; on many machines, by one in PostgreSQL. The study is the truth, the folder is an ordinary
sweep's that shows it.
"""

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from aejax.core import InputError
from aejax.data import Dataset, load
from aejax.experiment import Experiment, to_json
from aejax.metrics import HIGHER_IS_BETTER
from aejax.runs import checkpoint_template
from aejax.sweeps import claims, execution, plan
from aejax.sweeps._study import Claimed, Study
from aejax.sweeps.execution import MeasureTrained, SweepEvents
from aejax.sweeps.plan import Trial
from aejax.sweeps.space import Range, Space, distribution, value_of
from aejax.sweeps.store import Result, Sweep
from aejax.trained import Trained


@dataclass(frozen=True)
class Search:
    """A search that one worker takes part in."""

    base: Experiment
    space: Space
    folder: Path
    study: Study
    trials: int
    """How many there are in all, those of all workers and of earlier calls together."""
    metric: str
    measure: MeasureTrained

    @classmethod
    def open(
        cls,
        base: Experiment,
        space: Space,
        folder: Path,
        *,
        trials: int = 64,
        metric: str = "loss_nats",
        measure: MeasureTrained = Trained.evaluate,
        sampler: Literal["tpe", "random"] = "tpe",
        storage: str | None = None,
        name: str | None = None,
    ) -> "Search":
        """Begins a search, or joins it.

        Args:
            base: the experiment that is varied.
            space: what its settings may be.
            folder: of the sweep that has the results.
            trials: how many there are in all.
            metric: of the validation part; the best is its least, or its most where more of it is better.
            measure: what is measured of each trained model, see `run_sweep`.
            sampler: what proposes: the tree-structured Parzen estimator (Bergstra et al. 2011), or chance.
            storage: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`, or the path of a journal;
                None: SQLite in the folder.
            name: of the study in its storage; None: the experiment's.

        Raises:
            InputError: for settings that some trial could not be trained with, data without a validation
                part, a metric that is not measured, a storage that cannot be used, and a folder or a
                study that has something else.
        """
        _check(base, space, metric, measure)
        there = _opened(base, space, folder)
        about = json.dumps([to_json(base), {path: repr(axis) for path, axis in space.items()}, metric], sort_keys=True)
        with there.lock():
            study = Study(
                f"sqlite:///{folder / 'study.db'}" if storage is None else storage,
                base.name if name is None else name,
                about,
                {path: distribution(axis) for path, axis in space.items()},
                maximise=metric.endswith(HIGHER_IS_BETTER),
                sampler=sampler,
            )
        return cls(base, space, folder, study, trials, metric, measure)

    def finished(self) -> int:
        """How many trials have been told what they came to."""
        return self.study.finished(self.trials)

    def results(self) -> Sweep:
        """The folder's sweep, with every result that the study has."""
        there = Sweep.open(self.folder)
        known = {trial.id for trial in there.trials}
        found = [(params, result) for params, result in self.study.results() if result["id"] not in known]
        return there.add([(self.trial(params), result) for params, result in found]) if found else there

    def trial(self, params: Mapping[str, Any]) -> Trial:
        """The trial of a proposal."""
        settings = {path: value_of(axis, params[path]) for path, axis in self.space.items()}
        experiment = plan.vary(self.base, settings)
        return Trial(settings, experiment, plan.identity(experiment))

    def tell(self, number: int, result: Result) -> None:
        """Tells the study what a trial came to; one that has no finite metric has failed."""
        value = result["validation"].get(self.metric, math.nan)
        self.study.finish(number, value if math.isfinite(value) else None, result)


def run_search(
    search: Search, *, width: int = 8, shared_order: bool = False, events: SweepEvents | None = None
) -> None:
    """Trains groups of proposed trials until every trial is finished, waiting for what others are at work on.

    Args:
        search: others may be at work on it too; what a dead one leaves is done here.
        width: at most so many trials are proposed and trained at once.
        shared_order: see `training.fit_each`.
        events: what is called on the way.
    """
    events = SweepEvents() if events is None else events
    with search.study.at_work():
        while True:
            there = search.results()
            if search.finished() == search.trials:
                shutil.rmtree(search.folder / "training", ignore_errors=True)
                return
            with there.lock():
                claimed = search.study.claim(width, search.trials)
            if claimed:
                _train(search, there, claimed, shared_order, events)
            else:
                time.sleep(claims.LEASE / 6)


def _train(search: Search, there: Sweep, claimed: Sequence[Claimed], shared_order: bool, events: SweepEvents) -> None:
    """Trains and tells what was claimed; what is known is told, and what was proposed twice trained once."""
    numbers: dict[str, list[int]] = {}
    trials: dict[str, Trial] = {}
    for number, params in claimed:
        trial = search.trial(params)
        known = there.result_of(trial)
        if known is not None:
            search.tell(number, known)
        else:
            trials[trial.id] = trial
            numbers.setdefault(trial.id, []).append(number)
    options: dict[str, Any] = {"shared_order": shared_order, "on_epoch": events.epoch}
    options |= {"keep": search.folder / "training", "keep_thumbnails": True}
    for group in plan.groups(list(trials.values())):
        events.begun(group)
        with closing(execution.train_trials(group, search.study.worker, search.measure, **options)) as results:
            for trial, result in results:
                for number in numbers[trial.id]:
                    search.tell(number, result)
                events.recorded(trial, result)


def _check(base: Experiment, space: Space, metric: str, measure: MeasureTrained) -> None:
    corners = [
        trial
        for end in ("low", "high")
        for trial in plan.grid(
            base, {path: [getattr(axis, end)] if isinstance(axis, Range) else axis for path, axis in space.items()}
        )
    ]
    plan.check(corners)
    for data in {str(trial.experiment.data): trial.experiment.data for trial in corners}.values():
        if not len(load(data).validation):
            raise InputError(
                f"a search chooses on the validation part, but {data.name} holds none out: give data.validation=0.1"
            )
    first = corners[0].experiment
    dataset = load(first.data)
    measured = measure(_untrained(first, dataset), dataset.validation)
    if metric not in measured:
        raise InputError(f"{base.name} has no metric {metric!r} of validation: it has {', '.join(measured)}")


def _untrained(experiment: Experiment, dataset: Dataset) -> Trained:
    """With zeros for parameters: enough to see what is measured."""
    resolved = experiment.resolve(dataset)
    state, _ = checkpoint_template(resolved, dataset.shape)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
    return Trained(resolved, dataset.shape, resolved.data.preprocess.fit(dataset.train.x), zeros)


def _opened(base: Experiment, space: Space, folder: Path) -> Sweep:
    """The folder's sweep, begun where there is none. Raises `InputError` where it has other trials than a search's."""
    if not (folder / "sweep.json").exists():
        return Sweep.create(folder, [])
    there = Sweep.open(folder)
    for trial in there.trials:
        own = trial.settings.keys() == space.keys() and plan.identity(plan.vary(base, trial.settings))
        if own != plan.identity(trial.experiment):
            raise InputError(f"{folder} holds a sweep of other settings: choose another --out, or remove it")
    return there
