"""Measures mixed precision: convolutional models whose encoder and decoder compute in bfloat16, beside float32.

    python experiments/precision.py         one epoch of one model on mnist-5k
    python experiments/precision.py 15      15 epochs of two models with five seeds, and the result as JSON

With the same seed both precisions start from the same parameters and see the same batches. The quality counts as equal
if the loss on test is at most 1 % higher in bfloat16, by the mean of the seeds' ratios. The spread over seeds stands
beside it.
"""

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np

import aejax
from aejax.data import load
from aejax.evaluation import write_study
from aejax.experiment import Expected

RESULT = Path(__file__).parent / "results" / "precision.json"
PRECISIONS = ("float32", "bfloat16")


def loss_on_test(name: str, precision: str, seed: int, epochs: int) -> float:
    """Trains an experiment on the embedded digits, and returns its loss on test in nats.

    Args:
        name: the experiment.
        precision: "float32" or "bfloat16", in which encoder and decoder compute.
        seed: the seed.
        epochs: the number of epochs.
    """
    base = aejax.get(name)
    data, model = dataclasses.replace(base.data, name="mnist-5k"), base.model.clone(precision=precision)
    experiment = dataclasses.replace(base, data=data, model=model, batch_size=32, epochs=epochs, seed=seed)
    dataset = load(experiment.data)
    return aejax.fit(experiment, dataset=dataset).evaluate(dataset.test)["loss_nats"]


full, start = len(sys.argv) > 1, time.perf_counter()
epochs, names, seeds = (int(sys.argv[1]), ("ae-conv", "vae-conv"), range(5)) if full else (1, ("ae-conv",), range(1))
test: dict[str, float] = {}
for name in names:
    losses = np.array([[loss_on_test(name, precision, seed, epochs) for precision in PRECISIONS] for seed in seeds])
    ratios = losses[:, 1] / losses[:, 0]
    found = dict(zip(PRECISIONS, losses.mean(axis=0), strict=True)) | {"ratio": ratios.mean()}
    if full:
        found["seeds_apart"] = losses[:, 0].std(ddof=1)
        found["ratio_error"] = ratios.std(ddof=1) / len(ratios) ** 0.5
    test |= {f"{name}_{metric}": float(value) for metric, value in found.items()}
    print(name, ", ".join(f"{metric.replace('_', ' ')} {value:.4g}" for metric, value in found.items()), flush=True)
test["worst_ratio"] = max(test[f"{name}_ratio"] for name in names)
if full:
    source = f"the same in float32, after {epochs} epochs of mnist-5k, means of {len(seeds)} seeds"
    write_study(RESULT, test, Expected("worst_ratio", 1.0, 0.01, source, "C"), time.perf_counter() - start)
