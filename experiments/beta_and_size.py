"""Measures a VAE's rate, distortion and bound on the likelihood by the weight of its KL and the size of its code.

    python experiments/beta_and_size.py            a few epochs on the 5,000 embedded digits, seconds
    python experiments/beta_and_size.py mnist-5k   all of it on those
    python experiments/beta_and_size.py mnist      on all of MNIST, with a figure, and the result as JSON

The model is Flax's VAE, 784-500-size, on binary pixels. The weights of one size train as one population. All numbers
are in nats, on the test images; the bound is the sum of rate and distortion, whatever weight the model was trained
with. Found on the 5,000 digits (10 epochs): with 20 latents a weight of 0.5 reaches the same bound as 1, 138.7 and
138.6, with more rate and less distortion, and a weight of 4 loses 24 nats; with 2 latents the weight hardly matters
(184 to 187), because the size is what limits the bound.
"""

import dataclasses
import sys
import time
from pathlib import Path

import aejax
from aejax import training
from aejax.data import load
from aejax.evaluation import figures, write_study
from aejax.experiment import Expected
from aejax.sweeps import SummaryRow, plan
from aejax.sweeps.figures import along

HERE = Path(__file__).parent
WEIGHT, SIZE = "loss.terms.kl.weight", "model.latent.size"
EXPECTED = Expected("size_20_weight_1_bound_nats", 104.0, 0.0, "Flax's VAE example after its 30 epochs", "V")

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
full = len(sys.argv) > 1
base = aejax.get("vae-flax")
data = dataclasses.replace(base.data, name=name)
base = dataclasses.replace(base, data=data, epochs=10 if full else 2, batch_size=128)
axes = {
    SIZE: [2, 10, 20, 50] if full else [2, 20],
    WEIGHT: [0.25, 0.5, 1.0, 2.0, 4.0, 8.0] if full else [0.5, 1.0, 4.0],
}
dataset, start = load(data), time.perf_counter()
rows, found = [], {}
for group in plan.groups(plan.grid(base, axes)):
    fitted = training.fit_many([trial.experiment for trial in group], dataset=dataset)
    for trial, outcome in zip(group, fitted, strict=True):
        size, weight = (trial.settings[path] for path in (SIZE, WEIGHT))
        measured = outcome.trained.evaluate(dataset.test)
        rate, distortion = measured["kl_nats"], measured["reconstruction_nats"]
        numbers = {"rate_nats": rate, "distortion_nats": distortion, "bound_nats": rate + distortion}
        found |= {f"size_{size}_weight_{weight:g}_{name}": value for name, value in numbers.items()}
        rows.append(SummaryRow({WEIGHT: weight, SIZE: size}, [rate + distortion], 0, 0))
        print(f"size {size:2} weight {weight:4}", *(f"{name} {value:7.2f}" for name, value in numbers.items()))
if name == "mnist":
    write_study(HERE / "results" / "beta_and_size.json", found, EXPECTED, time.perf_counter() - start)
    figures.save(along(rows, WEIGHT, "bound (nats)", by=SIZE), HERE.parent / "docs" / "figures" / "beta_and_size.png")
