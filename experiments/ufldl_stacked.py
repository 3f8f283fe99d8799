"""Trains the stack of Stanford's UFLDL exercise: two layers of KL-sparse codes one by one, then a softmax.

    python experiments/ufldl_stacked.py         on the 5,000 embedded digits, a few seconds
    python experiments/ufldl_stacked.py mnist   784-200-200-10 on all of MNIST, and the result as JSON

The recipe is that of UFLDL, Stacked autoencoders: rho 0.1, beta 3, weight decay 3e-3, with an accuracy of about 97 %
after fine-tuning. There it is trained by 400 iterations of L-BFGS on the whole training set, here by Adam on batches.
"""

import dataclasses
import sys
import time
from pathlib import Path

from sdae_mnist import pretrained

import aejax
from aejax.core import Adam, Cosine
from aejax.data import Data, load
from aejax.evaluation import fine_tune, write_study
from aejax.experiment import Expected, Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain

EXPECTED = Expected("accuracy", 0.97, 0.0, "UFLDL, Stacked autoencoders, after fine-tuning", "V", True)
RESULT = Path(__file__).parent / "results" / "ufldl_stacked.json"


def main() -> None:
    """Pretrains, fine-tunes, and prints the accuracy on test."""
    full = sys.argv[1:] == ["mnist"]
    data = Data("mnist" if full else "mnist-5k", validation=0.0)
    dataset, start = load(data), time.perf_counter()
    layer = dataclasses.replace(aejax.get("sae-kl"), data=data)
    if not full:
        layer = dataclasses.replace(layer, batch_size=100, epochs=5)
    epochs, rate = (30, 1e-3) if full else (5, 3e-3)
    encoder, decoder = MLPEncoder((200,), "sigmoid"), MLPDecoder((200,), "sigmoid")
    stack = Experiment(Autoencoder(encoder, Plain(200, "sigmoid"), decoder), Loss(Gaussian()), data)
    trained = pretrained(stack, [layer, layer], dataset)
    measured = fine_tune(trained, dataset, optimizer=Adam(rate, Cosine()), epochs=epochs)
    accuracy = 1 - measured["error"]
    print(f"accuracy on test {accuracy:.4f} (published: {EXPECTED.value})")
    if full:
        write_study(RESULT, {"accuracy": accuracy}, EXPECTED, time.perf_counter() - start)


if __name__ == "__main__":
    main()
