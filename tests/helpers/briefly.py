"""Runs a script with less data and every training in it cut to one epoch: `python -m tests.helpers.briefly SCRIPT`."""

import dataclasses
import runpy
import sys
from pathlib import Path

import numpy as np

from aejax.data import Data, Dataset, catalog
from aejax.experiment import Experiment

MOST = 600
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
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))  # as where it is run itself: scripts import one another
    runpy.run_path(sys.argv[0], run_name="__main__")
