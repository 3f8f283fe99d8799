"""Probes the codes of a masked autoencoder, beside those of a convolutional one, PCA and the pixels of the same images.

    python experiments/masked.py           digits of mnist-5k and 20 epochs each, minutes
    python experiments/masked.py DATA      the entry mae-photos in full, on a folder of photos or on tfds:cifar10

All codes have 128 numbers. The probe is logistic regression on standardised codes, fitted to 10,000 examples of the
training part at most, and measured on the test part.
"""

import dataclasses
import sys

import numpy as np

import aejax
from aejax.core import Adam, Cosine
from aejax.data import Data, load
from aejax.evaluation import compare
from aejax.losses import Gaussian, Loss

MOST = 10_000

full, name = bool(sys.argv[1:]), (sys.argv[1:] or ["mnist-5k"])[0]
data = Data(name, validation=0.0)
dataset = load(data)
masked = dataclasses.replace(aejax.get("mae-photos"), data=data)
plain = dataclasses.replace(
    aejax.get("ae-conv"), data=data, loss=Loss(Gaussian()), optimizer=Adam(1e-3, Cosine()), epochs=20
)
if not full:
    masked = dataclasses.replace(masked, epochs=20, batch_size=64)
    plain = dataclasses.replace(plain, batch_size=64)

few = dataclasses.replace(dataset, train=dataset.train.take(np.arange(min(MOST, len(dataset.train)))))
for experiment in (masked, plain):
    trained = aejax.fit(experiment, dataset)
    for what, found in compare(trained, few, ("logistic",)).items():
        print(f"{experiment.name:12} {what:12} {found['logistic_accuracy']:.4f}")
