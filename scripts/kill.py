"""Kills `aejax train` with SIGKILL at random moments, and checks that every run ends with the bits of one left alone.

    python scripts/kill.py --kills 20

A run is killed and resumed until it ends, and then the next one begins, until there were as many kills. The moments
are spread over a whole run, from the start of its process to its last figure. Half of the kills, by chance, wait from
such a moment until a checkpoint is being written.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import jax
import numpy as np

import aejax
from aejax.trained import Trained

TIMES = ("seconds", "examples_per_second")
"""The metrics that differ from run to run."""


def command(name: str, folder: Path, epochs: int) -> list[str]:
    """Returns the command that begins a run in a folder, or resumes the run that is there.

    Args:
        name: the experiment.
        folder: the folder below which the run is.
        epochs: the number of epochs.
    """
    runs = [path.parent for path in folder.rglob("experiment.json")]
    where = ["--resume", str(runs[0])] if runs else ["--out", str(folder), "--data", "mnist-5k"]
    saving = ["--save-epochs", "1", "--keep", "2"]
    return [sys.executable, "-m", "aejax", "train", name, *where, "--epochs", str(epochs), *saving]


def bits(folder: Path) -> list[bytes]:
    """Returns all that a run ends with but times: the newest state, the best if there is one, rows, test metrics."""
    (path,) = [path.parent for path in folder.rglob("experiment.json")]
    history = aejax.load(path).history
    rows = [json.dumps({k: v for k, v in row.items() if k not in TIMES}).encode() for row in history]
    best = [path / "checkpoints" / "best"] if any(row["split"] == "validation" for row in history) else []
    states = [leaf for of in (path, *best) for leaf in _leaves(aejax.load(of))]
    test = json.dumps(json.loads((path / "result.json").read_text())["test"]).encode()
    return [*states, *rows, test]


def _leaves(trained: Trained) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(trained.state)]


def moment(folder: Path) -> str:
    """Returns what a kill has interrupted, judged by what it left behind."""
    runs = [path.parent for path in folder.rglob("experiment.json")]
    if not runs:
        return "before the run began"
    if list((runs[0] / "checkpoints").glob(".*")):
        return "saving a checkpoint"
    return "after training" if (runs[0] / "result.json").exists() else "training or starting"


def main() -> None:
    """Kills runs, prints what the kills interrupted, and fails unless all runs end with the same bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--name", default="vae-flax", help="the experiment")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start = time.perf_counter()
        subprocess.run(command(options.name, folder / "alone", options.epochs), check=True, capture_output=True)
        seconds = time.perf_counter() - start
        expected, hit, runs = bits(folder / "alone"), Counter[str](), 0
        while hit.total() < options.kills:
            run = folder / str(runs)
            runs += 1
            while killed(command(options.name, run, options.epochs), run, seconds, options.kills - hit.total()):
                hit[moment(run)] += 1
            assert bits(run) == expected, f"run {runs} ended with other bits"
    print(f"{hit.total()} kills of {runs} runs, all of which ended with the same bits as one left alone:")
    for what, count in hit.most_common():
        print(f"  {count:3} {what}")


def killed(arguments: list[str], folder: Path, seconds: float, left: int) -> bool:
    """Runs a command, and kills it at a random moment unless it ends before.

    Args:
        arguments: the command.
        folder: the folder below which its run is.
        seconds: the length of a whole run, within which the moment is.
        left: the number of kills that are left; 0: the command is not killed.

    Returns:
        Whether it was killed.
    """
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said = process.communicate(timeout=random.uniform(0, seconds) if left else None)[0]
    except subprocess.TimeoutExpired:
        aimed = random.random() < 0.5
        while aimed and process.poll() is None and not list(folder.glob("*/*/checkpoints/.*")):
            time.sleep(0.001)
        process.kill()
        said = process.communicate()[0]
    assert process.returncode in (0, -signal.SIGKILL), said.decode()
    return process.returncode != 0


if __name__ == "__main__":
    main()
