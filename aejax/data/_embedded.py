"""Reads data sets that come inside packages, this one or another, so that no network is needed.

mnist-5k is 5,000 digits of MNIST: see `digits/LICENSE.md`. wbc is a benchmark of outlier detection (ODDS library,
Rayana 2016), whose rows are some of scikit-learn's breast cancer data (Wolberg, Street & Mangasarian 1995).
"""

import importlib.resources
import math

import numpy as np

from aejax.core import Examples
from aejax.data.split import permutation, stratified

_MALIGNANT = (41, 369, 414, 22, 239, 162, 214, 236, 91, 468, 105, 9, 536, 28, 182, 30, 26, 41, 108, 0, 501)
"""The malignant cases that ODDS took, in its order; one of them is there twice."""


def digits() -> dict[str, Examples]:
    """Returns a fixed split into 4,000, 500 and 500 uint8 examples `[n, 28, 28, 1]`.

    Every digit is equally frequent in each part.
    """
    found = importlib.resources.files("aejax.data") / "digits" / "mnist-5k.npz"
    with found.open("rb") as file, np.load(file) as kept:
        digits = Examples(kept["x"], kept["label"].astype(np.int32))
    return stratified(digits, {"train": 400, "validation": 50, "test": 50})


def wbc() -> dict[str, Examples]:
    """Returns 378 cases, float32 `[n, 30]`: 357 benign ones, and 21 malignant ones with label 1.

    Rows, their order and the split, 40 % of them for test, are those of PyOD's benchmark (Zhao, Nasrullah & Li 2019).
    """
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    benign = np.flatnonzero(table.target == 1)
    x = table.data[np.concatenate([benign, _MALIGNANT])].astype(np.float32)
    cases = Examples(x, (np.arange(len(x)) >= len(benign)).astype(np.int32))
    test, train = np.split(permutation(len(x)), [math.ceil(0.4 * len(x))])
    return {"train": cases.take(train), "test": cases.take(test)}
