"""Measures a linear SVM on the 2,000 units of the fully connected winner-take-all autoencoder.

    python experiments/winner_take_all.py         a small code of the 5,000 embedded digits, seconds
    python experiments/winner_take_all.py mnist   as published, on all of MNIST, and the result as JSON

The model is that of Makhzani & Frey 2015, with 5 % lifetime sparsity in training, and after it no sparsity but ReLU's.
They report 98.80 % of the test images right, and a replication 98.62 %. Beside it stands the same SVM on pixels. On
6,000 training images that were held out, codes as they are were better than standardised ones, and a C of 0.1 was
better than 1. A finished run below `runs/sae-wta/` is not trained again.
"""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from k_sparse import finished, training_seconds
from sklearn.svm import LinearSVC

from aejax.data import Dataset, load, scaled
from aejax.evaluation import write_study
from aejax.experiment import Expected, Experiment
from aejax.experiment.zoo import sae

EXPECTED = Expected("code_svm_accuracy", 0.986, 0.0, "Makhzani & Frey 2015: 0.9880, a replication 0.9862", "R", True)
RESULT = Path(__file__).parent / "results" / "winner_take_all.json"


def quick(experiment: Experiment) -> Experiment:
    """Returns an experiment with a small code, on the embedded digits."""
    model = experiment.model.clone(latent=experiment.model.latent.clone(size=100))
    data = dataclasses.replace(experiment.data, name="mnist-5k")
    return dataclasses.replace(experiment, name="sae-wta-quick", model=model, data=data, batch_size=100)


def accuracy(dataset: Dataset, features: Callable[[np.ndarray], np.ndarray]) -> float:
    """Fits a linear SVM to features of the images, and returns the share of right answers on test."""
    fitted = LinearSVC(C=0.1, dual=False).fit(features(dataset.train.x), dataset.train.label)
    return fitted.score(features(dataset.test.x), dataset.test.label)


def main() -> None:
    """Trains, fits the SVMs, and prints the accuracies on test."""
    full = sys.argv[1:] == ["mnist"]
    published = dataclasses.replace(sae.winner_take_all(), name="sae-wta")
    experiment = published if full else quick(published)
    dataset = load(experiment.data)
    model, start = finished(experiment, dataset), time.perf_counter()
    found = {
        "code_svm_accuracy": accuracy(dataset, model.encode),
        "raw_pixels_svm_accuracy": accuracy(dataset, lambda x: scaled(x).reshape(len(x), -1)),
    }
    for name, value in found.items():
        print(f"{name.replace('_', ' '):26} {value:.4f}")
    if full:
        write_study(RESULT, found, EXPECTED, training_seconds(model) + time.perf_counter() - start)


if __name__ == "__main__":
    main()
