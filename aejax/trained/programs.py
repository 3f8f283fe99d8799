"""Holds the compiled programs with which a trained model is used, and takes examples through them in chunks.

The model is static, and all that is learned is an argument: two runs of one model share their programs.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from aejax import core
from aejax.core import CHUNK, Examples, Mean, Metrics
from aejax.data import Preprocess
from aejax.losses import Likelihood
from aejax.metrics import AnomalyScore, Detector, NegativeLogLikelihood, Prepared, view
from aejax.models import Autoencoder

_DECODED = 2**15
"""Largest number of codes that are decoded at once to estimate densities, but at least one for each example."""


def digest_of(settings: str, tree: Any) -> str:
    """Returns the SHA-256 of settings and of a tree of arrays, by which two are told apart."""
    digest = hashlib.sha256(settings.encode())
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()


def in_chunks(function: Callable[..., Array], *arrays: Any) -> np.ndarray:
    """Applies a function to the rows of arrays or trees of them, a fixed number at a time, and joins the results.

    The sizes of chunks are few, so that few compiled programs serve every number of examples. Each result goes to the
    host while the next one is computed, so that the device holds two of them at most.
    """
    n = len(jax.tree.leaves(arrays)[0])
    size = CHUNK if n > CHUNK else _rounded(n)

    def computed(start: int) -> Array:
        return function(*jax.tree.map(lambda array: _padded(array[start : start + size], size), arrays))

    made = computed(0)
    result = np.empty((n, *made.shape[1:]), made.dtype)
    for start in range(0, n, size):
        following = computed(start + size) if start + size < n else made
        # Cut on the host, as on the device every number of rows would be a program; and copied, as an array on a CPU
        # would be shared, and stay.
        result[start : start + size] = np.asarray(made)[: n - start]
        made = following
    return result


def means_in_chunks(
    function: Callable[[Examples, Any], Metrics], part: Examples, checked: Callable[[Examples], Examples]
) -> dict[str, Any]:
    """Takes means over a part, which may be on disk, some examples at a time.

    Args:
        function: sums what it measures over the examples of a chunk that are counted.
        part: the examples.
        checked: returns examples as the model takes them.

    Returns:
        The means by name, as `core.means` returns them.
    """
    sums = []
    for start in range(0, len(part), CHUNK):
        batch = checked(part.take(np.arange(start, min(start + CHUNK, len(part)))).read())
        size = CHUNK if len(part) > CHUNK else _rounded(len(batch))
        counted = np.arange(size) < len(batch)
        padded = jax.tree.map(lambda leaf, size=size: _padded(leaf, size), batch)
        sums.append(jax.device_get(function(padded, counted)))
    return core.means(jax.tree.map(lambda *leaves: np.stack(leaves), *sums))


def _rounded(rows: int) -> int:
    """Returns the least power of two that is not below a number of rows."""
    return 1 << (rows - 1).bit_length()


def _padded(array: np.ndarray, size: int) -> Array:
    """Places rows on the device, with zeros below them up to so many rows."""
    return jax.device_put(np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1)))


@partial(jax.jit, static_argnums=1)
def summed(
    measure: Any, model: Autoencoder, variables: Any, preprocess: Preprocess, batch: Examples, counted: Array
) -> Metrics:
    """Sums what `measure(model, batch)` gives of those examples that are counted."""
    values, _ = core.apply(measure, model, variables, {}, _seen(preprocess, batch))
    return {name: Mean.of(value, counted) for name, value in values.items()}


@partial(jax.jit, static_argnums=(0, 1))
def apply(function: Any, model: Autoencoder, variables: Any, preprocess: Preprocess, batch: Examples) -> Array:
    """Applies `function(model, batch)` to preprocessed examples."""
    return core.apply(function, model, variables, {}, _seen(preprocess, batch))[0]


@partial(jax.jit, static_argnums=0)
def encode(model: Autoencoder, variables: Any, preprocess: Preprocess, key: Any, batch: Examples, row: Array) -> Array:
    """Returns the mean codes, or with a key draws from the posteriors, whose noise depends on the number of the row."""

    def code(model: Autoencoder, batch: Examples) -> Array:
        posterior = model.encode(batch)
        return posterior.mean if key is None else posterior.sample(jax.random.fold_in(key, row[0]))

    return core.apply(code, model, variables, {}, _seen(preprocess, batch))[0]


@partial(jax.jit, static_argnums=0)
def decode(
    model: Autoencoder,
    variables: Any,
    likelihood: Likelihood,
    preprocess: Preprocess,
    key: Any,
    z: Array,
    label: Any,
    row: Array,
) -> Array:
    """Decodes codes to the data's units: to the likelihood's mean, or with a key to draws from it."""
    own = None if key is None else jax.random.fold_in(key, row[0])
    return decoded(model, variables, likelihood, preprocess, z, label, own)


def decoded(
    model: Autoencoder, variables: Any, likelihood: Likelihood, preprocess: Preprocess, z: Array, label: Any, key: Any
) -> Array:
    """Returns what `decode` compiles, of one key for all codes or None: for programs that others run."""
    batch = Examples(z[:, :0], label)  # as `unseen` makes them; here their number may be a symbol
    raw, _ = core.apply(lambda model, z: model.decode(z, batch), model, variables, {}, model.latent.placed(z))
    values = likelihood.mean(raw, batch) if key is None else likelihood.sample(raw, batch, key)
    return preprocess.invert(values)


@partial(jax.jit, static_argnums=0)
def reconstruct(
    model: Autoencoder, variables: Any, likelihood: Likelihood, preprocess: Preprocess, batch: Examples
) -> Array:
    """Encodes examples and decodes their mean codes, with the examples themselves, to the data's units."""

    def mean(model: Autoencoder, batch: Examples) -> Array:
        return likelihood.mean(model.decode(model.encode(batch).mean, batch), batch)

    return preprocess.invert(core.apply(mean, model, variables, {}, _seen(preprocess, batch))[0])


