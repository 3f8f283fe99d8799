"""Shows that a linear autoencoder trained by gradient descent ends in PCA's subspace and at PCA's error.

    python experiments/linear_pca.py [DATA]      mnist-5k by default; mnist gives the published 13.193

The theory is that of Bourlard & Kamp 1988 and Baldi & Hornik 1989. The script prints the squared error of both on test
and the cosines of the principal angles between the two subspaces: 1 means the same direction.
"""

import dataclasses
import sys

import numpy as np
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

import aejax
from aejax.data import Data, load

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
batch_size = 256 if name == "mnist" else 32
experiment = dataclasses.replace(aejax.get("ae-linear-32"), data=Data(name, validation=0.0), batch_size=batch_size)
dataset = load(experiment.data)
trained = aejax.fit(experiment, dataset=dataset, show_progress=True)

train, test = (part.x.reshape(len(part), -1) / 255 for part in (dataset.train, dataset.test))
pca = PCA(32).fit(train)
error = np.square(test - pca.inverse_transform(pca.transform(test))).sum(axis=1).mean()
decoder = np.asarray(trained.state.params["decoder"]["out"]["kernel"])
cosines = np.cos(subspace_angles(decoder.T, pca.components_.T))
print(f"squared error on test: autoencoder {trained.evaluate(dataset.test)['squared_error']:.3f}, PCA {error:.3f}")
print(f"cosines of the principal angles: smallest {cosines.min():.4f}, mean {cosines.mean():.4f}")
