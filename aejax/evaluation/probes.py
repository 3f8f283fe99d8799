"""Measures how much codes tell about labels: by probes of frozen codes, and by a classifier fine-tuned on an encoder.

Probes are scikit-learn's, fitted on train codes and measured on test codes. The same probes of raw values and of
PCA with as many components stand beside them.
"""

import dataclasses
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment, minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, normalized_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from aejax import core, devices
from aejax.core import CHUNK, Adam, Cosine, InputError, Optimizer, as_arrays, means
from aejax.data import Dataset, permutation
from aejax.evaluation._progress import track
from aejax.experiment import class_labels
from aejax.losses import Clean, Corruption, CrossEntropy
from aejax.metrics import Probe
from aejax.models import Classifier
from aejax.trained import Trained
from aejax.trained.codes import require_finite

log = logging.getLogger("aejax")

MOST_STEPS = 1000
"""Number of steps in which a linear probe is to converge."""

STRENGTHS = (0.01, 0.1, 1.0)
"""Values of scikit-learn's C of which probes of codes take the one that suits them best: see `probe`."""

Features = Float[np.ndarray, "n size"]

Labels = Int[np.ndarray, " n"]

_CLASSIFIERS: dict[str, Callable[[float], Any]] = {
    "logistic": lambda strength: make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=MOST_STEPS)),
    "svm": lambda strength: make_pipeline(StandardScaler(), SquaredHinge(strength)),
    "knn": lambda strength: KNeighborsClassifier(n_neighbors=1),
}


class SquaredHinge(ClassifierMixin, BaseEstimator):
    """Separates each class from the others by a linear SVM with the squared hinge loss, all classes at once.

    It minimises what scikit-learn's LinearSVC does, |w|^2 / 2 + C sum max(0, 1 - y (w x + b))^2 with b among w, by
    L-BFGS on matrix products: on 10,000 images that takes seconds rather than minutes.
    """

    def __init__(self, strength: float = 1.0) -> None:
        """Takes C, by which errors weigh more than the size of the weights."""
        self.strength = strength

    def fit(self, x: Features, y: Labels) -> "SquaredHinge":
        """Fits the weights `[size + 1, classes]`, the last row the intercepts."""
        self.classes_, known = np.unique(y, return_inverse=True)
        x, n = _with_one(x), len(x)
        sign = np.where(known[:, None] == np.arange(len(self.classes_)), 1, -1).astype(np.float32)

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            short = np.maximum(1 - sign * (x @ flat.astype(np.float32).reshape(x.shape[1], -1)), 0)
            slope = (x.T @ (sign * short)).ravel().astype(np.float64)
            size = 1 / (self.strength * n)
            return float(
                np.square(short).sum(dtype=np.float64) / n + size * (flat @ flat) / 2
            ), size * flat - 2 * slope / n

        start, options = np.zeros(x.shape[1] * len(self.classes_)), {"maxiter": MOST_STEPS, "gtol": 1e-3, "ftol": 0}
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        self.coef_, self.n_iter_ = found.x.reshape(x.shape[1], -1), found.nit
        return self

    def predict(self, x: Features) -> Labels:
        """Returns the class of each example that is the furthest on its side."""
        return self.classes_[np.argmax(_with_one(x) @ self.coef_, axis=1)]


def _with_one(x: Features) -> Features:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1, dtype=np.float32)