@partial(jax.jit, static_argnums=(0, 2))
def draw_codes(model: Autoencoder, variables: Any, n: int, key: Array) -> Array:
    """Draws codes from the model's prior."""
    return core.apply(lambda model: model.sample_prior(key, n), model, variables, {})[0]


@partial(jax.jit, static_argnums=0)
def score(model: Autoencoder, score: AnomalyScore, preprocess: Preprocess, variables: Any, batch: Examples) -> Array:
    """Scores how unlike the training data examples are by their reconstruction."""
    return core.apply(score, model, variables, {}, _seen(preprocess, batch))[0]


@partial(jax.jit, static_argnums=0)
def log_prob(
    model: Autoencoder,
    measure: NegativeLogLikelihood,
    preprocess: Preprocess,
    variables: Any,
    key: Array,
    batch: Examples,
) -> Array:
    """Estimates the log-density of each example in the data's units, with one draw of noise for all of them."""
    seen = _seen(preprocess, batch)
    few = dataclasses.replace(measure, rows=max(_DECODED // len(batch), 1))

    def nats(example: Examples) -> Array:
        one = jax.tree.map(lambda leaf: leaf[None], example)
        values, _ = core.apply(few, model, variables, {"latent": key, "corruption": key}, one)
        return values[few.name][0]

    _, slope = jax.jvp(preprocess.invert, (seen.x,), (jnp.ones_like(seen.x),))  # it acts on each value by itself
    return -jax.vmap(nats)(seen) - jnp.sum(jnp.log(jnp.abs(slope)).reshape(len(batch), -1), axis=1)


@partial(jax.jit, static_argnums=0)
def prepare(
    model: Autoencoder, detector: Detector, likelihood: Likelihood, variables: Any, reference: Examples
) -> Prepared:
    """Returns what a detector has to know of the rows that it compares with."""
    return detector.prepare(core.apply(view, model, variables, {}, likelihood, reference)[0])


@partial(jax.jit, static_argnums=0)
def detect(
    model: Autoencoder,
    detector: Detector,
    likelihood: Likelihood,
    prepared: Prepared,
    preprocess: Preprocess,
    variables: Any,
    batch: Examples,
) -> Array:
    """Scores how unlike the training data examples are by a detector."""
    return detector(prepared, core.apply(view, model, variables, {}, likelihood, _seen(preprocess, batch))[0])


def _seen(preprocess: Preprocess, stored: Examples) -> Examples:
    """Returns examples as the model sees them in use, where nothing is drawn."""
    return core.as_seen(preprocess, stored, None)
