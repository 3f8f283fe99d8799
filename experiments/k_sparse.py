"""k-sparse autoencoders: what logistic regression makes of codes of which k units are active.

    python experiments/k_sparse.py         a small code of the 5,000 embedded digits, seconds
    python experiments/k_sparse.py mnist   1,000 units on all of MNIST, and the result as JSON

Makhzani & Frey 2013; their errors on test are quoted from memory, unverified: k = 10 2.10 %, 25 1.35 %,
40 1.54 %, raw pixels 7.20 %. Trained with k active units, encoded with alpha * k. Every probe sees standardised
features and chooses its C on a sixth of the training part. PCA has as many components as there are
pixels, fewer than units: for a linear probe it is the pixels whitened.
"""

import sys
import time
from pathlib import Path

from sklearn.decomposition import PCA

import aejax
from aejax.data import Data, Dataset, load
from aejax.experiment import Expected, Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import TiedAutoencoder, TopK
from aejax.optim import Adam, Cosine
from aejax.probes import probe
from aejax.report import write_study
from aejax.trained import scaled

EXPECTED = Expected("k25_error_percent", 1.35, 0.0, "Makhzani & Frey 2013, k = 25, unverified", "M")
RESULT = Path(__file__).parent / "results" / "k_sparse.json"
BATCH, ALPHA = 128, 2.0


def settings(data: Data, size: int, k: int, epochs: int, examples: int) -> Experiment:
    """Tied weights; the first half of training goes from 100 active units down to k, which keeps all of them in use."""
    half = epochs * (examples // BATCH) // 2
    model = TiedAutoencoder(latent=TopK(size, k, ALPHA, begin=100, anneal_steps=half))
    return Experiment(model, Loss(Gaussian()), data, Adam(1e-3, Cosine()), BATCH, epochs)


def error(dataset: Dataset, features, strengths: tuple[float, ...]) -> float:
    """The share of wrong answers on test, in percent."""
    (x, label), (test, test_label) = ((features(part.x), part.label) for part in (dataset.train, dataset.test))
    return 100 * (1 - probe("logistic", x, label, test, test_label, strengths)["accuracy"])


def flat(x):
    """Pixels in [0, 1]."""
    return scaled(x).reshape(len(x), -1)


def main() -> None:
    """Trains and probes for every k, and prints the errors beside those of pixels and of PCA."""
    full = sys.argv[1:] == ["mnist"]
    data = Data("mnist" if full else "mnist-5k", validation=0.0)
    dataset, start = load(data), time.perf_counter()
    size, epochs, strengths = (1000, 20, (1e-3, 1e-2, 0.1)) if full else (200, 4, (1e-3,))
    found = {}
    for k in (10, 25, 40) if full else (25,):
        trained = aejax.fit(settings(data, size, k, epochs, len(dataset.train)), dataset=dataset)
        found[f"k{k}_error_percent"] = error(dataset, trained.encode, strengths)
    pca = PCA(random_state=0).fit(flat(dataset.train.x))
    found["PCA_error_percent"] = error(dataset, lambda x: pca.transform(flat(x)), strengths)
    found["raw_pixels_error_percent"] = error(dataset, flat, strengths)
    for name, value in found.items():
        print(f"{name.replace('_', ' '):26} {value:.2f}")
    if full:
        write_study(RESULT, found, EXPECTED, time.perf_counter() - start)


if __name__ == "__main__":
    main()
