"""Stores sweeps on disk: trials are claimed, trained as populations, and each leaves one result file.

Any number of processes may work on one folder. A claim is a file that its worker touches while it lives. A claim that
has not been touched for `claims.LEASE` seconds belongs to a dead worker: another one takes over its trial, with those
that were claimed together with it, and they go on where they were.

    sweep.json         the plan, by what it is compared, records of the data, and each command that added trials
    claims/ID          the name of the worker at work on a trial
    training/*         states of groups in training, see `aejax.training`
    results/ID.json    the result of a trial
    models/*           trained states of the best trials, see `aejax.sweeps.models`
    lock               a file that is locked while claims and results change
"""

import contextlib
import html
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from aejax.core import InputError, first_line, json_text, similar
from aejax.data import NO_RECORD, Data, DataRecord, Dataset, load_again
from aejax.experiment import Experiment, canonical, from_json, origins, require_code, to_json, vary
from aejax.runs import commit, locked, read_json, versions, write_atomically
from aejax.sweeps import claims, plan
from aejax.sweeps.objective import Objective, why_unranked
from aejax.sweeps.plan import Trial
from aejax.sweeps.reading import Reader
from aejax.sweeps.result import Result

log = logging.getLogger("aejax")

_REMEDY = "put that back where it was, or begin another sweep with --out"

_ID = re.compile("[0-9a-f]{16}")
"""The form of a trial's id, of which the names of files are made."""


