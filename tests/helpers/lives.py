"""Runs training processes that are killed, each a fork of this process, which has imported all and started nothing.

`python tests/helpers/lives.py FOLDER` writes FOLDER/outcomes.json. Forks are used because every new process would spend
seconds on imports.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorboardX  # noqa: F401 - it is imported once, before the forks

import aejax
from aejax import devices
from aejax.core import Examples, Stopped
from aejax.data import Data, Dataset
from aejax.evaluation import report, suite
from aejax.experiment import Experiment
from aejax.losses import Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.runs import Saving, stopping
from aejax.runs.checkpoints import Checkpoints
from aejax.trained import Trained
from aejax.training import loop

EPOCHS, KILLS = 8, 3
EXPERIMENT = Experiment(
    Autoencoder(MLPEncoder((8,)), Plain(3), MLPDecoder()), Loss(), Data("lives"), batch_size=8, epochs=EPOCHS, name="x"
)
OFTEN = Saving(save_epochs=1, keep=2)


def part(size: int, seed: int) -> Examples:
    return Examples(np.random.default_rng(seed).integers(0, 256, (size, 4, 4, 1), np.uint8))


DATASET = Dataset("lives", part(40, 0), part(11, 1), part(10, 2))


def fork(life: Callable[[], None]) -> int:
    """Forks a process that calls `life`, and returns its process id.

    The process ends with 0, with the code of the signal where it is stopped, or with 99 on any other error.
    """
    number = os.fork()
    if number:
        return number
    try:
        life()
    except Stopped as stopped:
        os._exit(128 + stopped.number)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(99)
    os._exit(0)


def ending(number: int) -> int:
    """Waits for a process, and returns its exit code, or the negative number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def train(folder: Path, saving: Saving = OFTEN) -> Trained:
    """Trains in a folder: begins a run, or resumes the run that is there."""
    runs = [path.parent for path in folder.rglob("experiment.json")]
    where: dict[str, Any] = {"resume": runs[0]} if runs else {"folder": folder}
    return loop.train(EXPERIMENT, dataset=DATASET, saving=saving, **where)


def digest(trained: Trained) -> str:
    """Returns a hash of every bit that a run ends with, times aside."""
    timed = ("seconds", "examples_per_second")
    rows = [{name: value for name, value in row.items() if name not in timed} for row in trained.run.rows()]
    content = hashlib.sha256(json.dumps(rows).encode())
    best = aejax.load(trained.run.path / "checkpoints" / "best")
    for leaf in jax.tree.leaves((trained.state, aejax.load(trained.run.path).state, best.state)):
        content.update(np.asarray(leaf).tobytes())
    return content.hexdigest()


def whole(folder: Path) -> str:
    """Trains a run to its end in a process of its own, and returns its digest."""
    assert ending(fork(lambda: (folder / "digest").write_text(digest(train(folder))) and None)) == 0
    return (folder / "digest").read_text()


def killed(folder: Path, seconds: float, rng: random.Random) -> list[str]:
    """Kills runs at random moments, `KILLS` times in all, and returns the digests of what the runs ended with.

    Args:
        folder: the folder of the runs.
        seconds: the length of a run, within which the moments are.
        rng: draws the moments.
    """
    digests, kills, runs = [], 0, 0
    while kills < KILLS:
        (run := folder / str(runs)).mkdir(parents=True)
        runs += 1
        while kills < KILLS:
            start = time.monotonic()
            if ended(fork(lambda run=run: train(run) and None), start + rng.uniform(0, seconds)):
                seconds = min(seconds, time.monotonic() - start)
                break
            kills += 1
        digests.append(whole(run))
    return digests


def ended(number: int, moment: float) -> bool:
    """Waits for a process, kills it at a moment of the monotonic clock, and tells whether it ended before by itself."""
    while time.monotonic() < moment:
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
            assert status == 0
            return True
        time.sleep(0.002)
    os.kill(number, signal.SIGKILL)
    return ending(number) == 0


def terminated(
    folder: Path, hold: Callable[[Path], None], grace: float, pauses: Sequence[float] = (0,)
) -> dict[str, Any]:
    """Sends SIGTERM to a run that hangs, and returns how and how fast it ended, and its newest checkpoint.

    Args:
        folder: the folder of the run.
        hold: makes the run hang; it touches the file that it is given when it does.
        grace: seconds after SIGTERM in which the epoch may come to its end.
        pauses: seconds before each SIGTERM that is sent.
    """
    folder.mkdir()

    def life() -> None:
        stopping.GRACE = grace
        hold(folder / "hangs")
        report.finish(train(folder, Saving()), DATASET)

    number = fork(life)
    deadline = time.monotonic() + 60
    while not (folder / "hangs").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    start = time.monotonic()
    for pause in pauses:
        time.sleep(pause)
        os.kill(number, signal.SIGTERM)
    code, seconds = ending(number), time.monotonic() - start
    (run,) = [path.parent for path in folder.rglob("experiment.json")]
    newest = max(Checkpoints(run / "checkpoints").steps(), default=0)
    return {"code": code, "seconds": seconds, "newest": newest}


def hang(sign: Path) -> None:
    sign.touch()
    time.sleep(600)


def hold_compilation(sign: Path) -> None:
    devices.Program.train = lambda program, state, batches: hang(sign)


def hold_device(sign: Path) -> None:
    """Makes the third epoch hang inside XLA, where the main thread runs none of Python's signal handlers."""
    read = loop._require_finite

    def wait(window: Any, policy: Any) -> None:
        if window.stop == 3 * policy.steps_per_epoch:
            hung = jax.jit(lambda: jax.pure_callback(lambda: hang(sign), jax.ShapeDtypeStruct((), np.float32)))
            jax.block_until_ready(hung())
        read(window, policy)

    loop._require_finite = wait


def hold_evaluation(sign: Path) -> None:
    suite.measure = lambda *arguments, **options: hang(sign)


def main(folder: Path) -> None:
    warnings.filterwarnings("ignore", "os.fork")
    start = time.monotonic()
    (folder / "first").mkdir()
    first = whole(folder / "first")
    seconds = time.monotonic() - start
    outcomes = {
        "first": first,
        "killed": killed(folder / "killed", seconds, random.Random()),
        "compilation": terminated(folder / "compilation", hold_compilation, 0.2),
        "device": terminated(folder / "device", hold_device, 0.5, pauses=(0, 0.05)),
        "evaluation": terminated(folder / "evaluation", hold_evaluation, 60),
        "twice": terminated(folder / "twice", hold_device, 60, pauses=(0, stopping.TOGETHER + 0.2)),
        "resumed": [whole(folder / name) for name in ("compilation", "device")],
    }
    (folder / "outcomes.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    jax.config.update("jax_compilation_cache_dir", str(Path(sys.argv[1]) / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    main(Path(sys.argv[1]))
