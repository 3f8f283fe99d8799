"""Evaluates a prior over indices in whole numbers, so that its probabilities are the same wherever it runs.

A coder needs them equal to the bit on both sides, and sums of floats depend on their order, and so on the machine, the
device and the number of examples at once. Here all weights and activations are multiples of 2^-12: their products are
multiples of 2^-24, and sums of these below 2^28 are exact in float64 in any order. Nothing but products, sums, maxima
and rounding is used, and a table of whole numbers in place of the exponential. Balle et al. 2019 (Integer networks for
data compression with latent-variable models) have the same aim.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from aejax.models import CodePrior

PRECISION = 24
"""The frequencies of a position add up to 2 to this."""

_STEPS = 2**12
"""Steps in 1 of all weights and activations."""

_MOST_WEIGHT, _MOST_ACTIVATION = 2.0**6, 2.0**10
"""Bounds of their absolute values: sums of 2^12 products are exact."""

_TICKS = 256
"""Steps in a nat of the differences of logits."""

_DECAY = 4593706758521714574
"""e^(-1/256) times 2^62."""


def _table() -> Int[np.ndarray, " entries"]:
    """Returns e^(-k / 256) times 2^30 for k from 0, down to the last that is not 0, and a 0."""
    values, value = [], 2**62
    while value >> 32:
        values.append(value >> 32)
        value = value * _DECAY >> 62
    return np.asarray([*values, 0], np.int64)


_EXPONENTIAL = _table()


class FixedPoint:
    """Gives the frequencies of each position's indices, one position after the other, for several examples at once."""

    def __init__(self, model: CodePrior, params: Any, positions: int) -> None:
        """Rounds the parameters of a prior over so many positions."""
        layers = model.network().layers(params["made"], positions, model.embedding)
        (self._first, self._first_bias), *self._middle, (out, out_bias) = jax.tree.map(_weights, layers)
        self._out, self._out_bias = (
            each.reshape(*each.shape[:-1], positions, model.outputs) for each in (out, out_bias)
        )
        self._embedding, self._values, self._bias = (_weights(params[name]) for name in ("embedding", "values", "bias"))
        self.positions, self._books, self._size = positions, model.books, model.embedding

    def begin(self, n: int) -> Float[np.ndarray, "n hidden"]:
        """Returns the state of `n` examples before their first index."""
        return np.repeat(self._first_bias[None], n, axis=0)

    def frequencies(self, state: Float[np.ndarray, "n hidden"], position: int) -> Int[np.ndarray, "n codes"]:
        """Returns how often each index is to be expected at a position, above 0, of 2^24 times.

        Args:
            state: what `begin` gave, after `take` at all positions before.
            position: the position.
        """
        seen = _activations(np.maximum(state, 0))
        for kernel, bias in self._middle:
            seen = _activations(np.maximum(seen @ kernel + bias, 0))
        features = _activations(seen @ self._out[:, position] + self._out_bias[position])
        logits = features @ self._values[position % self._books] + self._bias[position]
        below = np.rint((logits.max(axis=1, keepdims=True) - logits) * _TICKS)
        weights = _EXPONENTIAL[np.minimum(below, len(_EXPONENTIAL) - 1).astype(np.int64)]
        spare = 2**PRECISION - weights.shape[1]
        counts = 1 + weights * spare // weights.sum(axis=1, keepdims=True)
        counts[np.arange(len(counts)), weights.argmax(axis=1)] += 2**PRECISION - counts.sum(axis=1)
        return counts

    def take(self, state: Float[np.ndarray, "n hidden"], position: int, index: Int[np.ndarray, " n"]) -> None:
        """Adds the indices of a position to the state.

        Args:
            state: the state, which is changed.
            position: the position.
            index: the index of each example.
        """
        rows = slice(position * self._size, (position + 1) * self._size)
        state += self._embedding[position % self._books, index] @ self._first[rows]


def _weights(values: Any) -> Float[np.ndarray, "*shape"]:
    exact = np.asarray(values, np.float64)
    return np.rint(np.clip(exact, -_MOST_WEIGHT, _MOST_WEIGHT) * _STEPS) / _STEPS


def _activations(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.rint(np.clip(values, -_MOST_ACTIVATION, _MOST_ACTIVATION) * _STEPS) / _STEPS
