"""Holds a small experiment that trains in a second, and what tests of a run compare."""

import os
import signal

import jax
import numpy as np

from aejax.core import Adam, Cosine, Examples
from aejax.data import Data, Dataset
from aejax.experiment import Experiment
from aejax.losses import Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.runs import Run


def digits(n: int, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    return Examples(rng.integers(0, 256, (n, 4, 4, 1), np.uint8), rng.integers(0, 3, n).astype(np.int32))


DATASET = Dataset("generated", digits(40), digits(11, 1), digits(10, 2))
EXPERIMENT = Experiment(
    Autoencoder(MLPEncoder(), Plain(3, "tanh"), MLPDecoder()),
    Loss(),
    Data("generated"),
    Adam(1e-2, Cosine()),
    batch_size=8,
    epochs=6,
    name="tiny",
)


def same_bits(a, b):
    same = jax.tree.map(lambda x, y: np.array_equal(np.asarray(x), np.asarray(y)), a, b)
    return all(jax.tree.leaves(same))


def without_times(rows):
    return [{k: v for k, v in row.items() if k not in ("seconds", "examples_per_second")} for row in rows]


def stop_after(monkeypatch, epochs, number=signal.SIGINT):
    """Makes this process get a signal as soon as the metrics of an epoch are logged.

    Args:
        monkeypatch: pytest's fixture, which patches `Run.log`.
        epochs: the number of the epoch.
        number: the signal.
    """
    log = Run.log

    def logged(self, rows):
        log(self, rows)
        if rows[0]["epoch"] == epochs:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Run, "log", logged)
