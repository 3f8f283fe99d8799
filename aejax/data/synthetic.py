"""Draws examples that are sums of known sparse features, as dictionaries are made to find.

The recipe follows SynthSAEBench (SAELens, docs/synth_sae_bench.md): how often features are active falls as in Zipf's
law, they are correlated, some are children of others, and there are more of them than values.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import Examples


@dataclass(frozen=True)
class SyntheticFeatures:
    """Says what synthetic examples are made of; all of it follows from these numbers, and each example from its own."""

    features: int = 512
    """Number of features."""
    values: int = 64
    """Number of values of an example."""
    roots: int = 8
    """Number of trees of features; the features that are in no tree depend on no other."""
    branching: int = 4
    """Number of children of a feature in a tree, of which at most one is active at a time."""
    depth: int = 2
    """Number of generations below a root."""
    most: float = 0.4
    """Share of examples in which the most frequent feature is active."""
    least: float = 5e-4
    """Share of examples in which the rarest feature is active."""
    exponent: float = 0.5
    """The exponent of Zipf's law, by which shares fall between the two."""
    rank: int = 25
    """Number of common causes that make features active together, by a Gaussian copula."""
    correlation: float = 0.1
    """Standard deviation of each feature's dependence on each cause."""
    bias: float = 0.5
    """Length of what is added to all examples."""
    seed: int = 42
    """Seed of the features and of all examples."""

    def vectors(self) -> tuple[Float[np.ndarray, "features values"], Float[np.ndarray, " values"]]:
        """Returns the features, each of length 1, and the bias.

        They are as orthogonal as so many can be: a tight frame of unit vectors has the least sum of squared products.
        Benedetto & Fickus 2003, theorem 7.1.
        """
        rng = np.random.default_rng(self.seed)
        vectors = rng.normal(size=(self.features, self.values))
        bias = rng.normal(size=self.values)
        for _ in range(50):
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            strength, axes = np.linalg.eigh(vectors.T @ vectors)
            vectors = vectors @ (axes / np.sqrt(np.maximum(strength, 1e-9))) @ axes.T
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32), (self.bias * bias / np.linalg.norm(bias)).astype(np.float32)

    def codes(self, number: Int[Array, " n"]) -> Float[Array, "n features"]:
        """Returns how active each feature is in the examples of these numbers: 0 or above."""
        return jax.vmap(partial(_code, self, self._shares(), self._loadings()))(number)

    @property
    def generations(self) -> tuple[int, ...]:
        """The number of features in each generation of all trees, the roots first; they are the first features."""
        return tuple(self.roots * self.branching**age for age in range(self.depth + 1))

    def _shares(self) -> Float[np.ndarray, " features"]:
        """Returns in which share of examples each feature is active if its parent is; parents are more frequent."""
        law = np.arange(1, self.features + 1) ** -self.exponent
        shares = self.least + (self.most - self.least) * (law - law[-1]) / (law[0] - law[-1])
        rng, trees = np.random.default_rng(self.seed + 1), sum(self.generations)
        order = rng.permutation(self.features)
        order[:trees].sort()  # as shares fall
        return np.asarray(shares[order], np.float32)

    def _loadings(self) -> Float[np.ndarray, "features rank"]:
        drawn = np.random.default_rng(self.seed + 2).normal(0, self.correlation, (self.features, self.rank))
        # What a feature has in common with others is less than all of its variance.
        return np.asarray(drawn / np.maximum(1, np.linalg.norm(drawn, axis=1, keepdims=True) / 0.9), np.float32)

    def _magnitudes(self) -> tuple[Float[np.ndarray, " features"], Float[np.ndarray, " features"]]:
        """Returns the mean and the standard deviation of each feature's magnitude where it is active."""
        spread = np.abs(np.random.default_rng(self.seed + 3).normal(0.5, 0.5, self.features))
        place = np.empty(self.features)
        place[np.argsort(-self._shares(), kind="stable")] = np.linspace(5, 4, self.features)
        return place.astype(np.float32), spread.astype(np.float32)


def _code(
    source: SyntheticFeatures,
    shares: Float[np.ndarray, " features"],
    loadings: Float[np.ndarray, "features rank"],
    number: Int[Array, ""],
) -> Float[Array, " features"]:
    """Returns how active each feature is in one example."""
    common, own, size = jax.random.split(jax.random.fold_in(jax.random.key(source.seed), number), 3)
    normal = loadings @ jax.random.normal(common, (source.rank,))
    normal += np.sqrt(1 - np.square(loadings).sum(axis=1)) * jax.random.normal(own, (source.features,))
    mean, spread = source._magnitudes()
    magnitude = jax.nn.relu(mean + spread * jax.random.normal(size, (source.features,)))
    excess = normal - jax.scipy.special.ndtri(1 - shares)
    code = jnp.where(excess > 0, magnitude, 0)

    generations, first = source.generations, 0
    parents = code[: generations[0]] / mean[: generations[0]]
    made = [code[: generations[0]]]
    for count in generations[1:]:
        first += count // source.branching
        siblings = excess[first : first + count].reshape(-1, source.branching)
        chosen = (siblings >= siblings.max(axis=1, keepdims=True)).reshape(-1)
        scaled = chosen * code[first : first + count] * jnp.repeat(parents, source.branching)
        parents = scaled / mean[first : first + count]
        made.append(scaled)
    return jnp.concatenate([*made, code[sum(generations) :]])


SOURCES = {
    "synthetic-dictionary": SyntheticFeatures(),
    "synthetic-dictionary-16k": SyntheticFeatures(16_384, 768, roots=128, depth=3),
}
"""What the data sets of synthetic features are drawn from, by name."""

_PARTS = {"train": 131_072, "validation": 4_096, "test": 16_384}


def read(name: str) -> dict[str, Examples]:
    """Draws the parts of a data set of synthetic features: float32 `[n, values]`, labelled by their own numbers.

    Every example is drawn by its number, so a larger set would begin with the same ones.
    """
    source = SOURCES[name]
    parts, first = {}, 0
    vectors, bias = source.vectors()

    @jax.jit
    def drawn(numbers: Int[Array, " n"]) -> Float[Array, "n values"]:
        return jax.lax.map(lambda few: source.codes(few) @ vectors + bias[None], numbers.reshape(-1, 512)).reshape(
            -1, source.values
        )

    for part, count in _PARTS.items():
        numbers = np.arange(first, first + count, dtype=np.int32)
        parts[part] = Examples(np.asarray(drawn(numbers)), numbers)
        first += count
    return parts


def source_of(name: str) -> SyntheticFeatures | None:
    """Returns what the data set of that name was drawn from; None where that is not known."""
    return SOURCES.get(name)
