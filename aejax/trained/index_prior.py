"""Fits a prior to the indices of a trained model's codes, draws codes from it, and codes indices by it.

It is kept beside a run's checkpoints:

    code_prior/30.safetensors    that of indices of step 30: see `aejax.runs.array_file`
"""

import json
import struct
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax import core, devices
from aejax.core import Adam, Cosine, Examples, InputError, as_arrays, json_text
from aejax.data import Scale
from aejax.models import CodePrior
from aejax.runs import fill_parts
from aejax.trained import _ans, programs
from aejax.trained._beside import read_beside, write_beside
from aejax.trained._fixed_point import PRECISION, FixedPoint
from aejax.trained._surprise import Surprise

FOLDER = "code_prior"
"""Where a run and a saved model keep their priors over codes."""

_HELD_OUT = 20
"""One in so many examples is held out of fitting, to choose the epoch whose prior is kept."""

_ROWS, _FREQUENCIES = 4096, 2**20
"""Largest number of examples in a stream, and of frequencies that these have at a position."""

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class IndexPrior:
    """Holds a prior over the indices of a model's codes, fitted after the model."""

    model: CodePrior
    """What the prior is."""
    params: Any = field(repr=False)
    """Its parameters."""
    positions: int
    """The number of indices of an example."""

    @classmethod
    def fit(
        cls,
        index: Int[np.ndarray, "n positions"],
        model: CodePrior,
        *,
        epochs: int = 20,
        batch_size: int = 250,
        learning_rate: float = 2e-3,
        seed: int = 0,
    ) -> "IndexPrior":
        """Fits a prior to indices by maximum likelihood, from independent ones on, and keeps the best epoch's.

        That is the one of the least mean on a twentieth of the examples, which is held out.

        Args:
            index: the indices of training examples, at least 2 of them.
            model: the prior.
            epochs: the number of passes over the examples.
            batch_size: the largest number of examples in a batch.
            learning_rate: the first rate of Adam, which falls to zero by a cosine.
            seed: the seed of first parameters and of the order.

        Raises:
            InputError: for less than 2 examples or 1 epoch.
        """
        if len(index) < 2 or epochs < 1:
            raise InputError(f"{epochs} epochs over {len(index)} examples fit no prior: give 1 or more, of 2 or more")
        held = np.arange(len(index)) % min(_HELD_OUT, len(index)) == 0
        train, part = index[~held].astype(np.float32), index[held]
        size, preprocess = min(batch_size, len(train)), as_arrays(Scale())
        recipe = Adam(learning_rate, Cosine(), horizon=float(epochs * (len(train) // size)))
        settings = (model, *as_arrays((Surprise(), recipe)), preprocess, Examples(train))
        states = devices.states_of_epochs(*settings, epochs=epochs, batch_size=size, seed=seed)
        priors = (cls(model, state.params, index.shape[1]) for state in states)
        return min(priors, key=lambda prior: prior.nats(part).mean())

    def nats(self, index: Int[np.ndarray, "n positions"]) -> Float[np.ndarray, " n"]:
        """Returns -log p(k) of each example's indices: over log 2, the bits that they take at best."""
        return programs.in_chunks(partial(_nats, self.model, self.params), index.astype(np.int32))

    def draw(self, n: int, seed: int = 0) -> Int[np.ndarray, "n positions"]:
        """Draws the indices of `n` examples, one position after the other: the same by a seed on every machine."""
        rng, found = np.random.default_rng(seed), []
        for start in range(0, n, self._rows):
            size = min(self._rows, n - start)

            def drawn(frequencies: Int[np.ndarray, "n codes"], size: int = size) -> Int[np.ndarray, " n"]:
                slot = rng.integers(0, 2**PRECISION, (size, 1))
                return np.sum(np.cumsum(frequencies, axis=1) <= slot, axis=1)

            found.append(self._walk(size, lambda position, frequencies: drawn(frequencies)))
        return np.concatenate(found)

    # As the coder of a compressed file

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all that its frequencies depend on."""
        return programs.digest_of(json_text(self._settings), self.params)

    def encode(self, index: Int[np.ndarray, "n positions"]) -> bytes:
        """Codes indices, to nearly as few bits as `nats` says: some examples in each stream."""
        streams = []
        for start in range(0, len(index), self._rows):
            rows = index[start : start + self._rows]
            places = np.arange(len(rows))
            spans: list[tuple[Any, Any]] = []

            def given(
                position: int, frequencies: Any, rows: Any = rows, places: Any = places, spans: Any = spans
            ) -> Any:
                chosen = rows[:, position]
                count = frequencies[places, chosen]
                spans.append((np.cumsum(frequencies, axis=1)[places, chosen] - count, count))
                return chosen

            self._walk(len(rows), given)
            streams.append(_ans.encode(*(np.stack(part) for part in zip(*spans, strict=True))))
        return b"".join(_LENGTH.pack(len(stream)) + stream for stream in streams)

    def decode(self, coded: bytes, n: int) -> Int[np.ndarray, "n positions"]:
        """Returns the indices of `n` examples that `encode` has coded, exactly; see `codefile` for damaged ones."""
        found, place = [], 0
        for start in range(0, n, self._rows):
            length = _LENGTH.unpack_from(coded, place)[0]
            decoder = _ans.Decoder(coded[place + _LENGTH.size : place + _LENGTH.size + length])
            place += _LENGTH.size + length
            taken = self._walk(min(self._rows, n - start), lambda position, f, decoder=decoder: decoder.take(f))
            decoder.end()
            found.append(taken)
        if place != len(coded):
            raise ValueError("more streams than examples")
        return np.concatenate(found)

    def _walk(self, n: int, choose: Any) -> Int[np.ndarray, "n positions"]:
        """Returns indices that `choose(position, frequencies)` gives, one position after the other."""
        network = self._network
        state, chosen = network.begin(n), []
        for position in range(self.positions):
            chosen.append(choose(position, network.frequencies(state, position)))
            network.take(state, position, chosen[-1])
        return np.stack(chosen, axis=1)

    @cached_property
    def _network(self) -> FixedPoint:
        return FixedPoint(self.model, self.params, self.positions)

    @property
    def _rows(self) -> int:
        return max(min(_ROWS, _FREQUENCIES // self.model.codes), 1)

    @property
    def _settings(self) -> dict[str, Any]:
        names = ("codes", "books", "embedding", "outputs", "hidden")
        return {name: getattr(self.model, name) for name in names} | {"positions": self.positions}


@partial(jax.jit, static_argnums=0)
def _nats(model: CodePrior, params: Any, index: Array) -> Array:
    return -core.apply(lambda model, index: model.log_prob(index), model, {"params": params}, {}, index)[0]


def draw_independent(index: Int[np.ndarray, "m positions"], n: int, seed: int = 0) -> Int[np.ndarray, "n positions"]:
    """Draws indices independently, at each position as often as given examples have them.

    Args:
        index: the indices of the given examples.
        n: the number of draws.
        seed: the seed of the draws.
    """
    rows = np.random.default_rng(seed).integers(0, len(index), (n, index.shape[1]))
    return np.take_along_axis(index, rows, axis=0)


def write_code_prior(folder: Path, prior: IndexPrior, step: int) -> Path:
    """Keeps a prior over codes in the folder of a run or a saved model, in place of another one of that step.

    Args:
        folder: the folder.
        prior: the prior.
        step: the step whose indices it was fitted to.

    Returns:
        The file.

    Raises:
        OSError: where it cannot be written.
    """
    texts = {"settings": json_text(prior._settings)}
    return write_beside(folder / FOLDER, step, {"params": prior.params}, texts)


def read_code_prior(folder: Path, step: int) -> IndexPrior | None:
    """Reads the prior that was fitted to the indices of a step; None where there is none, or one that is damaged.

    A warning says of a damaged one, and where there are those of other steps alone.

    Args:
        folder: the folder of a run or a saved model.
        step: the step.
    """

    def made(arrays: dict[str, Any], texts: dict[str, str]) -> IndexPrior:
        settings = json.loads(texts["settings"])
        positions, hidden = settings.pop("positions"), tuple(settings.pop("hidden"))
        model = CodePrior(**settings, hidden=hidden)
        blank = Examples(jnp.zeros((1, positions)))
        keys = {"params": jax.random.key(0)}
        like = jax.eval_shape(lambda: core.init_variables(Surprise(), model, keys, blank))["params"]
        found = fill_parts({"params": like}, arrays)["params"]
        return IndexPrior(model, jax.tree.map(jnp.asarray, found), positions)

    return read_beside(folder / FOLDER, step, "prior over codes", made)
