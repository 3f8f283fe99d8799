"""Runs scripts on less data, one epoch of every training, and less of what takes long to measure.

`python -m tests.helpers.briefly SCRIPT ...`

All run in one process, which imports and compiles once for them; each prints its name first.
"""

import dataclasses
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import Examples
from aejax.data import Data, Dataset, catalog
from aejax.evaluation import _feature_space, _variational
from aejax.experiment import Experiment
from aejax.metrics import disentanglement
from aejax.trained import Trained

MOST = 300
"""Examples of a part that are left: enough for every score, batch and neighbourhood in the scripts."""
FEW = 20
"""Examples of which a likelihood is measured by samples."""
load, steps_in, estimate = catalog.load, Experiment.steps_in, _variational.estimate


def load_some(data: Data, **how: Any) -> Dataset:
    dataset = load(data, **how)
    parts = {name: dataset.part(name) for name in ("train", "validation", "test")}
    some = {name: part.take(np.arange(min(len(part), MOST))) for name, part in parts.items()}
    return dataclasses.replace(dataset, **some)


def one_epoch(experiment: Experiment, steps_per_epoch: int) -> int:
    return min(steps_in(experiment, steps_per_epoch), steps_per_epoch)


def estimate_some(trained: Trained, part: Examples, samples: int) -> dict[str, float]:
    return estimate(trained, part.take(np.arange(min(len(part), FEW))), samples)


if __name__ == "__main__":
    catalog.load = load_some
    _variational.estimate = estimate_some
    disentanglement.STAGES = 3
    _feature_space.STEPS = 20
    Experiment.steps_in = one_epoch  # type: ignore[method-assign]
    for script in sys.argv[1:]:
        print(f"== {script}")
        sys.argv = [script]
        sys.path.insert(0, str(Path(script).parent))  # as where it is run itself: scripts import one another
        runpy.run_path(script, run_name="__main__")
