"""Measures what models generate, beside floors: the Frechet distance and others, in features of the data's own labels.

    python experiments/generation.py              the 5,000 embedded digits, one epoch each
    python experiments/generation.py mnist 5      all 60,000, as many epochs, and the result as JSON

Floors: training images against test; training images drawn again, with repetition; a normal distribution in the space
of 32 principal components. A regularised autoencoder (Ghosh et al. 2020) generates from a mixture of ten Gaussians that
is fitted to its codes; a VAE of the same layers from its prior, from such a mixture, and from a second VAE of its codes
(Dai & Wipf 2019). They publish, by FID of a convolutional network, RAE-L2 8.69 < VAE with mixture 17.66 < VAE with
prior 19.21: of these numbers only the order can be compared.
"""

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

import aejax
from aejax.data import Data, load, scaled
from aejax.evaluation import compare_generated, feature_space, write_study
from aejax.experiment import Expected
from aejax.losses import KL, Bernoulli, Loss, Reconstruction
from aejax.metrics import generation_metrics
from aejax.models import GaussianLatent, VariationalAutoencoder
from aejax.trained import Mixture, SecondStage

RESULT = Path(__file__).parent / "results" / "generation.json"
MOST, COMPONENTS = 10_000, 32

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 1
steps = 1000 if len(sys.argv) > 2 else 30
data = Data(name, validation=0.0)
dataset, start = load(data), time.perf_counter()
space, rng = feature_space(dataset), np.random.default_rng(0)
test = scaled(dataset.test.at_most(MOST).x)
real, found = space.of(test), {}


def tell(row, metrics):
    """Keeps the metrics of a row by its name, and prints them."""
    found.update({f"{row}_{metric}": value for metric, value in metrics.items()})
    print(f"{row:26}", *(f"{value:>9.3f}" for value in metrics.values()), flush=True)
    return metrics


def floor(row, x):
    """Measures images [n, h, w, c] that no model made."""
    return tell(row, generation_metrics(space.of(np.clip(x, 0, 1)), real, space.name))


train = scaled(dataset.train.at_most(MOST).x)[: len(test)]
first = floor("floor_train", train)
floor("floor_drawn_again", scaled(dataset.train.take(np.sort(rng.integers(len(dataset.train), size=len(test)))).x))
pca = PCA(COMPONENTS, random_state=0).fit(train.reshape(len(train), -1))
normal = rng.normal(size=(len(test), COMPONENTS)) * np.sqrt(pca.explained_variance_)
floor("floor_normal_in_pca32", pca.inverse_transform(normal).reshape(test.shape).astype(np.float32))
print(f"{'':26}", *(f"{metric[: -len(space.name) - 1][:9]:>9}" for metric in first))

rae = dataclasses.replace(aejax.get("rae-mnist"), data=data, epochs=epochs)
parts = (rae.model.encoder, GaussianLatent(rae.model.latent.size), rae.model.decoder)
elbo = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()})
models = {
    "rae": (rae, {"mixture": Mixture()}),
    "vae": (
        dataclasses.replace(rae, model=VariationalAutoencoder(*parts), loss=elbo),
        {
            "prior": None,
            "mixture": Mixture(),
            "second_stage": SecondStage(steps=steps),
        },
    ),
}
for model, (experiment, samplers) in models.items():
    trained = aejax.fit(experiment, dataset=dataset)
    found[f"{model}_squared_error"] = trained.evaluate(dataset.test)["squared_error"]
    for kind, sampler in samplers.items():
        drawn = trained if sampler is None else trained.fit_sampler(sampler, like=dataset.train)
        tell(f"{model}_{kind}", compare_generated(drawn, dataset.test, dataset))

if name == "mnist":
    metric = f"fd_{space.name}"
    source = (
        f"the same layers as a VAE that draws from its prior, {epochs} epochs; features {space.name}, {space.sha256}"
    )
    expected = Expected(f"rae_mixture_{metric}", found[f"vae_prior_{metric}"], 0.0, source, "C")
    write_study(RESULT, {"epochs": epochs, **found}, expected, time.perf_counter() - start)
