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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aejax.core import BUFFER, InputError, json_text
from aejax.data import DataRecord
from aejax.experiment import Experiment, canonical, to_json, vary
from aejax.metrics import Better
from aejax.sweeps import claims, execution, models, plan
from aejax.sweeps._study import Claimed, Study
from aejax.sweeps.objective import MeasureTrained, Objective, measuring
from aejax.sweeps.plan import Trial
from aejax.sweeps.reading import Reader
from aejax.sweeps.result import Result
from aejax.sweeps.space import Range, Space, distribution, value_of
from aejax.sweeps.store import Sweep
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
    objective: Objective
    """The metric of the validation part that is searched by."""
    measure: MeasureTrained
    """Measures each trained model."""
    read: Reader = field(default_factory=Reader, repr=False, compare=False)
    """Reads the data, which are then kept for the groups to come."""

    @classmethod
    def open(
        cls,
        base: Experiment,
        space: Space,
        folder: Path,
        *,
        trials: int = 64,
        metric: str | None = None,
        better: Better | None = None,
        measure: MeasureTrained | None = None,
        measure_all: bool = False,
        sampler: Literal["tpe", "random"] = "tpe",
        storage: str | None = None,
        name: str | None = None,
        command: str | None = None,
    ) -> "Search":
        """Begins a search, or joins it.

        Args:
            base: the experiment that is varied.
            space: what its settings may be.
            folder: the folder of the sweep that has the results.
            trials: the number of trials in all.
            metric: the metric of the validation part to search by; None: the loss.
            better: which values of the metric are better; None: what its declaration says.
            measure: measures each trained model, see `run_sweep`; None: what gives the metric in the least time.
            measure_all: measure all that `evaluation.measure` does.
            sampler: what proposes settings: the tree-structured Parzen estimator (Bergstra et al. 2011), or chance.
            storage: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`, or the path of a journal;
                None: SQLite in the folder.
            name: the name of the study in its storage; None: the experiment's name.
            command: the command that begins it, which the folder keeps.

        Raises:
            InputError: for settings with which some trial could not be trained, data without a validation part, a
                metric that is not measured, of which nobody says which values are better, or which measures different
                things of different trials; a storage that cannot be used, and a folder or a study that holds something
                else or was begun with other data.
        """
        read = Reader()
        objective, records, measure = _checked(base, space, metric, better, measure, measure_all, read)
        there = _opened(base, space, folder, records, objective, command)
        settings = {path: repr(axis) for path, axis in space.items()}
        about = json_text([to_json(base), settings, objective.metric, *([better] if better else [])], sort_keys=True)
        with there.lock():
            study = Study(
                f"sqlite:///{folder / 'study.db'}" if storage is None else storage,
                base.name if name is None else name,
                about,
                {path: distribution(axis) for path, axis in space.items()},
                maximise=objective.better == "higher",
                sampler=sampler,
                records=records,
            )
        return cls(base, space, folder, study, trials, objective, measure, read)

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
        experiment = vary(self.base, settings)
        return Trial(settings, experiment, plan.identity(experiment))

    def tell(self, number: int, result: Result) -> None:
        """Tells the study the result of a trial. A trial without a finite metric has failed."""
        value = result.value(self.objective.metric, "validation")
        self.study.finish(number, value if value is not None and math.isfinite(value) else None, result)


def run_search(
    search: Search,
    *,
    width: int = 8,
    shared_order: bool = False,
    buffer: float = BUFFER,
    keep: int = 1,
    observers: Sequence[Observer] = (),
) -> None:
    """Trains groups of proposed trials until every trial is finished, and waits for those of other workers.

    Args:
        search: the search; other workers may be at work on it too, and the trials that a dead one leaves are trained
            here.
        width: how many trials are proposed and trained at once, at most.
        shared_order: see `training.fit_each`.
        buffer: gigabytes; packed data whose training part is larger is streamed from disk through as much memory.
        keep: see `run_sweep`; of the trials that were trained on this machine.
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
                _train(search, there, claimed, keep, shared_order=shared_order, buffer=buffer, observers=observers)
            else:
                time.sleep(claims.LEASE / 6)


def _train(search: Search, there: Sweep, claimed: Sequence[Claimed], keep: int, **options: Any) -> None:
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
        dataset, worker = there.dataset(group[0].experiment.data, search.read), search.study.worker
        with closing(execution.train_trials(group, dataset, worker, search.measure, **options)) as results:
            for trial, result, trained in results:
                models.keep_best(there, trial, trained, result, keep)
                for number in numbers[trial.id]:
                    search.tell(number, result)
                execution.show_result(result, trained.state, options["observers"])


def _checked(
    base: Experiment,
    space: Space,
    metric: str | None,
    better: Better | None,
    measure: MeasureTrained | None,
    everything: bool,
    read: Reader,
) -> tuple[Objective, dict[str, DataRecord], MeasureTrained]:
    """Checks that the search can be made; returns what it searches by, records of its data, and what measures."""
    corners = [
        trial
        for end in ("low", "high")
        for trial in plan.grid(
            base, {path: [getattr(axis, end)] if isinstance(axis, Range) else axis for path, axis in space.items()}
        )
    ]
    experiments = [trial.experiment for trial in corners]
    objective = Objective.of(experiments, metric, better, choosing=True)
    records = plan.check(corners, read=read)
    for data in {str(experiment.data): experiment.data for experiment in experiments}.values():
        if not records[canonical(data)].rows["validation"]:
            raise InputError(
                f"a search chooses on the validation part, but {data.name} holds none out: give data.validation=0.1"
            )
    return objective, records, measuring(objective, experiments[0], read(experiments[0].data), everything, measure)


def _opened(
    base: Experiment,
    space: Space,
    folder: Path,
    records: Mapping[str, DataRecord],
    objective: Objective,
    command: str | None,
) -> Sweep:
    """Returns the folder's sweep, and begins it where there is none.

    Raises `InputError` where the folder has trials that are not of this search, or was begun with other data.
    """
    if not (folder / "sweep.json").exists():
        return Sweep.create(folder, [], records, objective=objective, command=command)
    there = Sweep.open(folder)
    there.require_same(records)
    for trial in there.trials:
        own = trial.settings.keys() == space.keys() and plan.identity(vary(base, trial.settings))
        if own != plan.identity(trial.experiment):
            raise InputError(f"{folder} holds a sweep of other settings: choose another --out, or remove it")
    return there
