"""Measures what a VAE-GAN generates, beside the same VAE without a critic: distances in features of the digits' labels.

    python experiments/vae_gan.py         `vae-gan-mnist` and its twin on the 5,000 embedded digits, one epoch each
    python experiments/vae_gan.py mnist   on all of MNIST, as long as the entry trains, and the result as JSON

Encoder, decoder, code, batches and epochs are the same; the twin's loss is the negative ELBO of grey pixels, by Adam at
the same rate with its usual momentum. 10,000 codes are drawn from the prior. A finished run below `runs/vae-gan-mnist/`
is not trained again.
"""

import dataclasses
import sys
from pathlib import Path

from k_sparse import finished, training_seconds

import aejax
from aejax.core import Adam, Cosine
from aejax.data import load
from aejax.evaluation import compare_generated, feature_space, write_study
from aejax.experiment import Expected
from aejax.losses import KL, Loss, Reconstruction
from aejax.models import NoCritic

RESULT = Path(__file__).parent / "results" / "vae_gan.json"

full = sys.argv[1:] == ["mnist"]
entry = aejax.get("vae-gan-mnist")
gan = entry
if not full:
    data = dataclasses.replace(entry.data, name="mnist-5k")
    gan = dataclasses.replace(entry, name="vae-gan-quick", data=data, epochs=1)
twin = dataclasses.replace(
    gan,
    name=f"{gan.name}-twin",
    model=entry.model.clone(critic=NoCritic()),
    loss=Loss(entry.loss.likelihood, {"reconstruction": Reconstruction(), "kl": KL()}),
    optimizer=Adam(entry.optimizer.learning_rate, Cosine()),
)
dataset = load(gan.data)
space = feature_space(dataset)
metric = f"fd_{space.name}"
test: dict[str, float] = {}
seconds = 0.0
for kind, experiment in (("gan", gan), ("vae", twin)):
    trained = finished(experiment, dataset)
    seconds += training_seconds(trained)
    found = compare_generated(trained, dataset.test, dataset)
    found["squared_error"] = trained.evaluate(dataset.test)["squared_error"]
    test |= {f"{kind}_{name}": float(value) for name, value in found.items()}
    print(f"{kind:4}", *(f"{name} {value:.3f}" for name, value in found.items()), flush=True)
if full:
    source = f"the same VAE without a critic; features {space.name}, {space.sha256}"
    write_study(RESULT, test, Expected(f"gan_{metric}", test[f"vae_{metric}"], 0.0, source, "C"), seconds)
