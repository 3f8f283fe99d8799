"""A trained model in use: encode, decode, generate, evaluate, on arrays of any number of examples."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from aejax import core, devices
from aejax.core import CHUNK, Examples, InputError, Stream, as_arrays, derive, means
from aejax.data import Preprocess
from aejax.experiment import Experiment
from aejax.losses import Clean, Likelihood
from aejax.metrics import AnomalyScore, ReconstructionError, Score, per_value
from aejax.models import Autoencoder, ConditionalAutoencoder, VariationalAutoencoder
from aejax.runs import NEWEST, Run, checkpoint_template
from aejax.trained import codes

MOST_FITTED = 10_000
"""Examples whose codes a mixture is fitted to."""

Labels = Int[np.ndarray, " n"]


@dataclass(frozen=True)
class Trained:
    """An experiment with its trained state."""

    experiment: Experiment
    """Resolved: its model knows its output's shape."""
    shape: tuple[int, ...]
    """Of one example."""
    preprocess: Preprocess
    """Fitted on the training part."""
    state: core.State
    history: list[dict[str, Any]] = field(default_factory=list)
    """The rows of metrics.jsonl."""
    run: Run | None = None

    def encode(
        self, x: Num[np.ndarray, "n *shape"], label: Labels | None = None, *, seed: int | None = None
    ) -> Float[np.ndarray, "n latent"]:
        """The code of each example: its posterior's mean, or with a seed a draw from its posterior.

        A conditional model needs the labels, another takes no notice of them. Raises `InputError` for
        examples of another shape, and for labels that are missing or none of the model's.
        """
        x = self._check(x)
        key = None if seed is None else derive(jax.random.key(seed), Stream.LATENT)
        function = partial(_encode, self.experiment.model, self._variables, as_arrays(self.preprocess), key)
        return in_chunks(function, x, self._check_label(label, len(x)), np.arange(len(x)))

    def decode(
        self, z: Float[np.ndarray, "n latent"], label: Labels | None = None, *, seed: int | None = None
    ) -> Float[np.ndarray, "n *shape"]:
        """What each code decodes to, in the data's units: the likelihood's mean, or with a seed a draw from it.

        Raises `InputError` for codes of another size, and for labels as `encode` does.
        """
        z = np.asarray(z, np.float32)
        size = self.experiment.model.latent.size
        if z.ndim != 2 or z.shape[1] != size or len(z) == 0 or not np.isfinite(z).all():
            raise InputError(
                f"the codes have shape {z.shape}, but this model decodes finite codes of shape (n, {size})"
            )
        likelihood, preprocess = as_arrays((self.experiment.loss.likelihood, self.preprocess))
        key = None if seed is None else derive(jax.random.key(seed), Stream.VALUES)
        function = partial(_decode, self.experiment.model, self._variables, likelihood, preprocess, key)
        return in_chunks(function, z, self._check_label(label, len(z)), np.arange(len(z)))

    def reconstruct(self, x: Num[np.ndarray, "n *shape"], label: Labels | None = None) -> Float[np.ndarray, "n *shape"]:
        """Each example encoded and decoded again."""
        return self.decode(self.encode(x, label), label)

    def draw_codes(self, n: int, *, like: Examples | None = None, seed: int = 0) -> Float[np.ndarray, "n latent"]:
        """Codes from the model's prior; with training examples `like`, from their aggregate posterior.

        The latter is a mixture of ten Gaussians fitted to a draw from the posterior of each of the first
        10,000. Raises `InputError` for a model without a prior where there are no such examples.
        """
        if n < 1:
            raise InputError(f"{n} samples were asked for: ask for 1 or more")
        if like is not None:
            like = like.take(np.arange(min(MOST_FITTED, len(like))))
            return codes.from_mixture(self.encode(like.x, like.label, seed=seed), n, seed)
        model = self.experiment.model
        if not isinstance(model, VariationalAutoencoder):
            raise InputError(
                f"{self.experiment.name} has no prior to draw codes from: draw them from the aggregate posterior "
                "of its training examples (aejax sample --from posterior)"
            )
        return np.asarray(_draw_codes(model, self._variables, n, derive(jax.random.key(seed), Stream.CODES)))

    def sample(
        self, n: int, label: Labels | None = None, *, like: Examples | None = None, seed: int = 0, draw: bool = False
    ) -> Float[np.ndarray, "n *shape"]:
        """New examples: codes from `draw_codes`, decoded to the likelihood's mean, or with `draw` to a draw from it."""
        return self.decode(self.draw_codes(n, like=like, seed=seed), label, seed=seed if draw else None)

    def interpolate(
        self,
        first: Num[np.ndarray, "n *shape"],
        second: Num[np.ndarray, "n *shape"],
        labels: tuple[Labels, Labels] | None = None,
        *,
        steps: int = 8,
        path: codes.Route = "line",
    ) -> Float[np.ndarray, "n steps *shape"]:
        """Decoded codes on the way from each first example to its second: see `codes.between`.

        A conditional model needs the labels of both; the way changes from the one to the other in its middle.
        """
        one, other = labels or (None, None)
        z = codes.between(self.encode(first, one), self.encode(second, other), steps, path)
        halves = (
            None if labels is None else np.repeat(np.stack(labels, axis=1), [steps - steps // 2, steps // 2], axis=1)
        )
        return self._decode_rows(z, None if halves is None else halves.reshape(-1))

    def traverse(
        self, x: Num[np.ndarray, "n *shape"], label: Labels | None = None, *, rows: int = 10, steps: int = 9
    ) -> tuple[Int[np.ndarray, " rows"], Float[np.ndarray, "rows steps *shape"]]:
        """The code of the first example decoded with one dimension changed at a time, the most active ones first.

        Each goes through the range that it has over `x`. Returns which dimensions they are, at most
        `rows`, and the examples.
        """
        z = self.encode(x, label)
        dimensions = codes.most_active(z)[:rows]
        moved = codes.along(z[0], z, dimensions, steps)
        return dimensions, self._decode_rows(moved, None if label is None else np.repeat(label[:1], moved[..., 0].size))

    def score(
        self, x: Num[np.ndarray, "n *shape"], kind: Score = "squared_error", label: Labels | None = None
    ) -> Float[np.ndarray, " n"]:
        """How unlike the training data each example is: the squared error or the nats of its reconstruction."""
        x = self._check(x)
        likelihood, preprocess = as_arrays((self.experiment.loss.likelihood, self.preprocess))
        function = partial(_score, self.experiment.model, self._variables, AnomalyScore(likelihood, kind), preprocess)
        return in_chunks(function, x, self._check_label(label, len(x)))

    def apply(
        self, function: Callable[..., Array], x: Num[np.ndarray, "n *shape"], label: Labels | None = None
    ) -> np.ndarray:
        """`function(model, examples, label)`, with the model bound to its variables: `[n, ...]`, compiled once."""
        function = partial(_apply, function, self.experiment.model, self._variables, as_arrays(self.preprocess))
        x = self._check(x)
        return in_chunks(function, x, self._check_label(label, len(x)))

    def evaluate(self, part: Examples) -> dict[str, float]:
        """The loss and its terms in nats per example, the squared error, and both per pixel."""
        experiment = self.experiment
        loss, preprocess = as_arrays((experiment.loss, self.preprocess))
        placed = self.place(part)
        measures = (loss, ReconstructionError(loss.likelihood))
        key = jax.random.key(experiment.seed)
        size = min(CHUNK, len(part))
        metrics = means(devices.evaluate(experiment.model, measures, preprocess, self.state, placed, key, size))
        return metrics | per_value(metrics, self.shape)

    def place(self, part: Examples) -> Examples:
        """A part on the device, as `devices` measures it. Raises `InputError` for what the model does not take."""
        self._check_label(part.label, len(part))
        return devices.place(Examples(self._check(part.x), part.label), as_arrays(self.preprocess))

    @property
    def _variables(self) -> dict[str, Any]:
        return {"params": self.state.params, **self.state.collections}

    def _decode_rows(
        self, z: Float[np.ndarray, "rows steps latent"], label: Labels | None
    ) -> Float[np.ndarray, "rows steps *shape"]:
        return self.decode(z.reshape(-1, z.shape[2]), label).reshape(*z.shape[:2], *self.shape)

    def _check_label(self, label: Labels | None, n: int) -> Labels | None:
        """The labels, for a conditional model. Raises `InputError` unless there is one of its own for each example."""
        model = self.experiment.model
        if label is None or not isinstance(model, ConditionalAutoencoder):
            return None
        label = np.asarray(label)
        if label.shape != (n,) or label.dtype.kind not in "iu" or label.min() < 0 or label.max() >= model.classes:
            raise InputError(
                f"the labels are {label.dtype} of shape {label.shape}, but this model needs {n} whole numbers "
                f"from 0 to {model.classes - 1}"
            )
        return label.astype(np.int32)

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

    `RUN/checkpoints/best` in place of `RUN` is that with the least validation loss, `RUN/checkpoints/STEP`
    that of a step. Raises `InputError` where `run` is neither, or holds nothing that loads.
    """
    path, which = Path(run), NEWEST
    if path.parent.name == "checkpoints":
        path, which = path.parent.parent, path.name
    opened = Run(path)
    try:
        experiment = opened.experiment.filled(opened.shape, opened.steps_per_epoch)
        like = checkpoint_template(experiment, opened.shape)
    except Exception as error:  # settings that no model can be made of fail in ways of their own
        raise InputError(f"{path / 'experiment.json'} makes no model ({_first_line(error)}): train it again") from error
    state, preprocess = opened.restore(like, which)
    return Trained(experiment, opened.shape, preprocess, state, opened.rows(), opened)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def in_chunks(function: Callable[..., Array], *arrays: np.ndarray | None) -> np.ndarray:
    """`function` over the rows of arrays, a fixed number at a time: few programs serve every number of examples."""
    n = len(jax.tree.leaves(arrays)[0])
    size = CHUNK if n > CHUNK else 1 << (n - 1).bit_length()
    results = []
    for start in range(0, n, size):
        rows = min(size, n - start)

        def chunk(array: np.ndarray, start: int = start, rows: int = rows) -> Array:
            padding = [(0, size - rows)] + [(0, 0)] * (array.ndim - 1)
            return jnp.asarray(np.pad(array[start : start + rows], padding))

        results.append(function(*jax.tree.map(chunk, arrays))[:rows])
    return np.concatenate([np.asarray(result) for result in results])


@partial(jax.jit, static_argnums=(0, 1))
def _apply(function: Any, model: Autoencoder, variables: Any, preprocess: Preprocess, x: Array, label: Any) -> Array:
    return core.apply(function, model, variables, {}, preprocess(x, None), label)[0]


@partial(jax.jit, static_argnums=0)
def _encode(
    model: Autoencoder, variables: Any, preprocess: Preprocess, key: Any, x: Array, label: Any, row: Array
) -> Array:
    def code(model: Autoencoder, x: Array) -> Array:
        posterior = model.encode(x, label=label)
        return posterior.mean if key is None else posterior.sample(jax.random.fold_in(key, row[0]))

    return core.apply(code, model, variables, {}, preprocess(x, None))[0]


@partial(jax.jit, static_argnums=0)
def _decode(
    model: Autoencoder,
    variables: Any,
    likelihood: Likelihood,
    preprocess: Preprocess,
    key: Any,
    z: Array,
    label: Any,
    row: Array,
) -> Array:
    raw, _ = core.apply(lambda model, z: model.decode(z, label=label), model, variables, {}, z)
    values = likelihood.mean(raw) if key is None else likelihood.sample(raw, jax.random.fold_in(key, row[0]))
    return preprocess.invert(values)


@partial(jax.jit, static_argnums=(0, 2))
def _draw_codes(model: VariationalAutoencoder, variables: Any, n: int, key: Array) -> Array:
    return core.apply(lambda model: model.sample_prior(key, n), model, variables, {})[0]


@partial(jax.jit, static_argnums=0)
def _score(
    model: Autoencoder, variables: Any, score: AnomalyScore, preprocess: Preprocess, x: Array, label: Any
) -> Array:
    return core.apply(score, model, variables, {}, preprocess(x, None), label)[0]


def _list(shape: tuple[int, ...]) -> str:
    return ", ".join(str(size) for size in shape)
