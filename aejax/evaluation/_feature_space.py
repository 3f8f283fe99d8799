"""Makes the features in which generated examples are compared with real ones: of a small classifier, or PCA's.

The classifier is trained once, on the labels of a data set's training part, by fixed settings and a fixed seed; it is
kept in the cache of prepared data, by the fingerprints of that part and of test. Nothing is downloaded. Features of
either kind are divided by one number, so that their mean square over training examples is 1: it is the unit of
distances. Training differs in its last digits between processors, and so do the weights after it: their hash says
whether two are the same.
"""

import hashlib
import logging
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax import core, devices
from aejax.core import CHUNK, Adam, Cosine, Examples, as_arrays, means
from aejax.data import Dataset, Preprocess, Scale, Standardise, cache_folder, fingerprint, scaled
from aejax.evaluation._progress import track
from aejax.losses import CrossEntropy
from aejax.metrics import FeatureMatrix
from aejax.models import Classifier, ConvEncoder, MLPEncoder, Plain
from aejax.runs import fill_parts, named_arrays, read_arrays, write_arrays
from aejax.trained import programs

log = logging.getLogger("aejax")

STEPS, BATCH = 1000, 128
"""Number of steps that the classifier trains for, and of examples in a batch."""

SIZE = 64
"""Number of features of the classifier: the values of its last hidden layer."""

COMPONENTS, MOST_FITTED = 32, 10_000
"""Largest number of principal components, and of training examples that they are fitted to."""

MOST_CLASSES, FEWEST_OF_CLASS = 1000, 10
"""Largest number of classes that a classifier is trained for, and least number of examples for each on average."""


@dataclass(frozen=True)
class FeatureSpace:
    """Holds the features of one data set: a function of examples, and what it is called."""

    name: str
    """The name of the data and of the kind of features: mnist_cnn, wbc_mlp, sprites_pca32."""
    sha256: str
    """The first half of a hash of its numbers."""
    accuracy: float | None
    """The share of the test part's labels that the classifier predicts; None where it is none."""
    of: Callable[[np.ndarray], FeatureMatrix] = field(repr=False)
    """Returns the features of examples `[n, *shape]` in the data's units, grey levels in [0, 1]."""

    @property
    def told(self) -> dict[str, Any]:
        """What a result says of the features: name, hash, accuracy."""
        return {name: value for name, value in asdict(self).items() if name != "of"}


def feature_space(dataset: Dataset) -> FeatureSpace:
    """Returns the features of a data set: a classifier's where its labels are classes, else principal components.

    Images have a convolutional classifier, all else one of dense layers. Labels are classes where there are 2 to 1,000
    of them, with ten training examples each on average: those that number combinations of factors are none.
    """
    train = dataset.train
    classes = 0 if train.label is None else int(np.max(train.label)) + 1
    if not 2 <= classes <= MOST_CLASSES or len(train) < FEWEST_OF_CLASS * classes:
        return _principal(dataset)
    kind, encoder = ("cnn", ConvEncoder((16, 32))) if len(dataset.shape) == 3 else ("mlp", MLPEncoder((2 * SIZE,)))
    return _learned(dataset, Classifier(encoder, Plain(SIZE, "relu"), classes), f"{_short(dataset.name)}_{kind}")


def features_told(dataset: Dataset) -> str:
    """Returns a line that says what the features of a data set are."""
    space = feature_space(dataset)
    what = "principal components" if space.accuracy is None else f"a classifier with {space.accuracy:.2%} of test right"
    return f"features {space.name}: {what}; sha256 {space.sha256}"


def _learned(dataset: Dataset, model: Classifier, name: str) -> FeatureSpace:
    """Returns the features of a classifier, from the cache or trained now."""
    preprocess = as_arrays((Scale() if dataset.train.x.dtype == np.uint8 else Standardise()).fit(dataset.train.x))
    params, scale, accuracy = _cached(dataset, model, preprocess, name)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((preprocess, params)):
        digest.update(np.asarray(leaf).tobytes())
    features = partial(_features, model, params, preprocess, scale)
    return FeatureSpace(name, digest.hexdigest()[:32], accuracy, lambda x: programs.in_chunks(features, _single(x)))


