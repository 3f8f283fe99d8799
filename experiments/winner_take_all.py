"""The fully connected winner-take-all autoencoder: what a linear SVM makes of its 2,000 codes.

    python experiments/winner_take_all.py         a small code of the 5,000 embedded digits, seconds
    python experiments/winner_take_all.py mnist   as published, on all of MNIST, and the result as JSON

Makhzani & Frey 2015: 5 % lifetime sparsity in training, no sparsity but ReLU's after it: 98.80 % of the test
images right, 98.62 % by a replication. The SVM sees standardised features and chooses its C on a sixth of the
training part; beside it stand the same SVMs on pixels and on PCA, which has no more components than
there are pixels.
"""

import sys
import time
from pathlib import Path

import aejax
from aejax.data import Data, load
from aejax.experiment import Expected, Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import TiedAutoencoder, WinnerTakeAll
from aejax.optim import Adam, Cosine
from aejax.probes import compare
from aejax.report import write_study

EXPECTED = Expected("code_svm_accuracy", 0.986, 0.0, "Makhzani & Frey 2015: 0.9880, a replication 0.9862", "R", True)
RESULT = Path(__file__).parent / "results" / "winner_take_all.json"


def settings(data: Data, size: int, batch_size: int) -> Experiment:
    """Tied weights: a unit's stroke is what it looks for and what it draws."""
    model = TiedAutoencoder(latent=WinnerTakeAll(size, 0.05))
    return Experiment(model, Loss(Gaussian()), data, Adam(1e-3, Cosine()), batch_size, epochs=50)


def main() -> None:
    """Trains, probes, and prints the accuracies on test."""
    full = sys.argv[1:] == ["mnist"]
    data = Data("mnist" if full else "mnist-5k", validation=0.0)
    dataset, start = load(data), time.perf_counter()
    size, batch_size, strengths = (2000, 200, (3e-4, 1e-3, 3e-3)) if full else (100, 100, (1e-3,))
    trained = aejax.fit(settings(data, size, batch_size), dataset=dataset)
    rows = compare(trained, dataset, ("svm",), strengths)
    found = {f"{name.replace(' ', '_')}_{metric}": value for name, row in rows.items() for metric, value in row.items()}
    for name, value in found.items():
        print(f"{name.replace('_', ' '):26} {value:.4f}")
    if full:
        write_study(RESULT, found, EXPECTED, time.perf_counter() - start)


if __name__ == "__main__":
    main()
