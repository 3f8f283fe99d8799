"""The trials of a search as an Optuna study that its workers share: each is proposed once, and told once.

A trial's number is its place in the search. Workers send heartbeats: each counts up an attribute of the
study that is its own. A worker whose count a watcher has seen stand still for `claims.LEASE` seconds is
dead, and what it was at work on returns to the queue, with its number and its settings. (Optuna's own
heartbeats run in `study.optimize` alone, are not there for a journal, and miss a worker that dies before
the first of them.) No two clocks are compared, so the workers may be on different machines.
"""

import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from aejax.core import InputError, first_line, import_extra
from aejax.sweeps import claims
from aejax.sweeps.store import Result

SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler"}

BUSY = 60.0
"""Seconds that SQLite waits for other writers."""


class Claimed(NamedTuple):
    """A trial that this worker is to train."""

    number: int
    params: dict[str, Any]
    """As the study's distributions have them, by path."""


class Study:
    """One worker's view of a study."""

    def __init__(
        self, storage: str, name: str, about: str, distributions: dict[str, Any], *, maximise: bool, sampler: str
    ) -> None:
        """Opens a study, or begins it.

        Args:
            storage: the URL of a relational database, or the path of a journal.
            name: of the study in its storage.
            about: what is searched; the same for all of its workers.
            distributions: Optuna's, by path.
            maximise: whether larger values are better.
            sampler: one of `SAMPLERS`.

        Raises `InputError` for a storage that cannot be opened, or a study of something else.
        """
        self._optuna: Any = import_extra("optuna", "sweep")
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        self.worker = claims.worker_name()
        self._distributions, self._sampler = distributions, SAMPLERS[sampler]
        self._seen: dict[tuple[Any, ...], float] = {}
        try:
            self._storage = self._open(storage)
            self._study = self._optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="maximize" if maximise else "minimize",
                load_if_exists=True,
            )
            self._id = self._storage.get_study_id_from_name(name)
            there = self._study.user_attrs.get("about")
        except Exception as error:  # each driver of a database has errors of its own
            raise InputError(f"{_shown(storage)} cannot hold a study: {first_line(error)}") from None
        if there not in (None, about):
            raise InputError(
                f"{_shown(storage)} holds another search by the name of {name}: give this one another --study"
            )
        self._study.set_user_attr("about", about)

    def claim(self, most: int, total: int) -> list[Claimed]:
        """Takes up to `most` trials: first those in the queue, then new ones, until there are `total`.

        Call it under a lock that the workers of one machine share: SQLite gives a trial to two that ask at once.
        """
        self._bury()
        trials = self._trials()
        # A seed for each group: the same search proposes the same again, and two workers never the same.
        self._study.sampler = getattr(self._optuna.samplers, self._sampler)(seed=len(trials))
        queued = sum(trial.state.name == "WAITING" for trial in trials[:total])
        claimed: list[Claimed] = []
        while len(claimed) < min(most, queued + max(total - len(trials), 0)):
            trial = self._study.ask(self._distributions)
            if trial.number >= total:  # another machine was faster: this one waits for a larger total
                self._give_back(trial.number)
                break
            trial.set_user_attr("worker", self.worker)
            claimed.append(Claimed(trial.number, trial.params))
        return claimed

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Sends heartbeats meanwhile, and gives back afterwards what was claimed and not finished.

        Raises `InputError` where the storage is lost on the way.
        """
        count, lost = itertools.count(), self._optuna.exceptions.StorageInternalError

        def beat() -> None:
            with contextlib.suppress(lost):  # the next may reach it
                self._study.set_user_attr(f"heartbeats of {self.worker}", next(count))

        def release() -> None:
            for trial in self._trials("RUNNING"):
                if trial.user_attrs.get("worker") == self.worker:
                    self._give_back(trial.number)

        beat()
        try:
            with claims.held(beat, release):
                yield
        except lost as error:
            raise InputError(f"the study cannot be reached, the same command goes on: {first_line(error)}") from None

    def finish(self, number: int, value: float | None, result: Result) -> None:
        """Tells what a trial came to, None where it failed; nothing where another worker has taken it over."""
        id = self._trial_id(number)
        trial = self._storage.get_trial(id)
        if trial.state.name != "RUNNING" or trial.user_attrs.get("worker") != self.worker:
            return
        self._storage.set_trial_user_attr(id, "result", result)
        if value is None:
            self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(number, value)

    def finished(self, total: int) -> int:
        """How many of the first `total` trials have been told."""
        return sum(trial.state.is_finished() for trial in self._trials()[:total])

    def results(self) -> list[tuple[dict[str, Any], Result]]:
        """The params and the result of every trial that has one, whichever worker trained it."""
        return [(trial.params, trial.user_attrs["result"]) for trial in self._trials() if "result" in trial.user_attrs]

    def _bury(self) -> None:
        """Returns the trials of dead workers to the queue."""
        heartbeats, now = self._study.user_attrs, time.monotonic()
        for trial in self._trials("RUNNING"):
            worker = trial.user_attrs.get("worker")
            sign = (trial.number, worker, heartbeats.get(f"heartbeats of {worker}"))
            if now - self._seen.setdefault(sign, now) > claims.LEASE:
                self._give_back(trial.number)

    def _give_back(self, number: int) -> None:
        id = self._trial_id(number)
        with contextlib.suppress(self._optuna.exceptions.UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(id, "worker", None)
            self._storage.set_trial_state_values(id, self._optuna.trial.TrialState.WAITING)

    def _trials(self, *states: str) -> list[Any]:
        """By number; of certain states alone where some are given."""
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if not states or trial.state.name in states]

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _open(self, storage: str) -> Any:
        storages = self._optuna.storages
        if "://" not in storage:
            return storages.JournalStorage(storages.journal.JournalFileBackend(storage))
        url = import_extra("sqlalchemy", "sweep").make_url(storage)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg2")
        options = {"timeout": BUSY} if url.get_backend_name() == "sqlite" else {}
        engine = {"connect_args": options, "pool_pre_ping": True}  # a connection may be cut while a group trains
        return storages.RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=engine)


def _shown(storage: str) -> str:
    """Without its password."""
    return import_extra("sqlalchemy", "sweep").make_url(storage).render_as_string() if "://" in storage else storage
