"""Quantises codes to a few bits for each dimension."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from aejax.core import InputError

_SHARES = np.linspace(0.1, 1, 19)  # shares of the codes' own range that are tried as the quantiser's


@dataclass(frozen=True)
class Quantizer:
    """Rounds each dimension to 2^bits levels, evenly spaced from `low` to `high`; values outside go to the end levels.

    Each level is an interval, of which the middle is restored.
    """

    low: Float[np.ndarray, " latent"]
    """Lower end of each dimension's range."""
    high: Float[np.ndarray, " latent"]
    """Upper end of each dimension's range."""
    bits: int
    """Number of bits for each dimension, from 1 to 8."""

    @classmethod
    def fit(cls, codes: Float[np.ndarray, "n latent"], bits: int) -> "Quantizer":
        """Fits the range of each dimension to codes, shrunk about their mean to the least squared error on them.

        Raises `InputError` for bits outside 1 to 8.
        """
        if not 1 <= bits <= 8:
            raise InputError(f"bits is {bits}: give a whole number from 1 to 8")
        mean, low, high = codes.mean(axis=0), codes.min(axis=0), codes.max(axis=0)
        tried = [cls(mean - share * (mean - low), mean + share * (high - mean), bits) for share in _SHARES]
        error = np.stack([np.square(q.restore(q.quantise(codes)) - codes).mean(axis=0) for q in tried])
        best, dimension = error.argmin(axis=0), np.arange(codes.shape[1])
        low, high = (np.stack([getattr(q, end) for q in tried])[best, dimension] for end in ("low", "high"))
        return cls(low.astype(np.float32), high.astype(np.float32), bits)

    @property
    def ranges(self) -> Float[np.ndarray, "2 latent"]:
        """The lower and the upper end of each dimension's range, stacked."""
        return np.stack([self.low, self.high])

    def quantise(self, codes: Float[np.ndarray, "n latent"]) -> UInt8[np.ndarray, "n latent"]:
        """Returns the level of each number, from 0 to 2^bits - 1."""
        width = np.where(self.high > self.low, self.high - self.low, 1)
        levels = np.floor((codes - self.low) / width * 2**self.bits)
        return np.clip(levels, 0, 2**self.bits - 1).astype(np.uint8)

    def restore(self, levels: UInt8[np.ndarray, "n latent"]) -> Float[np.ndarray, "n latent"]:
        """Returns the middle of each level's interval, as float32."""
        middle = (levels.astype(np.float32) + np.float32(0.5)) / np.float32(2**self.bits)
        return (self.low + middle * (self.high - self.low)).astype(np.float32)
