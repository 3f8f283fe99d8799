"""Contenders that train in turn: each in a process of its own, one epoch at a time.

A disturbance of the machine then hits all of them alike; what counts is the median. A benchmark
script hands `work` its contenders by name: each is a function of the data's path and the setting
that returns a function of one epoch, one of the loss, and a dictionary that may hold more facts.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Contender = Callable[[str, dict[str, Any]], tuple[Callable[[], Any], Callable[[], float], dict[str, Any]]]


def work(contenders: dict[str, Contender], name: str, path: str, setting: str) -> None:
    """The contender's side: each line on standard input is answered with an epoch's seconds, `end` with the facts."""
    import resource

    epoch, final, facts = contenders[name](path, json.loads(setting))
    for line in sys.stdin:
        if line.strip() == "end":
            facts["loss"] = final()
            facts["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps(facts), flush=True)
            return
        start = time.perf_counter()
        epoch()
        print(json.dumps(time.perf_counter() - start), flush=True)


def contest(script: str, setting: dict[str, Any], path: Path, rounds: int) -> dict[str, Any]:
    """One epoch of each of the setting's contenders in turn, `rounds` times after one that is not counted.

    Medians, the ratio of the first contender's to each other's, and the facts that each ends with.
    """
    processes = {name: _start(script, name, path, setting) for name in setting["contenders"]}
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(rounds + 1):
        for name, process in processes.items():
            spent = _ask(process, "epoch")
            seconds[name] += [spent] if number else []
        print(f"round {number}: " + "  ".join(f"{name} {times[-1]:.3f}" for name, times in seconds.items() if times))
    rows = {name: {"epoch_seconds": statistics.median(times)} for name, times in seconds.items()}
    rows = {name: row | _ask(processes[name], "end") for name, row in rows.items()}
    check_same_loss({name: row["loss"] for name, row in rows.items()})
    first, *others = rows
    ratios = {name: rows[first]["epoch_seconds"] / rows[name]["epoch_seconds"] for name in others}
    return {"setting": setting, "rows": rows, "ratios": ratios}


def check_same_loss(losses: dict[str, float]) -> None:
    """Ends the script unless all, having trained as many epochs, are about as good: else the times compare nothing."""
    if max(losses.values()) > 1.04 * min(losses.values()):
        sys.exit(f"the contenders do not reach the same loss: {losses}")


def environment(name: str) -> dict[str, str]:
    """What a contender's process finds in its environment."""
    backend = {"KERAS_BACKEND": name.removeprefix("keras-")} if name.startswith("keras") else {}
    return os.environ | backend | {"TF_CPP_MIN_LOG_LEVEL": "3"}


def _start(script: str, name: str, path: Path, setting: dict[str, Any]) -> subprocess.Popen:
    command = [sys.executable, script, "--work", name, str(path), json.dumps(setting)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, text=True, env=environment(name), **pipes)


def _ask(process: subprocess.Popen, line: str) -> Any:
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        sys.exit(f"a contender ended early: {' '.join(process.args[2:4])}")
    return json.loads(answer)
