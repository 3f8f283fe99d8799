"""Measures PCA as a code with a given number of bits an image, allotted to its components as well as possible.

    python experiments/allotted_pca.py [DATA]      mnist-5k by default

It is the baseline for a code of indices, such as that of `vq-vae-mnist`. Each bit goes to the component
whose squared error on the training part it lowers most (greedily: Gersho & Gray 1992, chapter 8).
Each component has evenly spaced levels, whose range is fitted to the first 10,000 training images.

Found on MNIST, squared error of a test image: 12.547 with 98 bits, 7.348 with 196, 5.079 with 294, 3.769 with 392.
"""

import sys

import numpy as np
from sklearn.decomposition import PCA

from aejax.data import Data, load
from aejax.trained import Quantizer

name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
dataset = load(Data(name, validation=0.0))
train, test = (part.x.reshape(len(part), -1) / np.float32(255) for part in (dataset.train, dataset.test))
pca = PCA(256, random_state=0).fit(train)
codes = {"train": pca.transform(train), "test": pca.transform(test)}
left = {  # the squared error from the components that are not coded at all
    "train": np.square(train - pca.inverse_transform(codes["train"])).sum(axis=1).mean(),
    "test": np.square(test - pca.inverse_transform(codes["test"])).sum(axis=1).mean(),
}
error = {part: [np.square(code).mean(axis=0)] for part, code in codes.items()}  # a row for each number of bits, from 0
for bits in range(1, 9):
    quantizer = Quantizer.fit(codes["train"][:10_000], bits)
    for part, code in codes.items():
        error[part].append(np.square(quantizer.restore(quantizer.quantise(code)) - code).mean(axis=0))

gain = -np.diff(np.stack(error["train"]), axis=0, append=np.inf)  # of one more bit, 8 at most
allotted, components = np.zeros(256, int), np.arange(256)
print(f"{'bits an image':>13} {'components':>10} {'squared error on test':>21}")
for total in range(1, 393):
    allotted[gain[allotted, components].argmax()] += 1
    if total % 98 == 0:
        reached = left["test"] + np.stack(error["test"])[allotted, components].sum()
        print(f"{total:13} {(allotted > 0).sum():10} {reached:21.3f}")
