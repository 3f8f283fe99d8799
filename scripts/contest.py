"""Lets contenders train in turn: each in a process of its own, one epoch at a time.

A disturbance of the machine then hits all of them alike; medians are compared. A benchmark script hands its
contenders to `work` by name. A contender is a function of the data's path and the setting; it returns a function that
trains one epoch, one that measures the loss, and a dictionary that may hold more facts.
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
    """Runs the contender's side of a contest, in a process of its own.

    It answers each line on standard input with the seconds of an epoch that it trains, and the line `end` with its
    facts, both as JSON.

    Args:
        contenders: the contenders by name.
        name: the contender to run.
        path: the path of the data.
        setting: the setting, as JSON.
    """
    epoch, final, facts = contenders[name](path, json.loads(setting))
    for line in sys.stdin:
        if line.strip() == "end":
            facts["memory_mb"] = peak_megabytes()  # of training: the loss is measured on more examples at once
            facts["loss"] = final()
            print(json.dumps(facts), flush=True)
            return
        start = time.perf_counter()
        epoch()
        print(json.dumps(time.perf_counter() - start), flush=True)


def peak_megabytes() -> float:
    """Returns the most megabytes that this process has held.

    It does not ask `resource`, whose count begins with what the parent process held.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def contest(
    script: str, setting: dict[str, Any], path: Path, rounds: int, within: float = 1.04, excused: bool = False
) -> dict[str, Any]:
    """Lets contenders train one epoch each in turn, several times, after a first turn that is not counted.

    In the first turn they compile, all at the same time. Ends the script where a contender fails, or where the losses
    differ too much.

    Args:
        script: the script whose `--work` runs a contender.
        setting: the setting, which names its `contenders`, and of those with an environment of their own the Python
            in `pythons`.
        path: the path of the data.
        rounds: the number of turns that are counted.
        within: the factor by which the losses may differ.
        excused: whether contenders other than the first may fail in the first turn: why is printed, the rest go on.

    Returns:
        The setting; a row for each contender, with its median seconds and the facts that it ends with; the ratio of the
        first contender's seconds to those of each other one; and those that failed, with the reason.
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
    """Runs the first turn of all at the same time, and returns the errors of the contenders that failed, by name."""
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
    """Runs the turns that are counted, and returns the row of each contender."""
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(rounds):
        for name, process in processes.items():
            seconds[name].append(_ask(process, "epoch"))
        print(f"round {number}: " + "  ".join(f"{name} {times[-1]:.3f}" for name, times in seconds.items()))
    medians = {name: {"epoch_seconds": statistics.median(times)} for name, times in seconds.items()}
    return {name: row | _ask(processes[name], "end") for name, row in medians.items()}


def check_same_loss(losses: dict[str, float], within: float = 1.04) -> None:
    """Ends the script unless all losses lie within a factor of the lowest: else the times cannot be compared.

    `losses` are those of contenders that have trained as many epochs.
    """
    if not all(loss <= within * min(losses.values()) for loss in losses.values()):  # `not all`, so that NaN fails
        sys.exit(f"the contenders do not reach the same loss: {losses}")


def environment(name: str) -> dict[str, str]:
    """Returns the environment of a contender's process, in which JAX leaves memory of the GPU to the others."""
    backend = {"KERAS_BACKEND": name.removeprefix("keras-")} if name.startswith("keras") else {}
    return os.environ | backend | {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


@contextlib.contextmanager
def _started(script: str, name: str, path: Path, setting: dict[str, Any]) -> Iterator[subprocess.Popen]:
    """Starts a contender's process, which does not outlive the context; its `stderr` is a file."""
    python = setting.get("pythons", {}).get(name, sys.executable)
    command = [python, script, "--work", name, str(path), json.dumps(setting)]
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
    with contextlib.suppress(BrokenPipeError):  # the process has ended, which `_answer` notices
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _answer(process: subprocess.Popen) -> Any:
    answer = process.stdout.readline()
    if not answer:
        process.stderr.seek(0)
        said = process.stderr.read().strip().splitlines() or ["nothing"]
        sys.exit(f"the contender {process.args[3]} ended early: {said[-1]}")
    return json.loads(answer)
