"""Measures how much noise a denoising autoencoder should see: its error on clean and on noisy digits by noise level.

    python experiments/noise_level.py            a few epochs on the 5,000 embedded digits, seconds
    python experiments/noise_level.py mnist-5k   all of it on those
    python experiments/noise_level.py mnist      on all of MNIST, with a figure, and the result as JSON

The model is 784-500-784; all levels train as one population. Found on the 5,000 digits (10 epochs): on digits with
noise of 0.5 the error is least with training at 0.25 to 0.5, 18.9 against 20.7 without noise; with more noise all
reconstructions are blurred. On clean digits noise in training only raises the error, by little up to 0.25: in ten
epochs there is no overfitting that it could prevent.
"""

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np

import aejax
from aejax import training
from aejax.data import Data, load, scaled
from aejax.evaluation import figures, write_study
from aejax.experiment import Expected
from aejax.sweeps import SummaryRow, plan
from aejax.sweeps.figures import along

HERE = Path(__file__).parent
LEVELS = [0.0, 0.1, 0.25, 0.5, 0.75, 1.0]
SEEN = (0.0, 0.25, 0.5)
"""The levels of the noise on the test digits."""
EXPECTED = Expected("trained_at_0.5_seen_0.5", 15.549, 0.0, "the best linear denoiser (Wiener's), exactly", "C")

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
full = len(sys.argv) > 1
data = Data(name, validation=0.0)
base = dataclasses.replace(aejax.get("dae-gaussian"), data=data, batch_size=128, epochs=10 if full else 2)
axes = {"model.latent.size": [500 if full else 100], "loss.corruption.level": LEVELS if full else LEVELS[::3]}
dataset, start = load(data), time.perf_counter()
test = scaled(dataset.test.x)
noise = np.random.default_rng(0).normal(size=test.shape).astype(np.float32)
trials = plan.grid(base, axes)
rows, found = [], {}
for trial, outcome in zip(
    trials, training.fit_many([trial.experiment for trial in trials], dataset=dataset), strict=True
):
    level = trial.settings["loss.corruption.level"]
    for seen in SEEN:
        back = outcome.trained.reconstruct(test + seen * noise)
        error = float(np.square(back - test).reshape(len(test), -1).sum(axis=1).mean())
        found[f"trained_at_{level:g}_seen_{seen:g}"] = error
        rows.append(SummaryRow({"noise in training": level, "on test": seen}, [error], 0, 0))
    print(f"noise {level:4}  squared error", *(f"at {row.settings['on test']} {row.mean:.2f}" for row in rows[-3:]))
if name == "mnist":
    write_study(HERE / "results" / "noise_level.json", found, EXPECTED, time.perf_counter() - start)
    figure = along(rows, "noise in training", "squared error", by="on test")
    figures.save(figure, HERE.parent / "docs" / "figures" / "noise_level.png")
