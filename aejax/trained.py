"""A trained model in use: encode, decode, reconstruct, evaluate, on arrays of any number of examples."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from aejax import devices, models, train
from aejax.data import Part, Preprocess
from aejax.data.preprocess import scale
from aejax.errors import InputError
from aejax.experiment import Experiment
from aejax.losses import Clean
from aejax.metrics import ReconstructionError, means, per_value
from aejax.metrics.anomaly import AnomalyScore, Score
from aejax.models import Autoencoder
from aejax.pytree import as_arrays
from aejax.runs import Run

CHUNK = 1024
"""Examples that go through the model at once."""


@dataclass(frozen=True)
class Trained:
    """An experiment with its trained state."""

    experiment: Experiment
    """Resolved: its model knows its output's shape."""
    shape: tuple[int, ...]
    """Of one example."""
    preprocess: Preprocess
    """Fitted on the training part."""
    state: train.State
    history: list[dict[str, Any]] = field(default_factory=list)
    """The rows of metrics.jsonl."""
    run: Run | None = None

    def encode(self, x: Num[np.ndarray, "n *shape"]) -> Float[np.ndarray, "n latent"]:
        """The code of each example (a posterior's mean). Raises `InputError` for examples of another shape."""
        return self.apply(_mean_code, x)

    def apply(
        self, function: Callable[[Any, Float[Array, "batch *shape"]], Array], x: Num[np.ndarray, "n *shape"]
    ) -> np.ndarray:
        """`function(model, examples)`, with the model bound to its variables: `[n, ...]`, compiled once a function."""
        function = partial(_apply, function, self.experiment.model, self._variables, as_arrays(self.preprocess))
        return in_chunks(function, self._check(x))

    def decode(self, z: Float[np.ndarray, "n latent"]) -> Float[np.ndarray, "n *shape"]:
        """The mean that each code decodes to, in the data's units. Raises `InputError` for codes of another size."""
        z = np.asarray(z, np.float32)
        size = self.experiment.model.latent.size
        if z.ndim != 2 or z.shape[1] != size or len(z) == 0 or not np.isfinite(z).all():
            raise InputError(
                f"the codes have shape {z.shape}, but this model decodes finite codes of shape (n, {size})"
            )
        loss, preprocess = as_arrays((self.experiment.loss, self.preprocess))
        return in_chunks(partial(_decode, self.experiment.model, self._variables, loss.likelihood, preprocess), z)

    def reconstruct(self, x: Num[np.ndarray, "n *shape"]) -> Float[np.ndarray, "n *shape"]:
        """Each example encoded and decoded again."""
        return self.decode(self.encode(x))

    def score(self, x: Num[np.ndarray, "n *shape"], kind: Score = "squared_error") -> Float[np.ndarray, " n"]:
        """How unlike the training data each example is: the squared error or the nats of its reconstruction."""
        likelihood, preprocess = as_arrays((self.experiment.loss.likelihood, self.preprocess))
        function = partial(_score, self.experiment.model, self._variables, AnomalyScore(likelihood, kind), preprocess)
        return in_chunks(function, self._check(x))

    def evaluate(self, part: Part) -> dict[str, float]:
        """The loss and its terms in nats per example, the squared error, and both per pixel."""
        experiment = self.experiment
        loss, preprocess = as_arrays((experiment.loss, self.preprocess))
        placed = self.place(part)
        measures = (loss, ReconstructionError(loss.likelihood))
        key = jax.random.key(experiment.seed)
        size = min(CHUNK, len(part))
        metrics = means(devices.evaluate(experiment.model, measures, preprocess, self.state, placed, key, size))
        return metrics | per_value(metrics, self.shape)

    def place(self, part: Part) -> Part:
        """A part on the device, as `devices` measures it. Raises `InputError` for examples of another shape."""
        return devices.place(Part(self._check(part.x), part.label), as_arrays(self.preprocess))

    @property
    def _variables(self) -> dict[str, Any]:
        return {"params": self.state.params, **self.state.collections}

    def _check(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        if x.dtype.kind not in "buif":
            raise InputError(f"the examples have type {x.dtype}, but must be real numbers")
        if x.ndim == len(self.shape) and self.shape[-1] == 1:
            x = x[..., None]
        if len(x) == 0 or x.shape[1:] != self.shape:
            raise InputError(
                f"the examples have shape {x.shape}, but this model was trained on (n, {_list(self.shape)})"
            )
        low, high = self.experiment.loss.likelihood.support
        if not isinstance(self.experiment.loss.corruption, Clean):
            low, high = -np.inf, np.inf  # noise may go anywhere
        if x.dtype != np.uint8 and (x.min() < low or x.max() > high or not np.isfinite(x).all()):
            raise InputError(
                f"the examples have values from {x.min():g} to {x.max():g}, but this model was trained on values "
                f"in [{low:g}, {high:g}]: scale them as its training data was"
            )
        return x


def load(run: str | Path) -> Trained:
    """The trained model of a run directory, from its newest checkpoint that loads whole.

    Raises `InputError` where `run` is not a run directory, or holds nothing that loads.
    """
    opened = Run(Path(run))
    experiment = opened.experiment.filled(opened.shape, opened.steps_per_epoch)
    state, preprocess = opened.restore(template(experiment, opened.shape))
    return Trained(experiment, opened.shape, preprocess, state, opened.rows(), opened)


def template(experiment: Experiment, shape: tuple[int, ...]) -> tuple[train.State, Preprocess]:
    """The shapes of what a checkpoint holds: the state, and the fitted preprocessing."""
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    key = jax.random.key(0)
    state = jax.eval_shape(partial(train.init, experiment.model, loss, optimizer), example(shape), key)
    return state, as_arrays(experiment.data.preprocess.fit(np.zeros((1, *shape), np.float32)))


def example(shape: tuple[int, ...]) -> Part:
    """One example of that shape, with a label: all that a fresh state needs to be made."""
    return Part(jnp.zeros((1, *shape)), jnp.zeros(1, jnp.int32))


def in_chunks(function: Callable[[Array], Array], x: np.ndarray) -> np.ndarray:
    """`function` over the examples, a fixed number at a time: few programs serve every number of examples."""
    size = CHUNK if len(x) > CHUNK else 1 << (len(x) - 1).bit_length()
    results = []
    for start in range(0, len(x), size):
        chunk = x[start : start + size]
        padding = [(0, size - len(chunk))] + [(0, 0)] * (x.ndim - 1)
        results.append(function(jnp.asarray(np.pad(chunk, padding)))[: len(chunk)])
    return np.concatenate([np.asarray(result) for result in results])


@partial(jax.jit, static_argnums=(0, 1))
def _apply(function: Any, model: Autoencoder, variables: Any, preprocess: Preprocess, x: Array) -> Array:
    return models.apply(function, model, variables, {}, preprocess(x, None))[0]


def _mean_code(model: Autoencoder, x: Array) -> Array:
    return model.encode(x).mean


@partial(jax.jit, static_argnums=0)
def _decode(model: Autoencoder, variables: Any, likelihood: Any, preprocess: Preprocess, z: Array) -> Array:
    raw, _ = models.apply(lambda model, z: model.decode(z), model, variables, {}, z)
    return preprocess.invert(likelihood.mean(raw))


@partial(jax.jit, static_argnums=0)
def _score(model: Autoencoder, variables: Any, score: AnomalyScore, preprocess: Preprocess, x: Array) -> Array:
    return models.apply(score, model, variables, {}, preprocess(x, None))[0]


def _list(shape: tuple[int, ...]) -> str:
    return ", ".join(str(size) for size in shape)


def scaled(x: np.ndarray) -> Float[np.ndarray, "n *shape"]:
    """Stored examples in the data's units, float32: grey levels in [0, 1]."""
    return np.asarray(scale(jnp.asarray(x)))