def _cached(dataset: Dataset, model: Classifier, preprocess: Preprocess, name: str) -> tuple[Any, Array, float]:
    """Returns the classifier's parameters, the scale of its features and its accuracy, made where they are not kept."""
    parts = "-".join(fingerprint(part) for part in (dataset.train, dataset.test))
    file = cache_folder() / f"features-{name}-{parts}-{STEPS}-v1.safetensors"
    loss, recipe = as_arrays((CrossEntropy(), Adam(1e-3, Cosine(), horizon=float(STEPS))))
    key, blank = jax.random.key(0), model.blank(dataset.shape)
    params = jax.eval_shape(lambda key: core.init(model, loss, recipe, blank, key).params, key)
    like = {"params": params, "scale": jax.ShapeDtypeStruct((), jnp.float32)}
    try:
        arrays, texts = read_arrays(file)
        found, accuracy = jax.tree.map(jnp.asarray, fill_parts(like, arrays)), float(texts["accuracy"])
    except (OSError, ValueError, KeyError):  # what is missing or damaged is made again
        params = _trained(dataset.train, model, loss, recipe, preprocess)
        few = scaled(dataset.train.at_most(MOST_FITTED).read().x)
        values = programs.in_chunks(partial(_features, model, params, preprocess, jnp.ones(())), few)
        found = {"params": params, "scale": jnp.asarray(_root_mean_square(values))}
        accuracy = _accuracy(dataset.test, model, params, preprocess)
        _keep(file, found, {"accuracy": repr(accuracy)})
    return found["params"], found["scale"], accuracy


def _accuracy(test: Examples, model: Classifier, params: Any, preprocess: Preprocess) -> float:
    """Returns the share of a part's labels that the classifier predicts."""
    placed, state = devices.place(test, preprocess), core.State(jnp.zeros((), jnp.int32), params, (), {})
    size, key = min(CHUNK, len(test)), jax.random.key(0)
    measured = means(devices.evaluate(model, (CrossEntropy(),), preprocess, state, placed, key, batch_size=size))
    return 1 - measured["error"]


def _trained(train: Examples, model: Classifier, loss: Any, recipe: Any, preprocess: Preprocess) -> Any:
    """Trains the classifier, and returns its parameters."""
    size = min(BATCH, len(train))
    epochs = math.ceil(STEPS / (len(train) // size))
    states = devices.states_of_epochs(model, loss, recipe, preprocess, train, epochs=epochs, batch_size=size)
    state = next(states)
    for _ in track(range(epochs), "classifier for features"):
        state = next(states)
        jax.block_until_ready(state.step)
    return state.params


def _keep(file: Path, made: dict[str, Any], texts: dict[str, str]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(file, named_arrays(made), texts)
    except OSError as error:  # a full disk is no matter: it is trained again
        log.warning("the classifier for features could not be kept in %s (%s)", cache_folder(), error)


@partial(jax.jit, static_argnums=0)
def _features(
    model: Classifier, params: Any, preprocess: Preprocess, scale: Float[Array, ""], x: Float[Array, "n *shape"]
) -> Float[Array, "n size"]:
    """Returns the values of the classifier's last hidden layer, divided by their scale."""
    hidden = lambda model, x: model.latent(model.encoder(x)).mean  # noqa: E731
    return core.apply(hidden, model, {"params": params}, {}, preprocess(x, None))[0] / scale


def _principal(dataset: Dataset) -> FeatureSpace:
    """Returns principal components of the training part, all of one scale."""
    from sklearn.decomposition import PCA

    few = dataset.train.at_most(MOST_FITTED).read().x
    x = scaled(few).reshape(len(few), -1)
    pca = PCA(min(COMPONENTS, *x.shape), random_state=0).fit(x)
    scale = _root_mean_square(pca.transform(x))
    digest = hashlib.sha256(pca.mean_.tobytes() + pca.components_.tobytes()).hexdigest()[:32]
    name = f"{_short(dataset.name)}_pca{pca.n_components_}"
    return FeatureSpace(name, digest, None, lambda x: pca.transform(_single(x).reshape(len(x), -1)) / scale)


def _root_mean_square(values: FeatureMatrix) -> np.float32:
    """Returns the scale of features, 1 where all are 0."""
    return np.float32(np.sqrt(np.square(values, dtype=np.float64).mean()) or 1)


def _single(x: np.ndarray) -> Float[np.ndarray, "n *shape"]:
    return np.asarray(x, np.float32)


def _short(name: str) -> str:
    """Returns the name of data as a word: of a path its last part without the ending."""
    return re.sub(r"[^\w.-]+", "_", Path(name).stem) or "data"
