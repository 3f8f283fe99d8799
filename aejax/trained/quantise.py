"""Quantisation: codes of a few bits a dimension."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from aejax.core import InputError

_SHARES = np.linspace(0.1, 1, 19)  # of the codes' own range, tried for the quantiser's


@dataclass(frozen=True)
class Quantizer:
    """2^bits levels a dimension, evenly spaced between `low` and `high`; what lies outside goes to the end levels."""

    low: Float[np.ndarray, " latent"]
    high: Float[np.ndarray, " latent"]
    bits: int

    @classmethod
    def fit(cls, codes: Float[np.ndarray, "n latent"], bits: int) -> "Quantizer":
        """The range of each dimension, shrunk about its mean to the least squared error on these codes.

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
        """`low` and `high`."""
        return np.stack([self.low, self.high])

    def quantise(self, codes: Float[np.ndarray, "n latent"]) -> UInt8[np.ndarray, "n latent"]:
        """The level of each number, 0 to 2^bits - 1."""
        width = np.where(self.high > self.low, self.high - self.low, 1)
        levels = np.floor((codes - self.low) / width * 2**self.bits)
        return np.clip(levels, 0, 2**self.bits - 1).astype(np.uint8)

    def restore(self, levels: UInt8[np.ndarray, "n latent"]) -> Float[np.ndarray, "n latent"]:
        """The middle of each level's interval, float32."""
        middle = (levels.astype(np.float32) + np.float32(0.5)) / np.float32(2**self.bits)
        return (self.low + middle * (self.high - self.low)).astype(np.float32)
