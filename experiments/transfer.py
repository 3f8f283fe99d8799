"""Measures transfer: codes learned on one domain and probed on another, beside PCA learned likewise and raw pixels.

    python experiments/transfer.py                        digits 0-4 to digits 5-9 of mnist-5k
    python experiments/transfer.py mnist                  the same of all of MNIST, and the result as JSON
    python experiments/transfer.py mnist fashion_mnist    all of one data set to all of another

The probe is logistic regression on standardised features, trained on the target's training part and scored on its test
part. The codes and PCA of the source have never seen the target; beside them stand those learned on the target itself,
without its labels. Found on all of MNIST: codes of the digits 0-4 serve 5-9 as well as codes of their own (accuracy
0.929 for both), and better than raw pixels (0.925) or PCA (0.919 of the source, 0.925 of the target). On the 5,000
embedded digits codes of the target itself are better (0.956 against 0.924).
"""

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import aejax
from aejax.core import Examples
from aejax.data import Data, Dataset, load
from aejax.evaluation import write_study
from aejax.experiment import Expected

MOST = 10_000  # training examples of the probe
RESULT = Path(__file__).parent / "results" / "transfer.json"


def only(dataset: Dataset, first: int, last: int) -> Dataset:
    """Returns the data set with the examples whose labels are from `first` to `last`, both included.

    Args:
        dataset: the data set.
        first: the least label.
        last: the greatest label.
    """
    parts = (
        part.take(np.flatnonzero((part.label >= first) & (part.label <= last))) if len(part) else part
        for part in (dataset.train, dataset.validation, dataset.test)
    )
    return Dataset(f"{dataset.name} {first}-{last}", *parts)


def probe(features, target: Dataset) -> float:
    """Trains a probe on features of the target's training part, and returns its accuracy on the test part.

    `features` takes a part to its features [n, size].
    """
    train = target.train.take(np.arange(min(MOST, len(target.train))))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    classifier.fit(features(train), train.label)
    return classifier.score(features(target.test), target.test.label)


def flat(part: Examples) -> np.ndarray:
    """Returns each image of a part as a vector of pixels in [0, 1]."""
    return part.x.reshape(len(part), -1) / np.float32(255)


def learned(dataset: Dataset):
    """Trains an autoencoder and PCA on a data set's training part.

    Returns two functions that take a part to its features: the codes of the one and the components of the other.
    """
    base = aejax.get("ae-deep")
    batch_size, epochs = (256, 50) if len(dataset.train) > 10_000 else (32, 20)
    experiment = dataclasses.replace(base, data=Data(dataset.name), batch_size=batch_size, epochs=epochs)
    trained = aejax.fit(experiment, dataset=dataset)
    pca = PCA(trained.experiment.model.latent.size, random_state=0).fit(flat(dataset.train))
    return lambda part: trained.encode(part.x), lambda part: pca.transform(flat(part))


names, start = sys.argv[1:] or ["mnist-5k"], time.perf_counter()
loaded = [load(Data(name, validation=0.0)) for name in names]
source, target = loaded if len(loaded) == 2 else (only(loaded[0], 0, 4), only(loaded[0], 5, 9))
print(f"{source.name} ({len(source.train)} examples) to {target.name} ({len(target.train)}): accuracy on test")
accuracy = {"raw_pixels": probe(flat, target)}
for where, dataset in (("source", source), ("target", target)):
    for label, features in zip(("autoencoder", "PCA"), learned(dataset), strict=True):
        accuracy[f"{label}_of_the_{where}"] = probe(features, target)
for label, value in accuracy.items():
    print(f"{label.replace('_', ' '):26} {value:.4f}")
if names == ["mnist"]:
    beside = "PCA with as many components, learned on the same digits and probed likewise"
    expected = Expected("autoencoder_of_the_source", accuracy["PCA_of_the_source"], 0.0, beside, "C", True)
    write_study(RESULT, accuracy, expected, time.perf_counter() - start)
