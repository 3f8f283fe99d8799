"""Fits distributions to the indices by which the discrete codes of a trained model are told, and codes indices by them.

They are samplers like those of `samplers`, which says where they are kept.
"""

import struct
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from aejax import core, devices
from aejax.core import Adam, Cosine, Examples, InputError, as_arrays, configurable, json_text, static
from aejax.data import Scale
from aejax.models import CodePrior
from aejax.trained import _ans, programs
from aejax.trained._fixed_point import PRECISION, FixedPoint
from aejax.trained._surprise import Surprise
from aejax.trained.codefile import Coder
from aejax.trained.samplers import FittedSampler, Sampler

_HELD_OUT = 20
"""One in so many examples is held out of fitting, to choose the epoch whose prior is kept."""

_ROWS, _FREQUENCIES = 4096, 2**20
"""Largest number of examples in a stream, and of frequencies that these have at a position."""

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class _OfIndices(Sampler):
    """Is the base of samplers that model the indices by which discrete codes are told, of all examples there are."""

    of_indices = True
    most = 2**31 - 1


@configurable
class Independent(_OfIndices):
    """Draws each index by itself, as often as training examples have it at its position: the order-0 model."""

    @property
    def told(self) -> str:
        """What it is."""
        return "independent indices, each as often as training examples have it"

    def fit(self, codes: Int[np.ndarray, "n positions"], latent: Any, seed: int = 0) -> Any:
        """Returns how often each index is at each position.

        Args:
            codes: the indices.
            latent: the discrete latent that makes them.
            seed: not used.
        """
        counts = [np.bincount(column, minlength=latent.codes) for column in codes.T]
        return {"counts": jnp.asarray(np.stack(counts), jnp.float32)}

    def blank(self, latent: Any) -> Any:
        """Returns the shape of the counts."""
        return {"counts": jax.ShapeDtypeStruct((latent.positions, latent.codes), jnp.float32)}

    def draw(self, arrays: Any, n: int, key: Key[Array, ""]) -> Int[Array, "n positions"]:
        """Draws the indices of each position by their counts.

        Args:
            arrays: what `fit` gave.
            n: the number of examples.
            key: the key of the draw.
        """
        counts = arrays["counts"]
        return jax.random.categorical(key, jnp.log(counts), shape=(n, len(counts)))


@configurable
class Autoregressive(_OfIndices):
    """Models each index given those before it, p(k_1) p(k_2 | k_1) ..., by a masked network: see `models.CodePrior`.

    It is fitted by maximum likelihood, from independent indices on, and the parameters of the epoch are kept whose mean
    is least on a twentieth of the examples, which is held out.
    """

    hidden: tuple[int, ...] = static(default=(512,))
    """Width of each hidden layer."""
    epochs: int = static(default=20, kw_only=True)
    """Number of passes over the indices."""
    batch_size: int = static(default=250, kw_only=True)
    """Largest number of examples in a batch."""
    learning_rate: float = static(default=2e-3, kw_only=True)
    """The first rate of Adam, which falls to zero by a cosine."""

    @property
    def told(self) -> str:
        """What it is."""
        return "a prior of each index given those before it, fitted to those of codes"

    def fit(self, codes: Int[np.ndarray, "n positions"], latent: Any, seed: int = 0) -> Any:
        """Returns the parameters of the network.

        Args:
            codes: the indices of training examples, at least 2 of them.
            latent: the discrete latent that makes them.
            seed: the seed of first parameters and of the order.

        Raises:
            InputError: for less than 2 examples, 1 epoch or 1 hidden unit.
        """
        if len(codes) < 2 or self.epochs < 1:
            raise InputError(
                f"{self.epochs} epochs over {len(codes)} examples fit no prior: give 1 or more, of 2 or more"
            )
        if not self.hidden or min(self.hidden) < 1:
            raise InputError(f"the prior's hidden layers are {self.hidden}: give at least one, of at least one unit")
        held = np.arange(len(codes)) % min(_HELD_OUT, len(codes)) == 0
        train, part = codes[~held].astype(np.float32), codes[held]
        size, preprocess = min(self.batch_size, len(train)), as_arrays(Scale())
        recipe = Adam(self.learning_rate, Cosine(), horizon=float(self.epochs * (len(train) // size)))
        settings = (self.prior(latent), *as_arrays((Surprise(), recipe)), preprocess, Examples(train))
        states = devices.states_of_epochs(*settings, epochs=self.epochs, batch_size=size, seed=seed)
        return min((state.params for state in states), key=lambda params: self.fitted(params, latent).nats(part).mean())

    def blank(self, latent: Any) -> Any:
        """Returns the shapes of the parameters."""
        blank, keys = Examples(jnp.zeros((1, latent.positions))), {"params": jax.random.key(0)}
        init = partial(core.init_variables, Surprise(), self.prior(latent), keys, blank)
        return jax.eval_shape(init)["params"]

    def fitted(self, arrays: Any, latent: Any) -> "FittedIndices":
        """Returns the prior with its parameters.

        Args:
            arrays: what `fit` gave.
            latent: that of the codes.
        """
        return FittedIndices(self, arrays, self.prior(latent), latent.positions)

    def prior(self, latent: Any) -> CodePrior:
        """Returns the network for the indices of a latent."""
        return CodePrior(latent.codes, latent.books, hidden=self.hidden)


@dataclass(frozen=True)
class FittedIndices(FittedSampler):
    """Holds a prior over the indices of a model's codes, and codes indices by it."""

    model: CodePrior
    """What the prior is; `arrays` are its parameters."""
    positions: int
    """The number of indices of an example."""

    def nats(self, index: Int[np.ndarray, "n positions"]) -> Float[np.ndarray, " n"]:
        """Returns -log p(k) of each example's indices: over log 2, the bits that they take at best."""
        return programs.in_chunks(partial(_nats, self.model, self.arrays), index.astype(np.int32))

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

    @property
    def coder(self) -> Coder:
        """What codes indices to nearly as few bits as `nats` says: itself."""
        return self

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all that its frequencies depend on."""
        return programs.digest_of(json_text(self._settings), self.arrays)

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
        return FixedPoint(self.model, self.arrays, self.positions)

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
