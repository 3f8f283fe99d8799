"""Contenders that train in turn: each in a process of its own, one epoch at a time.

A disturbance of the machine then hits all of them alike; what counts is the median. A benchmark
script hands `work` its contenders by name: each is a function of the data's path and the setting
that returns a function of one epoch, one of the loss, and a dictionary that may hold more facts.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Contender = Callable[[str, dict[str, Any]], tuple[Callable[[], Any], Callable[[], float], dict[str, Any]]]


def work(contenders: dict[str, Contender], name: str, path: str, setting: str) -> None:
    """The contender's side: each line on standard input is answered with an epoch's seconds, `end` with the facts."""
    epoch, final, facts = contenders[name](path, json.loads(setting))
    for line in sys.stdin:
        if line.strip() == "end":
            facts["loss"] = final()
            facts["memory_mb"] = peak_megabytes()
            print(json.dumps(facts), flush=True)
            return
        start = time.perf_counter()
        epoch()
        print(json.dumps(time.perf_counter() - start), flush=True)


def peak_megabytes() -> float:
    """The most that this process has held. The count of `resource` begins with what its parent held."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def contest(
    script: str, setting: dict[str, Any], path: Path, rounds: int, within: float = 1.04, excused: bool = False
) -> dict[str, Any]:
    """One epoch of each of the setting's contenders in turn, `rounds` times after one that is not counted.

    That one, in which they compile, they make at the same time. Medians, the ratio of the first
    contender's to each other's, and the facts that each ends with. Ends the script where one fails, or
    where the losses differ by more than the factor `within`. With `excused`, others than the first may fail in the
    turn that is not counted: it is said why, and the rest go on.
    """
    with contextlib.ExitStack() as stack:
        processes = {name: stack.enter_context(_started(script, name, path, setting)) for name in setting["contenders"]}
        failed = _first_turn(processes, excused)
        rows = _rows({name: process for name, process in processes.items() if name not in failed}, rounds)
    check_same_loss({name: row["loss"] for name, row in rows.items()}, within)
    first, *others = rows
    ratios = {name: rows[first]["epoch_seconds"] / rows[name]["epoch_seconds"] for name in others}
    return {"setting": setting, "rows": rows, "ratios": ratios} | ({"failed": failed} if failed else {})


def _first_turn(processes: dict[str, subprocess.Popen], excused: bool) -> dict[str, str]:
    """Of all at the same time; what those said that failed."""
    for process in processes.values():
        _tell(process, "epoch")
    failed = {}
    for name, process in processes.items():
        try:
            _answer(process)
        except SystemExit as error:
            if not excused or process is next(iter(processes.values())):
                raise
            failed[name] = str(error)
            print(error, file=sys.stderr)
    return failed


def _rows(processes: dict[str, subprocess.Popen], rounds: int) -> dict[str, dict[str, Any]]:
    """What `contest` says of each contender."""
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(rounds):
        for name, process in processes.items():
            seconds[name].append(_ask(process, "epoch"))
        print(f"round {number}: " + "  ".join(f"{name} {times[-1]:.3f}" for name, times in seconds.items()))
    medians = {name: {"epoch_seconds": statistics.median(times)} for name, times in seconds.items()}
    return {name: row | _ask(processes[name], "end") for name, row in medians.items()}


def check_same_loss(losses: dict[str, float], within: float = 1.04) -> None:
    """Ends the script unless all, having trained as many epochs, are about as good: else the times compare nothing."""
    if not all(loss <= within * min(losses.values()) for loss in losses.values()):  # of NaN neither holds
        sys.exit(f"the contenders do not reach the same loss: {losses}")


def environment(name: str) -> dict[str, str]:
    """What a contender's process finds in its environment; JAX leaves the others their part of a GPU's memory."""
    backend = {"KERAS_BACKEND": name.removeprefix("keras-")} if name.startswith("keras") else {}
    return os.environ | backend | {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


@contextlib.contextmanager
def _started(script: str, name: str, path: Path, setting: dict[str, Any]) -> Iterator[subprocess.Popen]:
    """The contender's process, which does not outlive the contest; its `stderr` is a file."""
    command = [sys.executable, script, "--work", name, str(path), json.dumps(setting)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        subprocess.Popen(command, text=True, env=environment(name), stderr=errors, **pipes) as process,
    ):
        process.stderr = errors
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _ask(process: subprocess.Popen, line: str) -> Any:
    _tell(process, line)
    return _answer(process)


def _tell(process: subprocess.Popen, line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # then it does not answer either
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _answer(process: subprocess.Popen) -> Any:
    answer = process.stdout.readline()
    if not answer:
        process.stderr.seek(0)
        said = process.stderr.read().strip().splitlines() or ["nothing"]
        sys.exit(f"the contender {process.args[3]} ended early: {said[-1]}")
    return json.loads(answer)
