"""Measures logistic regression on the codes of k-sparse autoencoders, in which k units are active.

    python experiments/k_sparse.py         a small code of the 5,000 embedded digits, seconds
    python experiments/k_sparse.py mnist   1,000 units on all of MNIST, and the result as JSON

The experiment is that of Makhzani & Frey 2013. Their errors on test are quoted from memory and unverified: 2.10 % with
k = 10, 1.35 % with 25, 1.54 % with 40, and 7.20 % of raw pixels. Models are trained with k active units and encode with
4 k; the factor is the paper's alpha. On 6,000 training images that were held out, 4 was better than 2, and codes as
they are were better than standardised ones. Every regression has scikit-learn's C = 1. PCA has 100 components, as many
as a code of k = 25 has active units. A finished run of `sae-topk` below `runs/` is not trained again.
"""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

import aejax
from aejax.data import Dataset, load, scaled
from aejax.evaluation import write_study
from aejax.experiment import Expected, Experiment
from aejax.trained import Trained

EXPECTED = Expected("k25_error_percent", 1.35, 0.0, "Makhzani & Frey 2013, k = 25, unverified", "M")
RESULT = Path(__file__).parent / "results" / "k_sparse.json"
ALPHA = 4.0


def variant(k: int) -> Experiment:
    """Returns the experiment `sae-topk` with another k, which is part of its name."""
    entry = aejax.get("sae-topk")
    if k == entry.model.latent.k:
        return entry
    model = entry.model.clone(latent=entry.model.latent.clone(k=k))
    return dataclasses.replace(entry, name=f"sae-topk-{k}", model=model)


def quick(experiment: Experiment) -> Experiment:
    """Returns an experiment with a small code, on the embedded digits."""
    model = experiment.model.clone(latent=experiment.model.latent.clone(size=200, anneal_steps=60))
    data = dataclasses.replace(experiment.data, name="mnist-5k")
    return dataclasses.replace(experiment, name=f"{experiment.name}-quick", model=model, data=data, epochs=4)


def finished(experiment: Experiment, dataset: Dataset) -> Trained:
    """Loads the newest finished run, such as `scripts/reproduce.py` leaves, or trains a model that is not kept."""
    results = sorted(Path("runs", experiment.name).glob("*/result.json"))
    return aejax.load(results[-1].parent) if results else aejax.fit(experiment, dataset=dataset)


def training_seconds(model: Trained) -> float:
    """Returns the seconds that the model's training took, whenever that was."""
    return sum(row["seconds"] for row in model.history if row["split"] == "train")


def wider(trained: Trained) -> Trained:
    """Returns the same model with `ALPHA` times k active units in every code."""
    model = trained.experiment.model
    model = model.clone(latent=model.latent.clone(alpha=ALPHA))
    return dataclasses.replace(trained, experiment=dataclasses.replace(trained.experiment, model=model))


def error(dataset: Dataset, features: Callable[[np.ndarray], np.ndarray]) -> float:
    """Fits logistic regression to features of the images, and returns the share of wrong answers on test in percent."""
    fitted = LogisticRegression(max_iter=1000).fit(features(dataset.train.x), dataset.train.label)
    return 100 * (1 - fitted.score(features(dataset.test.x), dataset.test.label))


def flat(x: np.ndarray) -> np.ndarray:
    """Returns each image as a vector of pixels in [0, 1]."""
    return scaled(x).reshape(len(x), -1)


def main() -> None:
    """Trains and probes for every k, and prints the errors beside those of pixels and of PCA."""
    full = sys.argv[1:] == ["mnist"]
    experiments = [variant(k) for k in (10, 25, 40)] if full else [quick(variant(25))]
    dataset = load(experiments[0].data)
    models, start = [finished(experiment, dataset) for experiment in experiments], time.perf_counter()
    found = {
        f"k{model.experiment.model.latent.k}_error_percent": error(dataset, wider(model).encode) for model in models
    }
    pca = PCA(100, random_state=0).fit(flat(dataset.train.x))
    found["PCA_error_percent"] = error(dataset, lambda x: pca.transform(flat(x)))
    found["raw_pixels_error_percent"] = error(dataset, flat)
    for name, value in found.items():
        print(f"{name.replace('_', ' '):26} {value:.2f}")
    if full:
        write_study(RESULT, found, EXPECTED, sum(map(training_seconds, models)) + time.perf_counter() - start)


if __name__ == "__main__":
    main()
