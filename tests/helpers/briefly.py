"""Runs scripts on less data, with one epoch of every training: `python -m tests.helpers.briefly SCRIPT ...`.

All run in one process, which imports and compiles once for them; each prints its name first.
"""

import dataclasses
import runpy
import sys
from pathlib import Path

import numpy as np

from aejax.data import Data, Dataset, catalog
from aejax.experiment import Experiment

MOST = 300
"""Examples of a part that are left: enough for every score, batch and neighbourhood in the scripts."""
load, steps_in = catalog.load, Experiment.steps_in


def load_some(data: Data, *, again: bool = False) -> Dataset:
    dataset = load(data, again=again)
    parts = {name: dataset.part(name) for name in ("train", "validation", "test")}
    some = {name: part.take(np.arange(min(len(part), MOST))) for name, part in parts.items()}
    return dataclasses.replace(dataset, **some)


def one_epoch(experiment: Experiment, steps_per_epoch: int) -> int:
    return min(steps_in(experiment, steps_per_epoch), steps_per_epoch)


if __name__ == "__main__":
    catalog.load = load_some
    Experiment.steps_in = one_epoch  # type: ignore[method-assign]
    for script in sys.argv[1:]:
        print(f"== {script}")
        sys.argv = [script]
        sys.path.insert(0, str(Path(script).parent))  # as where it is run itself: scripts import one another
        runpy.run_path(script, run_name="__main__")
