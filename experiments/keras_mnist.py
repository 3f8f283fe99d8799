"""Trains the simple autoencoder of section 5 of the article on MNIST, uses encoder and decoder apart, shows the digits.

python experiments/keras_mnist.py            the 5,000 embedded digits, half a minute
python experiments/keras_mnist.py mnist      all 60,000, as published: test cross-entropy 0.0916 per pixel
"""

import dataclasses
import sys
from pathlib import Path

import aejax
from aejax.data import Data, load
from aejax.evaluation import figures

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
batch_size = 32 if name == "mnist-5k" else 256  # less data needs smaller batches for enough steps
experiment = dataclasses.replace(aejax.get("ae-keras"), data=Data(name, validation=0.0), batch_size=batch_size)
dataset = load(experiment.data)
trained = aejax.fit(experiment, dataset=dataset, show_progress=True)

codes = trained.encode(dataset.test.x)  # the separate encoder: [n, 32]
decoded = trained.decode(codes)  # the separate decoder: [n, 28, 28, 1]
metrics = trained.evaluate(dataset.test)
print(
    f"{dataset.shape} -> {codes.shape[1]}, test cross-entropy {metrics['reconstruction_nats_per_pixel']:.4f} per pixel"
)

out = Path("keras_mnist.png")
figures.save(figures.reconstructions(dataset.test.x[:10] / 255, decoded[:10]), out)
print(out)
