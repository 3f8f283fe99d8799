"""Builds the table of Burda et al. 2016: the likelihood of MNIST under models of one and two stochastic layers.

    python experiments/iwae.py              one layer, two epochs on the 5,000 embedded digits
    python experiments/iwae.py mnist        the first 13 of the paper's 3,280 epochs, and the result as JSON
    python experiments/iwae.py mnist full   all 3,280 epochs, for an accelerator

It measures -log p(x) of a test digit in nats, on all of MNIST by 5,000 importance samples, and how many latent
dimensions vary with the digit, in all layers together. Runs are below `runs/`; a run that is finished there is not
trained again, so that the runs of `scripts/reproduce.py` serve here too.
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
from aejax.evaluation import write_study
from aejax.experiment import Experiment
from aejax.experiment.zoo import iwae

ONE = {"vae-iwae-k1": iwae.k1, "iwae-k5": iwae.k5, "iwae-k50": iwae.k50}
TWO = {"vae-iwae-2-k1": iwae.two_k1, "iwae-2-k5": iwae.two_k5, "iwae-2-k50": iwae.two_k50}
RESULT = Path(__file__).parent / "results" / "iwae.json"


def quick(name: str, cell: Experiment) -> Experiment:
    """Returns the experiment for two epochs on the embedded digits, under another name."""
    data = dataclasses.replace(cell.data, name="mnist-5k")
    return dataclasses.replace(cell, name=f"{name}-quick", data=data, epochs=2)


def shortened(name: str, cell: Experiment) -> Experiment:
    """Returns the experiment as in the zoo, with its registered name."""
    return dataclasses.replace(cell, name=name)


def full(name: str, cell: Experiment) -> Experiment:
    """Returns the experiment for the paper's 3,280 epochs, under another name."""
    return dataclasses.replace(cell, name=f"{name}-full", epochs=3280)


def result(experiment: Experiment, samples: int) -> dict[str, Any]:
    """Returns the result of the newest finished run, or trains one and measures it with so many importance samples."""
    kept = sorted(Path("runs", experiment.name).glob("*/result.json"))
    if kept:
        return json.loads(kept[-1].read_text())
    run = aejax.fit(experiment, folder="runs", samples=samples, show_progress=True, figures=False).run
    return json.loads((run.path / "result.json").read_text())


MODES = {
    (): (ONE, quick, 50),
    ("mnist",): (ONE | TWO, shortened, 5000),
    ("mnist", "full"): (ONE | TWO, full, 5000),
}
mode = tuple(sys.argv[1:])
if mode not in MODES:
    sys.exit(f"the arguments are {' '.join(mode)!r}: give none, mnist, or mnist full")
cells, change, samples = MODES[mode]
enable_compilation_cache()
nll = f"nll_{samples}_nats"
published = {name: cell().expected for name, cell in cells.items()}
results = {name: result(change(name, cell()), samples) for name, cell in cells.items()}

table = Table("cell", "epochs", f"-log p(x), {samples} samples", "published, 3,280 epochs", "active units")
for name in cells:
    epochs, test = results[name]["epochs"], results[name]["test"]
    table.add_row(name, f"{epochs}", f"{test[nll]:.2f}", f"{published[name].value:.2f}", f"{test['active_units']:.0f}")
Console().print(table)

if mode == ("mnist",):
    test = {f"{name}_{metric}": results[name]["test"][metric] for name in cells for metric in (nll, "active_units")}
    expected = dataclasses.replace(published["iwae-k50"], metric=f"iwae-k50_{nll}")
    write_study(RESULT, test, expected, sum(result["train_seconds"] for result in results.values()))
