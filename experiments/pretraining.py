"""Compares starts of a deep sigmoid autoencoder: random weights, and greedy pretraining by autoencoders or by RBMs.

    python experiments/pretraining.py [DATA]      mnist-5k by default

Hinton & Salakhutdinov 2006: from random weights deep sigmoid layers learn little more than the mean image, and from
layers that were trained one by one beforehand they learn more. The script prints the squared error on test after the
same few epochs of fine-tuning.
"""

import dataclasses
import sys

import aejax
from aejax.core import Adam
from aejax.data import Data, load
from aejax.experiment import Experiment
from aejax.losses import Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, TiedAutoencoder
from aejax.training import pretraining

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
hidden = (256, 128)
model = Autoencoder(MLPEncoder(hidden, "sigmoid"), Plain(30), MLPDecoder(hidden[::-1], "sigmoid"))
experiment = Experiment(model, Loss(), Data(name), Adam(1e-3), batch_size=100, epochs=5, name="pretraining")
layer = dataclasses.replace(experiment, model=Autoencoder(MLPEncoder(), Plain(), MLPDecoder()), epochs=10)
rbm = dataclasses.replace(layer, model=TiedAutoencoder(), loss=pretraining.rbm(), optimizer=Adam(2e-3))
dataset = load(experiment.data)

for way, recipe in {"from random weights": None, "by autoencoders": layer, "by RBMs": rbm}.items():
    params = None
    if recipe is not None:
        parts = pretraining.layers(experiment, [recipe] * 3, dataset)
        params = pretraining.unroll(experiment, dataset, parts)
    trained = aejax.fit(experiment, dataset=dataset, params=params)
    print(f"{way}: squared error on test {trained.evaluate(dataset.test)['squared_error']:.2f}")
