"""Searches adaptively: a group of trials is proposed and trains as populations, and its results guide the next group.

Any number of workers may search together, by a study that they share: in SQLite or a journal where they share the
sweep's folder, in PostgreSQL where they are on several machines. The study is the source of truth; the folder is that
of an ordinary sweep with the study's results.
"""

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

from aejax.core import BUFFER, InputError, json_text
from aejax.data import DataRecord, Dataset, load
from aejax.experiment import Experiment, to_json
from aejax.metrics import Better, direction, named_in
from aejax.runs import checkpoint_template
from aejax.sweeps import claims, execution, plan
from aejax.sweeps._study import Claimed, Study
from aejax.sweeps.execution import MeasureTrained
from aejax.sweeps.plan import Trial
from aejax.sweeps.result import Result
from aejax.sweeps.space import Range, Space, distribution, value_of
from aejax.sweeps.store import Sweep
from aejax.trained import Trained
from aejax.training import Observer


@dataclass(frozen=True)
class Search:
    """Holds a search in which one worker takes part. `Search.open` begins or joins one."""

    base: Experiment
    """The experiment that is varied."""
    space: Space
    """What its settings may be."""
    folder: Path
    """The folder of the sweep that has the results."""
    study: Study
    """The study that all workers share."""
    trials: int
    """Number of trials in all, those of all workers and of earlier calls together."""
    metric: str
    """The metric of the validation part that is searched by."""
    measure: MeasureTrained
    """Measures each trained model."""

    @classmethod
    def open(
        cls,
        base: Experiment,
        space: Space,
        folder: Path,
        *,
        trials: int = 64,
        metric: str = "loss_nats",
        better: Better | None = None,
        measure: MeasureTrained = Trained.evaluate,
        sampler: Literal["tpe", "random"] = "tpe",
        storage: str | None = None,
        name: str | None = None,
    ) -> "Search":
        """Begins a search, or joins it.

        Args:
            base: the experiment that is varied.
            space: what its settings may be.
            folder: the folder of the sweep that has the results.
            trials: the number of trials in all.
            metric: the metric of the validation part to search by.
            better: which values of the metric are better; None: what its declaration says.
            measure: measures each trained model, see `run_sweep`.
            sampler: what proposes settings: the tree-structured Parzen estimator (Bergstra et al. 2011), or chance.
            storage: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`, or the path of a journal;
                None: SQLite in the folder.
            name: the name of the study in its storage; None: the experiment's name.

        Raises:
            InputError: for settings with which some trial could not be trained, data without a validation part, a
                metric that is not measured or of which nobody says which values are better, a storage that cannot be
                used, and a folder or a study that holds something else.
        """
        better = direction(metric, base.loss.terms, said := better)
        records = _check(base, space, metric, measure)
        there = _opened(base, space, folder, records)
        settings = {path: repr(axis) for path, axis in space.items()}
        about = json_text([to_json(base), settings, metric, *([said] if said else [])], sort_keys=True)
        with there.lock():
            study = Study(
                f"sqlite:///{folder / 'study.db'}" if storage is None else storage,
                base.name if name is None else name,
                about,
                {path: distribution(axis) for path, axis in space.items()},
                maximise=better == "higher",
                sampler=sampler,
            )
        return cls(base, space, folder, study, trials, metric, measure)

    def finished(self) -> int:
        """Returns how many trials are finished."""
        return self.study.finished(self.trials)

    def results(self) -> Sweep:
        """Returns the folder's sweep, to which it first adds the results that only the study has."""
        there = Sweep.open(self.folder)
        known = {trial.id for trial in there.trials}
        told = [(params, result) for params, result in self.study.results() if result.id not in known]
        found = [(there.own(self.trial(params)), result) for params, result in told]
        return there.add(found) if any(trial.id not in known for trial, _ in found) else there

    def trial(self, params: Mapping[str, Any]) -> Trial:
        """Returns the trial of a proposal, which has a value for each axis by path."""
        settings = {path: value_of(axis, params[path]) for path, axis in self.space.items()}
        experiment = plan.vary(self.base, settings)
        return Trial(settings, experiment, plan.identity(experiment))

    def tell(self, number: int, result: Result) -> None:
        """Tells the study the result of a trial. A trial without a finite metric has failed."""
        measured = result.metrics["validation"]
        value = measured.get(named_in(self.metric, measured) or "", math.nan)
        self.study.finish(number, value if math.isfinite(value) else None, result)