@dataclass(frozen=True)
class Sweep:
    """Gives access to the folder of a sweep: its plan, its claims, and the results so far."""

    folder: Path
    """The folder."""
    trials: list[Trial]
    """The trials of the plan."""
    records: dict[str, DataRecord] = field(default_factory=dict)
    """What the trials are trained on, by the canonical text of `Data`: see `experiment.canonical`."""
    objective: Objective | None = None
    """By which metric trials are compared; None where an older version, which did not say, began the sweep."""
    made: list[dict[str, Any]] = field(default_factory=list)
    """How trials came into the plan: `date`, `commit`, `command` where there was one, and the number of `trials`."""

    def __repr__(self) -> str:
        """Returns what it is in a line: experiment, folder, and how many trials have a result."""
        names = " and ".join(dict.fromkeys(trial.experiment.name for trial in self.trials))
        return f"Sweep({names}, {self.folder}, {len(self.finished())} of {len(self.trials)} trials finished)"

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: the results by setting, or the line before the first of them."""
        from aejax.sweeps.summary import summarise  # here, as it reads sweeps

        try:
            return summarise(self)._repr_html_()
        except InputError as error:
            return f"<p>{html.escape(repr(self))}: {html.escape(str(error))}</p>"

    @classmethod
    def create(
        cls,
        folder: Path,
        trials: Sequence[Trial],
        records: Mapping[str, DataRecord] | None = None,
        *,
        objective: Objective | None = None,
        command: str | None = None,
    ) -> "Sweep":
        """Begins a sweep, or joins the one that is there and adds the trials that it has not: its results stay.

        Args:
            folder: the folder of the sweep.
            trials: the trials.
            records: what they are trained on, as `plan.check` returns it; None: unknown, and never compared.
            objective: by which metric trials are compared; None: that of the sweep that is there, or the loss.
            command: the command that plans these trials, which the folder keeps.

        Raises:
            InputError: where that one's trials differ from these in more than the values of axes, or it was begun with
                other data; where the objective cannot compare the trials; and where the folder cannot be written.
        """
        try:
            for name in ("results", "claims"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot hold a sweep ({error.strerror}): choose another --out") from None
        sweep = cls(folder, list(trials), dict(records or {}), objective)
        with sweep.lock():
            there = cls.open(folder) if (folder / "sweep.json").exists() else None
            if there is not None:
                there.require_same(sweep.records)
                sweep = there._joined(sweep)
            if sweep.objective is None:
                sweep = replace(sweep, objective=Objective.of([trial.experiment for trial in sweep.trials]))
            new = len(sweep.trials) - (0 if there is None else len(there.trials))
            if new or there is None:
                said = {"command": command} if command else {}
                entry = {"date": time.strftime("%Y-%m-%d %H:%M:%S"), "commit": commit(), **said, "trials": new}
                sweep = replace(sweep, made=[*sweep.made, entry])
            if there is None or new or sweep.objective != there.objective:
                sweep._write()
        return sweep

    @classmethod
    def open(cls, folder: Path) -> "Sweep":
        """Reads the sweep of a folder. Raises `InputError` where there is none."""
        try:
            content = read_json(folder / "sweep.json")
            code = content.get("code", {})
        except FileNotFoundError:
            raise _no_sweep(folder) from None
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(
                f"{folder} is no sweep ({first_line(error)}): give a folder that `aejax sweep` has made"
            ) from None
        require_code(code if isinstance(code, dict) else {}, str(folder))
        try:
            trials = [Trial(item["settings"], from_json(item["experiment"]), item["id"]) for item in content["trials"]]
            if not all(isinstance(trial.experiment, Experiment) for trial in trials):
                raise ValueError("a trial has no experiment")
            if not all(isinstance(trial.settings, dict) and _ID.fullmatch(trial.id) for trial in trials):
                raise ValueError("a trial has no settings, or a name that is none")
            records = {name: DataRecord.from_json(item) for name, item in content.get("data", {}).items()}
            objective, made = content.get("objective"), content.get("made", [])
            if not isinstance(made, list) or not all(isinstance(entry, dict) for entry in made):
                raise ValueError("its history is no list")
            if objective is not None:
                objective = Objective(str(objective["metric"]), objective["better"])
                if objective.better not in ("lower", "higher"):
                    raise ValueError("neither lower nor higher values are better")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{folder} is no sweep ({first_line(error)}): give a folder that `aejax sweep` has made"
            ) from None
        return cls(folder, trials, records, objective, made)

    def require_same(self, records: Mapping[str, DataRecord]) -> None:
        """Raises `InputError` where the sweep was begun with other data; logs a warning where it does not say."""
        if records and not self.records:
            log.warning(NO_RECORD, self.folder)
        for name, record in records.items():
            if name in self.records and not self.records[name].same(record):
                unlike = self.records[name].unlike(record)
                raise InputError(f"{self.folder} was begun with other data, {record.name} holds {unlike}: {_REMEDY}")

    def dataset(self, data: Data, read: Reader | None = None) -> Dataset:
        """Loads data of the sweep. Raises `InputError` where they are not those that it was begun with.

        Args:
            data: which of them.
            read: what may have read and compared them already; None: they are read.
        """
        record = self.records.get(canonical(data))
        return load_again(data, record, remedy=_REMEDY) if read is None else read.again(data, record, _REMEDY)

    def results(self) -> dict[str, Result]:
        """Returns the result of every finished trial, by the trial's id."""
        found = {trial.id: self.result_of(trial) for trial in self.trials}
        return {id: result for id, result in found.items() if result is not None}

    def result_of(self, trial: Trial) -> Result | None:
        """Returns a trial's result, or None while it has not finished. Raises `InputError` for a damaged file."""
        path = self._result(trial)
        try:
            return Result.from_json(read_json(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise InputError(
                f"{path} is damaged, it is no result of a trial: remove it, and the sweep trains that one again"
            ) from None

    def finished(self) -> list[Trial]:
        """Returns the trials that have a result."""
        return [trial for trial in self.trials if self._result(trial).exists()]

    def own(self, trial: Trial) -> Trial:
        """Returns the sweep's own trial of the same experiment, which an older version may have named otherwise.

        Where it has none, the trial itself is returned.
        """
        return self._by_identity.get(_identity(trial), trial)

    def claim(self, worker: str, most: int) -> list[Trial]:
        """Claims up to `most` trials of one structure that are neither finished nor claimed by a living worker.

        Returns the claimed trials: none where none is free.
        """
        with self.lock():
            now = self._now()
            for group in self._groups:
                free = [trial for trial in group if not self._result(trial).exists() and not self._taken(trial, now)]
                # A dead worker's trials must go on together, or the state that it saved for the group is of no use.
                together = [trial for trial in free if self._owner(trial) == self._owner(free[0])][:most]
                if together:
                    for trial in together:
                        self._claim(trial).write_text(worker)
                    return together
        return []

    def record(self, worker: str, trial: Trial, result: Result) -> bool:
        """Writes a trial's result and removes its claim, unless another worker has taken the trial over.

        Args:
            worker: the name of the worker that trained the trial.
            trial: the trial.
            result: its result.

        Returns:
            Whether the result was written.
        """
        with self.lock():
            if self._owner(trial) != worker or self._result(trial).exists():
                return False
            write_atomically(self._result(trial), json_text(result.to_json()))
            self._claim(trial).unlink()
        return True

    def add(self, finished: Sequence[tuple[Trial, Result]]) -> "Sweep":
        """Adds trials that were not planned, with their results, and returns the sweep that has them.

        Trials that the sweep has already stay as they are.
        """
        with self.lock():
            there = Sweep.open(self.folder).trials
            known = {trial.id for trial in there}
            added = {trial.id: (trial, result) for trial, result in finished if trial.id not in known}
            for trial, result in added.values():
                if not self._result(trial).exists():
                    write_atomically(self._result(trial), json_text(result.to_json()))
            sweep = replace(self, trials=[*there, *(trial for trial, _ in added.values())])
            sweep._write()
        return sweep

    def release(self, worker: str, trials: Sequence[Trial]) -> None:
        """Gives back a worker's unfinished trials: their claims are dated as if it had died long ago."""
        with self.lock():
            for trial in trials:
                if self._owner(trial) == worker:
                    os.utime(self._claim(trial), (0, 0))

    @contextlib.contextmanager
    def touching(self, worker: str, trials: Sequence[Trial]) -> Iterator[None]:
        """Keeps a worker's claims alive for the length of the context, and releases at its end those that are left."""

        def touch() -> None:
            with self.lock():
                for trial in trials:
                    if self._owner(trial) == worker:
                        os.utime(self._claim(trial))

        with claims.held(touch, lambda: self.release(worker, trials)):
            yield

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder's lock for the length of the context.

        The system frees the lock when the process that holds it dies, however it dies.
        """
        with locked(self.folder / "lock"):
            yield

    @property
    def metric(self) -> str:
        """The metric by which trials are compared."""
        return (self.objective or Objective()).metric

    @cached_property
    def unranked(self) -> str | None:
        """Why no trial can be called the best by the sweep's own metric; None where one can."""
        return why_unranked(self.metric, [trial.experiment for trial in self.trials])

    def _joined(self, other: "Sweep") -> "Sweep":
        """Returns this sweep with the trials of another plan that it has not, each with a value for all axes of both.

        Raises `InputError` where some trials differ in more than their axes say.
        """
        new = [trial for trial in other.trials if _identity(trial) not in self._by_identity]
        objective = other.objective or self.objective
        if not new:
            return replace(self, objective=objective, records=self.records | other.records)
        paths = list(dict.fromkeys(path for trial in (*self.trials, *new) for path in trial.settings))
        whole = [replace(trial, settings=plan.settings_at(trial, paths)) for trial in (*self.trials, *new)]
        for trial in whole[: len(self.trials)]:
            try:
                same = plan.identity(vary(new[0].experiment, trial.settings)) == _identity(trial)
            except InputError:
                same = False
            if not same:
                raise InputError(f"{self.folder} holds a sweep of other settings: choose another --out, or remove it")
        joined = replace(self, trials=whole, records=self.records | other.records, objective=objective)
        experiments = [trial.experiment for trial in whole]
        if objective is not None:
            objective = Objective.of(experiments, objective.metric, objective.better)
        return replace(joined, objective=objective)

    @cached_property
    def _groups(self) -> list[list[Trial]]:
        return plan.groups(self.trials)

    @cached_property
    def _by_identity(self) -> dict[str, Trial]:
        return {_identity(trial): trial for trial in self.trials}

    def _result(self, trial: Trial) -> Path:
        return self.folder / "results" / f"{trial.id}.json"

    def _claim(self, trial: Trial) -> Path:
        return self.folder / "claims" / trial.id

    def _now(self) -> float:
        """Returns the time by the clock that dates claims: of a shared disk, not that of this machine."""
        path = self.folder / "lock"
        os.utime(path)
        return path.stat().st_mtime

    def _taken(self, trial: Trial, now: float) -> bool:
        try:
            return now - self._claim(trial).stat().st_mtime < claims.LEASE
        except FileNotFoundError:
            return False

    def _owner(self, trial: Trial) -> str | None:
        try:
            return self._claim(trial).read_text(errors="replace")
        except FileNotFoundError:
            return None

    def _write(self) -> None:
        content = {
            "trials": [
                {"id": trial.id, "settings": trial.settings, "experiment": to_json(trial.experiment)}
                for trial in self.trials
            ],
            "code": {name: where for trial in self.trials for name, where in origins(trial.experiment).items()},
            "data": {name: record.to_json() for name, record in self.records.items()},
            **({} if self.objective is None else {"objective": vars(self.objective)}),
            "made": self.made,
            "versions": versions(),
        }
        write_atomically(self.folder / "sweep.json", json_text(content, indent=1))


def find(folder: Path) -> Path:
    """Returns the folder of a sweep: the one given, or the only one in it.

    Raises `InputError` where there are several, with their names, or none.
    """
    inside = sorted(path.parent for path in folder.glob("*/sweep.json"))
    if (folder / "sweep.json").exists() or not inside:
        return folder
    if len(inside) > 1:
        raise InputError(f"{folder} holds {len(inside)} sweeps: give one of them, {', '.join(map(str, inside))}")
    return inside[0]


def _no_sweep(folder: Path) -> InputError:
    """Returns the error of a path that is no sweep, which offers sweeps that it may mean."""
    beside = {path.parent.name: path.parent for path in folder.parent.glob("*/sweep.json")}
    within = {path.name: path for path in folder.parent.glob("*") if any(path.glob("*/sweep.json"))}
    near = [str((beside | within)[name]) for name in similar(folder.name, beside | within)]
    guess = f"did you mean {' or '.join(near)}?" if near else "give a folder that `aejax sweep` has made"
    what = "is no sweep (it has no sweep.json)" if folder.is_dir() else "is not there"
    return InputError(f"{folder} {what}: {guess}")


def holds(folder: Path, axes: Mapping[str, Any], search: bool) -> bool:
    """Tells whether a folder itself has a sweep of these axes: version 0.1.0 named folders by the experiment alone.

    Args:
        folder: the folder.
        axes: the values or the range of each axis, by path.
        search: whether it is a search.
    """
    if not (folder / "sweep.json").exists() or (folder / "study.db").exists() != search:
        return False
    there = Sweep.open(folder).trials
    return bool(there) and all(
        trial.settings.keys() == axes.keys() and all(trial.settings[path] in axis for path, axis in axes.items())
        for trial in there
    )


def _identity(trial: Trial) -> str:
    return plan.identity(trial.experiment)