def probe(
    kind: Probe,
    codes: Features,
    labels: Labels,
    test_codes: Features,
    test_labels: Labels,
    strengths: tuple[float, ...] = (1.0,),
) -> dict[str, float]:
    """Fits a probe on train codes and measures its accuracy on test codes.

    Args:
        kind: the probe. `logistic` (logistic regression) and `svm` (linear) see standardised codes; `knn` is the
            nearest neighbour; `kmeans` has as many clusters as there are classes, matched to classes one to one.
        codes: the train codes.
        labels: their labels.
        test_codes: the test codes.
        test_labels: their labels.
        strengths: values of scikit-learn's C for `logistic` and `svm`; of several, the one is taken that has the
            best accuracy on a sixth of the train codes when fitted on the rest.

    Returns:
        `accuracy`, from 0 to 1, and for `kmeans` also `nmi`, the normalised mutual information.
    """
    if kind == "kmeans":
        with threadpool_limits(1):  # two threads wait for each other: on 10,000 images for eight times the work
            return _clusters(codes, labels, test_codes, test_labels)
    strength = strengths[0] if len(strengths) == 1 else _best(kind, codes, labels, strengths)
    # Products with few columns take many times as long where two threads share them.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = _CLASSIFIERS[kind](strength).fit(codes, labels)
        if kind in ("logistic", "svm") and np.max(fitted[-1].n_iter_) >= MOST_STEPS:
            log.warning("the %s probe has not converged in %d steps: its accuracy may be too low", kind, MOST_STEPS)
        return {"accuracy": float(fitted.score(test_codes, test_labels))}


def compare(
    trained: Trained, dataset: Dataset, kinds: tuple[Probe, ...], strengths: tuple[float, ...] = STRENGTHS
) -> dict[str, dict[str, float]]:
    """Probes the model's codes, PCA with as many components, and the raw values.

    Args:
        trained: the trained model.
        dataset: the data, whose train part fits the probes and whose test part measures them.
        kinds: the probes.
        strengths: see `probe`.

    Returns:
        For each of the three inputs, by name, its metrics: `KIND_accuracy`, and for k-means `kmeans_nmi`.

    Raises:
        InputError: for data without labels, or whose labels are no classes, and for codes that are not finite.
    """
    parts = (dataset.train, dataset.test)
    labels = class_labels(dataset)
    values = [trained.seen(part.x).reshape(len(part), -1) for part in parts]
    codes = [trained.encode(part.x, part.label) for part in parts]
    pca = PCA(min(codes[0].shape[1], *values[0].shape), random_state=0).fit(values[0])
    with np.errstate(over="ignore", invalid="ignore"):
        inputs = {"code": codes, f"PCA-{pca.n_components}": [pca.transform(x) for x in values], "raw values": values}
    for name, pair in inputs.items():
        _require_finite(dataset, name, pair)
    rows: dict[str, dict[str, float]] = {name: {} for name in inputs}
    for kind, name in track([(kind, name) for kind in kinds for name in inputs], "probes"):
        rows[name] |= _named(kind, inputs[name], labels, strengths)
    return rows


def measure(trained: Trained, dataset: Dataset) -> dict[str, float]:
    """Fits the experiment's probes to the codes of the train part, and measures them on those of the test part.

    Args:
        trained: the trained model.
        dataset: the data.

    Returns:
        The metrics by name, as those of the codes that `compare` returns; none where the experiment has no probes.

    Raises:
        InputError: as `compare` does.
    """
    if not trained.experiment.probes:
        return {}
    metrics: dict[str, float] = {}
    labels = class_labels(dataset)
    codes = [trained.encode(part.x, part.label) for part in (dataset.train, dataset.test)]
    _require_finite(dataset, "code", codes)
    for kind in track(trained.experiment.probes, "probes"):
        metrics |= _named(kind, codes, labels, STRENGTHS)
    return metrics


