"""Builds the table of Burda et al. 2016: the likelihood of MNIST under models of one and two stochastic layers.

    python experiments/iwae.py              one layer, two epochs on the 5,000 embedded digits
    python experiments/iwae.py mnist        all cells as they are registered: about six hours of two cores

It measures -log p(x) of a test digit in nats, on all of MNIST by 5,000 importance samples, and how many latent
dimensions vary with the digit, in all layers together. Runs are below `runs/`; a run that is finished there is not
trained again, so that the runs of `scripts/reproduce.py` serve here too, which keeps each cell's result.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import aejax
from aejax.devices import enable_compilation_cache
from aejax.experiment import Experiment
from aejax.experiment.zoo import iwae

VAE = {"vae-iwae-k5": iwae.vae_k5, "vae-iwae-k50": iwae.vae_k50}
ONE = {"vae-iwae-k1": iwae.vae_k1, "iwae-k5": iwae.k5, "iwae-k50": iwae.k50}
TWO = {"vae-iwae-2-k1": iwae.vae_two_k1, "iwae-2-k5": iwae.two_k5, "iwae-2-k50": iwae.two_k50}


def quick(name: str, cell: Experiment) -> Experiment:
    """Returns the experiment for two epochs on the embedded digits, under another name."""
    data = dataclasses.replace(cell.data, name="mnist-5k")
    return dataclasses.replace(cell, name=f"{name}-quick", data=data, epochs=2)


def whole(name: str, cell: Experiment) -> Experiment:
    """Returns the experiment as it is registered, with its name."""
    return dataclasses.replace(cell, name=name)


def result(experiment: Experiment, samples: int) -> dict[str, Any]:
    """Returns the result of the newest finished run, or trains one and measures it with so many importance samples."""
    kept = sorted(Path("runs", experiment.name).glob("*/result.json"))
    if kept:
        return json.loads(kept[-1].read_text())
    run = aejax.fit(experiment, folder="runs", samples=samples, show_progress=True, figures=False).run
    return json.loads((run.path / "result.json").read_text())


MODES = {(): (ONE, quick, 50), ("mnist",): (VAE | ONE | TWO, whole, 5000)}
mode = tuple(sys.argv[1:])
if mode not in MODES:
    sys.exit(f"the arguments are {' '.join(mode)!r}: give none, or mnist")
cells, change, samples = MODES[mode]
enable_compilation_cache()

table = Table("cell", "epochs", f"-log p(x), {samples} samples", "published", "active units")
for name, cell in cells.items():
    found = result(change(name, cell()), samples)
    epochs, test, published = found["epochs"], found["test"], cell().expected.value
    nats, active = test[f"nll_{samples}_nats"], test["active_units"]
    table.add_row(name, f"{epochs}", f"{nats:.2f}", f"{published:.2f}", f"{active:.0f}")
Console().print(table)
