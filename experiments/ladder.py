"""Measures what a hierarchy of codes is worth: a small top-down one beside a flat VAE with as many parameters.

    python experiments/ladder.py              narrow ones on the 5,000 embedded digits, one epoch each
    python experiments/ladder.py mnist 10     on all of MNIST, as many epochs, and the result as JSON

Both have the same residual blocks at 14 x 14, 7 x 7 and 4 x 4 places. The hierarchy's code has a layer of maps at each
of these sizes; the flat one's is a vector of 64 numbers, whose dense layers give it more parameters. Each layer of the
hierarchy has a floor of half a nat in training; for the flat one the bound itself is minimised. The likelihood takes
1,000 samples of each of 500 test images. A finished run below
`runs/ladder-hierarchy-EPOCHS/` or `runs/ladder-flat-EPOCHS/` is not trained again.
"""

import dataclasses
import sys
from pathlib import Path

import jax
from k_sparse import finished, training_seconds

import aejax
from aejax.core import Adamax, Cosine, ExponentialAverage
from aejax.data import load
from aejax.evaluation import measure, write_study
from aejax.experiment import Expected
from aejax.losses import KL, FreeBits, Loss, Reconstruction
from aejax.models import (
    GaussianLatent,
    ResidualDecoder,
    ResidualEncoder,
    TopDownAutoencoder,
    TopDownDecoder,
    TopDownLatent,
    VariationalAutoencoder,
)

RESULT = Path(__file__).parent / "results" / "ladder.json"
SAMPLES, IMAGES = 1000, 500


def hierarchy(channels: tuple[int, ...], layers: tuple[int, ...]) -> TopDownAutoencoder:
    """Builds a hierarchy whose stages have so many channels, and its layers so many, the finest first."""
    return TopDownAutoencoder(
        ResidualEncoder(channels, pyramid=True), TopDownLatent(layers), TopDownDecoder(channels[::-1])
    )


def flat(channels: tuple[int, ...], size: int) -> VariationalAutoencoder:
    """Builds a VAE of the same stages, whose code is a vector of a size."""
    return VariationalAutoencoder(ResidualEncoder(channels), GaussianLatent(size), ResidualDecoder(channels[::-1]))


full = sys.argv[1:2] == ["mnist"]
epochs = int(sys.argv[2]) if full else 1
base = aejax.get("ladder-mnist")
data = base.data if full else dataclasses.replace(base.data, name="mnist-5k")
optimizer = Adamax(2e-3, Cosine(), average=ExponentialAverage(0.999), skip_norm=1e4)
dataset = load(data)
models = {
    "hierarchy": (hierarchy((24, 40, 48), (8, 8, 8)), FreeBits(free=0.5)),
    "flat": (flat((24, 40, 48), 64), KL()),
}
if not full:
    models = {"hierarchy": (hierarchy((4, 4, 4), (1, 1, 1)), FreeBits(free=0.5)), "flat": (flat((4, 4, 6), 4), KL())}
test: dict[str, float] = {}
seconds = 0.0
for name, (model, rate) in models.items():
    loss = Loss(base.loss.likelihood, {"reconstruction": Reconstruction(), "kl": rate})
    experiment = dataclasses.replace(
        base, model=model, loss=loss, data=data, optimizer=optimizer, batch_size=128, epochs=epochs, expected=None
    )
    experiment = dataclasses.replace(experiment, name=f"ladder-{name}-{epochs}" if full else "")
    trained = finished(experiment, dataset)
    seconds += training_seconds(trained)
    found = measure(trained, dataset.test, samples=0)
    few = measure(trained, dataset.test.at_most(IMAGES), SAMPLES if full else 10)
    found |= {f"{metric}_of_{IMAGES}": value for metric, value in few.items() if metric.startswith("nll")}
    found["parameters"] = float(sum(leaf.size for leaf in jax.tree.leaves(trained.used.params)))
    test |= {f"{name}_{metric}": value for metric, value in found.items()}
    for metric, value in found.items():
        print(f"{name:10} {metric:24} {value:.3f}", flush=True)
assert test["flat_parameters"] >= test["hierarchy_parameters"]
test["lead_nats"] = test["flat_negative_elbo_nats"] - test["hierarchy_negative_elbo_nats"]
print(f"the hierarchy's bound is {test['lead_nats']:.2f} nats lower")
if full:
    expected = Expected("lead_nats", 1.5, 0.0, "a flat VAE with no fewer parameters, the same epochs", "C", True)
    write_study(RESULT, test, expected, seconds)
