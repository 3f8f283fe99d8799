"""Keeps the trials of a search in an Optuna study that its workers share: each is proposed once, and told once.

A trial's number is its place in the search. Workers send heartbeats: each worker counts up an attribute of the
study that is its own. A worker whose count stands still for `claims.LEASE` seconds, by the clock of another worker,
counts as dead, and its trials return to the queue with their numbers and settings. (Optuna's own heartbeats run in
`study.optimize` alone, do not exist for a journal, and miss a worker that dies before the first of them.) No two
clocks are compared, so that the workers may be on different machines.
"""

import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from aejax.core import InputError, first_line, import_extra
from aejax.data import DataRecord
from aejax.experiment import from_json
from aejax.sweeps import claims
from aejax.sweeps.result import Result

SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler"}

BUSY = 60.0
"""Number of seconds that SQLite waits for other writers."""


class Claimed(NamedTuple):
    """Holds a trial that this worker has claimed and is to train."""

    number: int
    """The trial's place in the search, from 0."""
    params: dict[str, Any]
    """The proposed value of each axis, by path, in the form that the study's distributions have."""


class Study:
    """Gives one worker access to a study."""

    def __init__(
        self,
        storage: str,
        name: str,
        about: str,
        distributions: dict[str, Any],
        *,
        maximise: bool,
        sampler: str,
        records: Mapping[str, DataRecord] | None = None,
    ) -> None:
        """Opens a study, or begins it.

        Args:
            storage: the URL of a relational database, or the path of a journal.
            name: the name of the study in its storage.
            about: a text in JSON that says what is searched, the same for all workers of the study.
            distributions: Optuna's distribution of each axis, by path.
            maximise: whether larger values are better.
            sampler: the name of the sampler, one of `SAMPLERS`.
            records: what this worker trains on, by the canonical text of `Data`; None: unknown, and never compared.

        Raises:
            InputError: for a storage that cannot be opened, a study of something else, or one on other data.
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
        if there is not None and not _same(there, about):
            raise InputError(
                f"{_shown(storage)} holds another search by the name of {name}: give this one another --study"
            )
        self._called = f"{name} in {_shown(storage)}"
        self._records = {_key(data): record for data, record in (records or {}).items()}
        self._require_same_data()
        if there is None:
            self._study.set_user_attr("about", about)
        for key, record in self._records.items():
            if key not in self._study.user_attrs:
                self._study.set_user_attr(key, record.to_json())

    def claim(self, most: int, total: int) -> list[Claimed]:
        """Claims up to `most` trials: first those in the queue, then new ones, until there are `total` in all.

        Call it under a lock that the workers of one machine share: SQLite gives one trial to two workers that ask at
        once.
        """
        self._require_same_data()  # two workers may have begun at once, each with its own
        self._bury()
        trials = self._trials()
        # A new seed for each group of trials: a repeated search proposes the same, but two workers never do.
        self._study.sampler = getattr(self._optuna.samplers, self._sampler)(seed=len(trials))
        queued = sum(trial.state.name == "WAITING" for trial in trials[:total])
        claimed: list[Claimed] = []
        while len(claimed) < min(most, queued + max(total - len(trials), 0)):
            trial = self._study.ask(self._distributions)
            if trial.number >= total:  # another machine was faster: this trial waits for a search with a larger total
                self._give_back(trial.number)
                break
            trial.set_user_attr("worker", self.worker)
            claimed.append(Claimed(trial.number, trial.params))
        return claimed

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Sends heartbeats for the length of the context, and at its end returns unfinished trials to the queue.

        Raises `InputError` where the storage is lost on the way.
        """
        count, lost = itertools.count(), self._optuna.exceptions.StorageInternalError

        def beat() -> None:
            with contextlib.suppress(lost):  # the next heartbeat may reach the storage
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
        """Tells the study how a trial has ended, unless another worker has taken the trial over.

        Args:
            number: the trial's number.
            value: the metric that is searched by; None: the trial has failed.
            result: the trial's whole result, which the study keeps.
        """
        id = self._trial_id(number)
        trial = self._storage.get_trial(id)
        if trial.state.name != "RUNNING" or trial.user_attrs.get("worker") != self.worker:
            return
        self._storage.set_trial_user_attr(id, "result", result.to_json())
        if value is None:
            self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(number, value)

    def finished(self, total: int) -> int:
        """Returns how many of the first `total` trials are finished, whether or not they failed."""
        return sum(trial.state.is_finished() for trial in self._trials()[:total])

    def results(self) -> list[tuple[dict[str, Any], Result]]:
        """Returns the proposed values and the result of every trial that has a result, whichever worker trained it."""
        told = (trial for trial in self._trials() if "result" in trial.user_attrs)
        return [(trial.params, Result.from_json(trial.user_attrs["result"])) for trial in told]

    def _require_same_data(self) -> None:
        """Raises `InputError` where another worker of the study trains on other data than this one."""
        there = self._study.user_attrs
        for key, record in self._records.items():
            other = DataRecord.from_json(there[key]) if key in there else record
            if not other.same(record):
                raise InputError(
                    f"the search {self._called} is of other data, {record.name} here holds {other.unlike(record)}: "
                    "give this worker the same data, or this search another --study"
                )

    def _bury(self) -> None:
        """Returns the trials of dead workers to the queue.

        A worker is dead where its count of heartbeats has stood still for `store.LEASE` seconds of this one's clock.
        """
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
        """Returns the trials by number; where states are given, only those in one of them."""
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


def _same(there: str, about: str) -> bool:
    """Tells whether two texts say the same of a search: that of an older version lacks the settings added since."""
    try:
        return from_json(json.loads(there)) == from_json(json.loads(about))
    except ValueError:
        return False


def _key(data: str) -> str:
    """Returns the name of the attribute that describes data: it may have 512 letters, and a setting more."""
    return f"data {hashlib.sha256(data.encode()).hexdigest()[:16]}"


def _shown(storage: str) -> str:
    """Returns the storage as it may be shown: without its password."""
    return import_extra("sqlalchemy", "sweep").make_url(storage).render_as_string() if "://" in storage else storage
