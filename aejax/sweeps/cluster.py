"""Starts workers as jobs of a cluster, or as processes on this machine, through submitit."""

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aejax.core import InputError, first_line, import_extra

MINUTES = 24 * 60
"""Number of minutes after which a job is ended, where no other is given."""


@dataclass(frozen=True)
class Worker:
    """Holds the work of a job. A job that is preempted, or out of time, is queued again and starts anew."""

    work: Callable[[], None]

    def __call__(self) -> None:
        """Does the work."""
        self.work()

    def checkpoint(self) -> Any:
        """Returns what submitit queues again: the same work, as other workers go on with the trials that it leaves."""
        return _submitit().helpers.DelayedSubmission(self)


def submit(work: Callable[[], None], workers: int, folder: Path, slurm: str | None = None) -> list[Any]:
    """Starts workers, as jobs of SLURM where settings of SLURM are given, else as processes on this machine.

    Args:
        work: what each worker calls: it can be pickled, and is safe to run in many processes at once.
        workers: the number of workers.
        folder: the folder of submitit's files, the logs among them.
        slurm: settings of submitit, and by their own names of SLURM: `partition=gpu,timeout_min=60,gpus_per_node=1`.

    Returns:
        The jobs, as submitit has them.

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
    """Cancels, at the end of the context, the jobs that are not done."""
    try:
        yield
    finally:
        for job in jobs:
            if not job.done():
                job.cancel()


def check(jobs: Sequence[Any]) -> None:
    """Raises `InputError` where jobs have failed, and names the file in which the first of them says why."""
    failed = [job for job in jobs if job.exception() is not None]
    if failed:
        raise InputError(f"{len(failed)} of {len(jobs)} workers failed: {failed[0].paths.stderr} ends with why")


@contextlib.contextmanager
def _errors_into(path: Path) -> Iterator[None]:
    """Sends the standard error of what is started in the context to a file.

    Submitit's processes end with a traceback, which is not for the user.
    """
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
    """Lets what is started in the context heed SIGINT, which cancels it, even where this process ignores it.

    A process that a shell starts with `&` ignores SIGINT, and so would its children.
    """
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
    """Turns settings as they are typed into those that submitit's executor takes; `generic` names its own."""
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
