"""Trains a stacked denoising autoencoder: three layers one by one undo masking, then a classifier is fine-tuned.

    python experiments/sdae_mnist.py         a small stack on the 5,000 embedded digits, a few seconds
    python experiments/sdae_mnist.py mnist   three layers of 1,000 on all of MNIST, and the result as JSON

Vincent et al. 2010, table 3, report a test error of 1.28 % with masking noise (SDAE-3) and 1.40 % without (SAE-3).
Masking loses 10, 20 and 30 % of the input of the three layers, as in Theano's tutorial (1.30 %). Neither has the
dropout and the masking with which the stack is fine-tuned here.

The settings of fine-tuning were chosen on every tenth stretch of 600 training images, held out whole. Images drawn at
random would be too easy, because the training part is in the order of its writers: an image's nearest neighbour is one
of the ten before or after it 30 times as often as by chance. Of the images held out 3.73 % were wrong after 12 epochs
from a learning rate of 1e-4, 2.52 % from 5e-4, 1.73 % after 40 epochs with a fifth of the pixels lost, and 1.33 % after
60 epochs from 2e-3, as it is done here.
"""

import sys
import time
from pathlib import Path

import jax.numpy as jnp

from aejax import core
from aejax.core import Adam, Cosine
from aejax.data import Data, Dataset, load
from aejax.evaluation import fine_tune, write_study
from aejax.experiment import Expected, Experiment
from aejax.losses import Loss, Masking
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.trained import Trained
from aejax.training import pretraining

EXPECTED = Expected("error_percent", 1.40, 0.0, "Vincent et al. 2010, SAE-3; SDAE-3 has 1.28 %", "R")
RESULT = Path(__file__).parent / "results" / "sdae_mnist.json"


def stack(data: Data, width: int) -> Experiment:
    """Returns the stack: three sigmoid layers each way, with dropout for fine-tuning but not for pretraining."""
    encoder = MLPEncoder((width, width), "sigmoid", dropout=0.5)
    model = Autoencoder(encoder, Plain(width, "sigmoid"), MLPDecoder((width, width), "sigmoid"))
    return Experiment(model, Loss(), data, name="sdae")


def layer(data: Data, width: int, masked: float, epochs: int) -> Experiment:
    """Returns the recipe that pretrains one layer of the stack.

    Args:
        data: the data.
        width: the number of units.
        masked: the share of the layer's input that is set to zero.
        epochs: the number of epochs.
    """
    model = Autoencoder(MLPEncoder(), Plain(width, "sigmoid"), MLPDecoder())
    loss = Loss(corruption=Masking(masked))
    return Experiment(model, loss, data, Adam(1e-3, Cosine(0.1)), batch_size=128, epochs=epochs)


def pretrained(experiment: Experiment, recipes: list[Experiment], dataset: Dataset) -> Trained:
    """Pretrains the layers of a stack one by one, and returns the whole stack with what they have learned.

    Args:
        experiment: the stack.
        recipes: the recipe of each layer, the first one first.
        dataset: the data.
    """
    params = pretraining.unroll(experiment, dataset, pretraining.layers(experiment, recipes, dataset))
    state = core.State(jnp.zeros((), jnp.int32), params, (), {})
    preprocess = experiment.data.preprocess.fit(dataset.train.x)
    return Trained(experiment.resolve(dataset), dataset.shape, preprocess, state)


def main() -> None:
    """Pretrains, fine-tunes, and prints the share of wrong answers on test."""
    full = sys.argv[1:] == ["mnist"]
    width, epochs, tuning, rate = (1000, 15, 60, 2e-3) if full else (100, 3, 10, 5e-3)
    data = Data("mnist" if full else "mnist-5k", validation=0.0)
    dataset, start = load(data), time.perf_counter()
    recipes = [layer(data, width, masked, epochs) for masked in (0.1, 0.2, 0.3)]
    trained = pretrained(stack(data, width), recipes, dataset)
    optimizer = Adam(rate, Cosine())
    measured = fine_tune(trained, dataset, optimizer=optimizer, epochs=tuning, batch_size=100, corruption=Masking(0.2))
    error = 100 * measured["error"]
    print(f"test error {error:.2f} % (published: SAE-3 1.40 %, SDAE-3 1.28 %)")
    if full:
        write_study(RESULT, {"error_percent": error}, EXPECTED, time.perf_counter() - start)


if __name__ == "__main__":
    main()
