"""Draws counts of known distributions: kinds of examples that differ in some values, and a course that all take.

Tables of counts, as of genes in cells or of words in texts, are mostly small numbers whose totals differ; the shares in
the total are what a model is to find.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from aejax.core import Examples
from aejax.data.split import in_turn


@dataclass(frozen=True)
class SyntheticCounts:
    """Says what synthetic counts are drawn from: all of it follows from these numbers."""

    values: int = 100
    """Number of values of an example."""
    kinds: int = 6
    """Number of kinds, which are the labels."""
    markers: float = 0.15
    """Share of the values whose share in the total is another one in a kind."""
    total: float = 600.0
    """The median over examples of what the total is on average."""
    spread: float = 0.5
    """The standard deviation of the logarithm of that."""
    seed: int = 7
    """Seed of the distributions and of all examples."""

    def log_shares(self, kind: Int[np.ndarray, " n"], place: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n values"]:
        """Returns the logarithms of the values' shares in the total.

        Args:
            kind: the kind of each example.
            place: where each is on the course, a standard normal number.
        """
        rng, size = np.random.RandomState(self.seed), (self.kinds, self.values)  # whose streams are frozen for good
        common, course = rng.normal(0, 1, self.values), rng.normal(0, 0.5, self.values)
        own = np.where(rng.uniform(size=size) < self.markers, rng.normal(0, 1.5, size), 0)
        logit = common + own[kind] + place[:, None] * course
        return logit - np.logaddexp.reduce(logit, axis=1, keepdims=True)

    def inverse_dispersions(self) -> Float[np.ndarray, " values"]:
        """Returns r of each value, whose variance is mean + mean^2 / r."""
        return np.exp(np.random.RandomState(self.seed + 1).normal(1, 0.7, self.values))

    def draw(self, n: int) -> Examples:
        """Draws examples: counts as float32 `[n, values]`, and their kinds as labels."""
        rng = np.random.RandomState(self.seed + 2)
        kind = rng.randint(self.kinds, size=n)
        shares = np.exp(self.log_shares(kind, rng.normal(size=n)))
        mean = np.exp(rng.normal(np.log(self.total), self.spread, (n, 1))) * shares
        shape = self.inverse_dispersions()[None]
        counts = rng.poisson(rng.gamma(shape, mean / shape))
        return Examples(counts.astype(np.float32), kind.astype(np.int32))


COUNTS = SyntheticCounts()
"""What `synthetic-counts` is drawn from."""

_PARTS = {"train": 4096, "validation": 512, "test": 1024}


def read() -> dict[str, Examples]:
    """Draws the parts of `synthetic-counts`."""
    return in_turn(COUNTS.draw(sum(_PARTS.values())), _PARTS)