def run_search(
    search: Search,
    *,
    width: int = 8,
    shared_order: bool = False,
    buffer: float = BUFFER,
    observers: Sequence[Observer] = (),
) -> None:
    """Trains groups of proposed trials until every trial is finished, and waits for those of other workers.

    Args:
        search: the search; other workers may be at work on it too, and the trials that a dead one leaves are trained
            here.
        width: how many trials are proposed and trained at once, at most.
        shared_order: see `training.fit_each`.
        buffer: gigabytes; packed data whose training part is larger is streamed from disk through as much memory.
        observers: see `run_sweep`.
    """
    with search.study.at_work():
        while True:
            there = search.results()
            if search.finished() == search.trials:
                shutil.rmtree(search.folder / "training", ignore_errors=True)
                return
            with there.lock():
                claimed = search.study.claim(width, search.trials)
            if claimed:
                _train(search, there, claimed, shared_order=shared_order, buffer=buffer, observers=observers)
            else:
                time.sleep(claims.LEASE / 6)


def _train(search: Search, there: Sweep, claimed: Sequence[Claimed], **options: Any) -> None:
    """Trains the claimed trials and tells the study their results.

    A trial whose result is known is not trained again, and one that was proposed twice is trained once.
    """
    numbers: dict[str, list[int]] = {}
    trials: dict[str, Trial] = {}
    for number, params in claimed:
        trial = there.own(search.trial(params))
        known = there.result_of(trial)
        if known is not None:
            search.tell(number, known)
        else:
            trials[trial.id] = trial
            numbers.setdefault(trial.id, []).append(number)
    options |= {"keep": search.folder / "training", "keep_thumbnails": True}
    for group in plan.groups(list(trials.values())):
        dataset, worker = there.dataset(group[0].experiment.data), search.study.worker
        with closing(execution.train_trials(group, dataset, worker, search.measure, **options)) as results:
            for trial, result, state in results:
                for number in numbers[trial.id]:
                    search.tell(number, result)
                execution.show_result(result, state, options["observers"])


def _check(base: Experiment, space: Space, metric: str, measure: MeasureTrained) -> dict[str, DataRecord]:
    """Checks that the search can be made, and returns records of its data."""
    corners = [
        trial
        for end in ("low", "high")
        for trial in plan.grid(
            base, {path: [getattr(axis, end)] if isinstance(axis, Range) else axis for path, axis in space.items()}
        )
    ]
    records = plan.check(corners)
    for data in {str(trial.experiment.data): trial.experiment.data for trial in corners}.values():
        if not len(load(data).validation):
            raise InputError(
                f"a search chooses on the validation part, but {data.name} holds none out: give data.validation=0.1"
            )
    first = corners[0].experiment
    dataset = load(first.data)
    measured = measure(_untrained(first, dataset), dataset.validation)
    if named_in(metric, measured) is None:
        raise InputError(f"{base.name} has no metric {metric!r} of validation: it has {', '.join(measured)}")
    return records


def _untrained(experiment: Experiment, dataset: Dataset) -> Trained:
    """Returns a model with zeros for parameters: enough to see which metrics are measured."""
    resolved = experiment.resolve(dataset)
    state = checkpoint_template(resolved, dataset.shape)["state"]
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
    preprocess = resolved.data.preprocess.fit(dataset.train.x)
    reference = resolved.reference(dataset.train, preprocess)
    return Trained(resolved, dataset.shape, preprocess, zeros, reference=reference)


def _opened(base: Experiment, space: Space, folder: Path, records: Mapping[str, DataRecord]) -> Sweep:
    """Returns the folder's sweep, and begins it where there is none.

    Raises `InputError` where the folder has trials that are not of this search, or was begun with other data.
    """
    if not (folder / "sweep.json").exists():
        return Sweep.create(folder, [], records)
    there = Sweep.open(folder)
    there.require_same(records)
    for trial in there.trials:
        own = trial.settings.keys() == space.keys() and plan.identity(plan.vary(base, trial.settings))
        if own != plan.identity(trial.experiment):
            raise InputError(f"{folder} holds a sweep of other settings: choose another --out, or remove it")
    return there
