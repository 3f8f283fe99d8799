"""A command's workers as jobs of a cluster, or as processes here, through submitit."""

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aejax.core import InputError, first_line, import_extra

MINUTES = 24 * 60
"""A job's time where none is given."""


@dataclass(frozen=True)
class Worker:
    """What a job runs; one that is preempted, or out of time, is queued again and starts anew."""

    work: Callable[[], None]

    def __call__(self) -> None:
        """Works."""
        self.work()

    def checkpoint(self) -> Any:
        """What submitit queues again: what it was at work on is another's by then, or nobody's."""
        return _submitit().helpers.DelayedSubmission(self)


def submit(work: Callable[[], None], workers: int, folder: Path, slurm: str | None = None) -> list[Any]:
    """Starts so many workers, as jobs of SLURM where it has settings; gives submitit's jobs.

    Args:
        work: can be pickled; safe to run in many processes at once.
        workers: how many.
        folder: of submitit's files, the logs among them.
        slurm: `partition=gpu,timeout_min=60,gpus_per_node=1`: submitit's settings, and with their own names SLURM's.

    Raises:
        InputError: where there is no SLURM, or no such setting.
    """
    submitit = _submitit()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        executor = submitit.AutoExecutor(folder, cluster="local" if slurm is None else "slurm")
        settings = _settings(executor._valid_parameters(), slurm)
        executor.update_parameters(**{"timeout_min": MINUTES} | settings)
        with _errors_into(folder / "submitit.err"), _heeding_interrupts(), executor.batch():
            return [executor.submit(Worker(work)) for _ in range(workers)]
    except (AssertionError, NameError, RuntimeError, ValueError) as error:
        raise InputError(f"no job can be started: {first_line(error)}") from None


@contextlib.contextmanager
def running(jobs: Sequence[Any]) -> Iterator[None]:
    """Cancels afterwards the jobs that are not done."""
    try:
        yield
    finally:
        for job in jobs:
            if not job.done():
                job.cancel()


def check(jobs: Sequence[Any]) -> None:
    """Raises `InputError` where a job has failed, with where the first of them has said why."""
    failed = [job for job in jobs if job.exception() is not None]
    if failed:
        raise InputError(f"{len(failed)} of {len(jobs)} workers failed: {failed[0].paths.stderr} ends with why")


@contextlib.contextmanager
def _errors_into(path: Path) -> Iterator[None]:
    """What is started meanwhile has this file for its standard error: submitit's processes end with a traceback."""
    shown = os.dup(2)
    try:
        with path.open("a") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)


@contextlib.contextmanager
def _heeding_interrupts() -> Iterator[None]:
    """What is started meanwhile heeds SIGINT, which cancels it, also where this process, begun by `&`, does not."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _submitit() -> Any:
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")  # else importing it closes every handler of logging
    return import_extra("submitit", "sweep")


def _settings(generic: Collection[str], slurm: str | None) -> dict[str, Any]:
    """Settings as they are typed, as submitit's executor takes them."""
    settings = {}
    for item in (slurm or "").split(",") if slurm else []:
        name, equals, value = item.partition("=")
        if not equals or not value:
            raise InputError(f"{item!r} is no setting: give NAME=VALUE, separated by commas")
        settings[name if name in generic else f"slurm_{name}"] = _number(value)
    return settings


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
