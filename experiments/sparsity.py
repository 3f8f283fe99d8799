"""Compares two ways to a sparse code, a weight on its L1 norm and keeping the k largest: error against active units.

    python experiments/sparsity.py            a few epochs on the 5,000 embedded digits, seconds
    python experiments/sparsity.py mnist-5k   all of it on those
    python experiments/sparsity.py mnist      on all of MNIST, with a figure, and the result as JSON

The model is 784-200-784. The weights of L1 train as one population; every k is a structure of its own. Found on the
5,000 digits (10 epochs): for the same squared error, 21.9, top-k needs half as many active units, 40 against L1's 83; a
weight of 0.1 leaves 140 of 200 units active at no cost in error, and a weight of 3 leaves 7.
"""

import sys
import time
from pathlib import Path

import numpy as np

from aejax import training
from aejax.core import Adam, Cosine
from aejax.data import Data, load
from aejax.evaluation import figures, write_study
from aejax.experiment import Expected, Experiment
from aejax.losses import Bernoulli, CodeL1, Loss, Reconstruction
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, TopK
from aejax.sweeps import SummaryRow, plan
from aejax.sweeps.figures import along

HERE = Path(__file__).parent
EXPECTED = Expected("k_20_squared_error", 13.193, 0.0, "PCA with 32 components, exactly: 12 more numbers", "C")

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
full = len(sys.argv) > 1
data = Data(name, validation=0.0)
dataset, start = load(data), time.perf_counter()
terms = {"reconstruction": Reconstruction(), "sparsity": CodeL1(1.0)}
optimizer = Adam(1e-3, Cosine())


def experiment(latent, loss):
    """Returns the experiment with that latent and loss; the rest is the same for all."""
    return Experiment(Autoencoder(MLPEncoder(), latent, MLPDecoder()), loss, data, optimizer, 128, 10 if full else 2)


grids = {
    "weight": plan.grid(
        experiment(Plain(200, "relu"), Loss(Bernoulli(), terms)),
        {"loss.terms.sparsity.weight": [0.0, 0.03, 0.1, 0.3, 1.0, 3.0] if full else [0.1, 1.0]},
    ),
    "k": plan.grid(
        experiment(TopK(200, 10), Loss(Bernoulli())), {"model.latent.k": [5, 10, 20, 40, 80] if full else [20]}
    ),
}
rows, found = [], {}
for kind, trials in grids.items():
    for group in plan.groups(trials):
        fitted = training.fit_many([trial.experiment for trial in group], dataset=dataset)
        for trial, outcome in zip(group, fitted, strict=True):
            (value,) = trial.settings.values()
            active = float((np.abs(outcome.trained.encode(dataset.test.x)) > 0).sum(axis=1).mean())
            error = outcome.trained.evaluate(dataset.test)["squared_error"]
            found |= {f"{kind}_{value:g}_active": active, f"{kind}_{value:g}_squared_error": error}
            rows.append(SummaryRow({"active units": active, "by": kind}, [error], 0, 0))
            print(f"{kind:6} {value:5g}: {active:6.1f} active units, squared error {error:.2f}")
if name == "mnist":
    write_study(HERE / "results" / "sparsity.json", found, EXPECTED, time.perf_counter() - start)
    figures.save(
        along(rows, "active units", "squared error", by="by"), HERE.parent / "docs" / "figures" / "sparsity.png"
    )
