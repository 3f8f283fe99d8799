"""Chooses the training examples on which a model is primed before its first step."""

import math

import numpy as np

from aejax import devices
from aejax.core import Examples, Model
from aejax.data import Dataset, Preprocess

MOST, MOST_BYTES = 4096, 2**28
"""The largest number of examples, and of bytes that they take as float32."""


def priming_examples(model: Model, dataset: Dataset, preprocess: Preprocess) -> Examples | None:
    """Returns the examples on which a model is primed, on the device; None where it is not.

    They are all training examples, or where these are many some that a fixed seed draws: the same ones for every seed
    of an experiment, and whether the data are in memory or on disk.

    Args:
        model: the model, resolved.
        dataset: the data, of which the training part is taken.
        preprocess: the fitted preprocessing, which says in which form the device holds examples.
    """
    if not model.primes:
        return None
    size = len(dataset.train)
    count = min(size, MOST, max(1, MOST_BYTES // (4 * math.prod(dataset.shape))))
    index = np.sort(np.random.default_rng(0).choice(size, count, replace=False, shuffle=False))
    return devices.place(dataset.train.take(index), preprocess)
