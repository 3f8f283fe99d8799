"""Measures one-class MNIST: how well the error of a model trained on one digit tells the other nine apart.

    python experiments/one_class_mnist.py         three digits of mnist-5k, seconds
    python experiments/one_class_mnist.py full    all ten of mnist, and writes experiments/results/one_class_mnist.json

A denoising autoencoder, with the same settings for every digit, stands beside PCA with 32 components, the optimal
linear autoencoder. Both are trained on the digit's training images. The score is the squared error of the
reconstruction, and AUROC is that of the digit against the rest over all test images. Settings were chosen on digits 2
and 8, with 10,000 of the training images in place of the test images.
"""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

import aejax
from aejax.core import Adam, Cosine, Examples, json_text
from aejax.data import Data, Dataset, load
from aejax.experiment import Experiment, to_json
from aejax.losses import Gaussian, GaussianNoise, Loss
from aejax.metrics import detection_metrics
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.runs import hardware, versions

RESULTS = Path(__file__).parent / "results"
COMPONENTS = 32


def settings(data: str, epochs: int) -> Experiment:
    """Returns the experiment, which is the same for every digit, on that data set."""
    return Experiment(
        Autoencoder(MLPEncoder((512,)), Plain(64), MLPDecoder((512,))),
        Loss(Gaussian(), corruption=GaussianNoise(0.3)),
        Data(data, validation=0.0),
        Adam(1e-3, Cosine()),
        batch_size=128,
        epochs=epochs,
    )


def one_class(dataset: Dataset, digit: int) -> Dataset:
    """Returns the data set with the training images of one digit, and every test image."""
    of_digit = dataset.train.take(np.flatnonzero(dataset.train.label == digit))
    return Dataset(f"{dataset.name}, {digit}", of_digit, of_digit.take(np.arange(0)), dataset.test)


def pca_error(train: Examples, test: Examples) -> np.ndarray:
    """Returns the squared error of each test image in PCA's reconstruction, summed over pixels in [0, 1]."""
    fit, x = (part.x.reshape(len(part), -1) / np.float32(255) for part in (train, test))
    pca = PCA(COMPONENTS, random_state=0).fit(fit)
    return np.square(x - pca.inverse_transform(pca.transform(x))).sum(axis=1)


full = sys.argv[1:] == ["full"]
name, digits, epochs = ("mnist", range(10), 30) if full else ("mnist-5k", (0, 2, 8), 30)
experiment = settings(name, epochs)
dataset = load(experiment.data)
began, rows = time.perf_counter(), {}
print("digit  autoencoder      PCA   (AUROC, %)")
for digit in digits:
    subset = one_class(dataset, digit)
    other = dataset.test.label != digit
    trained = aejax.fit(experiment, dataset=subset)
    scores = {"autoencoder": trained.score(dataset.test.x), "pca": pca_error(subset.train, dataset.test)}
    rows[digit] = {method: detection_metrics(score, other) for method, score in scores.items()}
    print(f"{digit:5}", *(f"{100 * row['auroc']:11.2f}" for row in rows[digit].values()))
means = {method: float(np.mean([row[method]["auroc"] for row in rows.values()])) for method in ("autoencoder", "pca")}
print(f" mean {100 * means['autoencoder']:11.2f} {100 * means['pca']:11.2f}")
if full:
    result = {
        "name": "one_class_mnist",
        "experiment": to_json(experiment),
        "rows": rows,
        "means": means,
        "met": means["autoencoder"] > 0.9553,
        "seconds": time.perf_counter() - began,
        "hardware": hardware(),
        "versions": versions(),
    }
    (RESULTS / "one_class_mnist.json").write_text(json_text(result, indent=2) + "\n")
