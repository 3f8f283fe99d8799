"""Measures what depth is worth by the size of the code: autoencoders against PCA with as many components.

    python experiments/code_size.py            a few epochs on the 5,000 embedded digits, seconds
    python experiments/code_size.py mnist-5k   all of it on those
    python experiments/code_size.py mnist      on all of MNIST, with a figure, and the result as JSON

The model is 784-256-size-256-784. Every size is a structure of its own, whose seeds train as one population. Found on
the 5,000 digits (10 epochs): a code of 32 numbers has a third less squared error than 32 principal components, 9.2
against 13.7; a code of two has 38.9 against 44.0.
"""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from aejax import training
from aejax.core import Adam, Cosine
from aejax.data import Data, load
from aejax.evaluation import figures, write_study
from aejax.experiment import Expected, Experiment
from aejax.losses import Bernoulli, Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.sweeps import SummaryRow, plan
from aejax.sweeps.figures import along

HERE = Path(__file__).parent
EXPECTED = Expected("autoencoder_of_32_squared_error", 13.193, 0.0, "PCA with 32 components, exactly", "C")

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
full = len(sys.argv) > 1
data = Data(name, validation=0.0)
dataset, start = load(data), time.perf_counter()
model = Autoencoder(MLPEncoder((256,)), Plain(2), MLPDecoder((256,)))
base = Experiment(
    model, Loss(Bernoulli()), data, Adam(2e-3, Cosine()), 128 if name == "mnist" else 32, 10 if full else 2
)
axes = {"model.latent.size": [2, 4, 8, 16, 32, 64] if full else [2, 32], "seed": [0, 1] if full else [0]}
train, test = (part.x.reshape(len(part), -1) / np.float32(255) for part in (dataset.train, dataset.test))
components = PCA(64, random_state=0).fit(train)
rows, found = [], {}
for group in plan.groups(plan.grid(base, axes)):
    size = group[0].settings["model.latent.size"]
    fitted = training.fit_many([trial.experiment for trial in group], dataset=dataset)
    errors = [outcome.trained.evaluate(dataset.test)["squared_error"] for outcome in fitted]
    code = components.transform(test)
    code[:, size:] = 0
    pca = float(np.square(test - components.inverse_transform(code)).sum(axis=1).mean())
    rows += [SummaryRow({"size of the code": size, "by": "autoencoder"}, errors, 0, 0)]
    rows += [SummaryRow({"size of the code": size, "by": "PCA"}, [pca], 0, 0)]
    found |= {f"autoencoder_of_{size}_squared_error": rows[-2].mean, f"PCA_of_{size}_squared_error": pca}
    print(f"size {size:2}: squared error {rows[-2].mean:6.2f}, PCA {pca:6.2f}")
if name == "mnist":
    write_study(HERE / "results" / "code_size.json", found, EXPECTED, time.perf_counter() - start)
    figures.save(
        along(rows, "size of the code", "squared error", by="by"), HERE.parent / "docs" / "figures" / "code_size.png"
    )