def fine_tune(
    trained: Trained,
    dataset: Dataset,
    *,
    optimizer: Optimizer | None = None,
    epochs: int = 30,
    batch_size: int = 100,
    corruption: Corruption | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Puts a layer of classes on the encoder, trains all of it on the labels, and measures it on test.

    Args:
        trained: the trained model, whose encoder and latent are where training starts.
        dataset: the data, whose train part is trained on and whose test part is measured.
        optimizer: the optimiser; None: Adam at 1e-3 with a cosine schedule.
        epochs: the number of passes over the train part.
        batch_size: the number of examples in the batch of one step.
        corruption: what the input goes through in training, fresh at every use; None: nothing.
        seed: the seed of everything random.

    Returns:
        `error`, the share of wrong answers, and `loss_nats`, the cross-entropy of an example.

    Raises:
        InputError: for data without labels, or whose labels are no classes, and for batches larger than the train part.
    """
    classes = int(max(labels.max() for labels in class_labels(dataset))) + 1
    if not 1 <= batch_size <= len(dataset.train):
        raise InputError(
            f"batch_size is {batch_size}, but the train part of {dataset.name} has {len(dataset.train)} examples: "
            f"give 1 to {len(dataset.train)}"
        )
    placed = {name: devices.place(dataset.part(name), trained.preprocess) for name in ("train", "test")}
    model = Classifier(trained.experiment.model.encoder, trained.experiment.model.latent, classes)
    steps = epochs * (len(placed["train"]) // batch_size)
    recipe = dataclasses.replace(optimizer or Adam(1e-3, Cosine()), horizon=float(steps))
    loss, recipe, preprocess = as_arrays((CrossEntropy(corruption or Clean()), recipe, trained.preprocess))
    key = jax.random.key(seed)
    state = _started(trained, devices.init(model, loss, recipe, model.blank(trained.shape), key), recipe)
    for _ in range(epochs):
        state, _ = devices.epoch(model, loss, recipe, preprocess, state, placed["train"], key, batch_size=batch_size)
    size = min(CHUNK, len(dataset.test))
    return means(devices.evaluate(model, (loss,), preprocess, state, placed["test"], key, batch_size=size))


def _require_finite(dataset: Dataset, name: str, pair: Sequence[Features]) -> None:
    """Raises `InputError` where what a name stands for is not finite on the train or on the test part."""
    for part, x in zip(("train", "test"), pair, strict=True):
        require_finite(x, f"{dataset.name}'s {part} part ({name})")


def _named(
    kind: Probe, x: Sequence[Features], labels: tuple[Labels, Labels], strengths: tuple[float, ...]
) -> dict[str, float]:
    """Returns what a probe measures, fitted on the first of two parts and measured on the second."""
    found = probe(kind, x[0], labels[0], x[1], labels[1], strengths)
    return {f"{kind}_{metric}": value for metric, value in found.items()}


def _best(kind: Probe, codes: Features, labels: Labels, strengths: tuple[float, ...]) -> float:
    """Returns the strength with the highest accuracy on a sixth of the codes, which a fixed seed holds out."""
    held_out, kept = np.split(permutation(len(codes)), [len(codes) // 6])
    scores = [
        probe(kind, codes[kept], labels[kept], codes[held_out], labels[held_out], (strength,))["accuracy"]
        for strength in strengths
    ]
    return strengths[int(np.argmax(scores))]


def _started(trained: Trained, fresh: core.State, optimizer: Optimizer) -> core.State:
    """Returns the fresh state with the learned parameters and collections of encoder and latent."""
    learned = {name: trained.used.params[name] for name in ("encoder", "latent") if name in fresh.params}
    collections = {
        name: {part: trained.used.collections[name][part] for part in value}
        for name, value in fresh.collections.items()
    }
    params = {**fresh.params, **learned}
    return dataclasses.replace(fresh, params=params, collections=collections, opt_state=optimizer.init(params))


def _clusters(codes: Features, labels: Labels, test_codes: Features, test_labels: Labels) -> dict[str, float]:
    """Finds clusters and matches them to classes on train (Kuhn 1955), and measures them on test."""
    classes = np.unique(labels)
    kmeans = KMeans(len(classes), n_init=10, random_state=0).fit(codes)
    counts = confusion_matrix(np.searchsorted(classes, labels), kmeans.labels_)
    matched, clusters = linear_sum_assignment(-counts)
    name = np.empty(len(classes), classes.dtype)
    name[clusters] = classes[matched]
    found = kmeans.predict(test_codes)
    return {
        "accuracy": float(np.mean(name[found] == test_labels)),
        "nmi": float(normalized_mutual_info_score(test_labels, found)),
    }
