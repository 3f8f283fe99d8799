"""Measures how much of a codebook is used, and how many bits its indices take."""

import math
from typing import cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import Examples, configurable, static
from aejax.models import Autoencoder, Discrete


def code_indices(model: Autoencoder, batch: Examples) -> Int[Array, "batch positions"]:
    """Returns the indices of the code that stands for each example, as in `trained.apply(code_indices, x, label)`.

    `model` is bound to its variables, and its latent meets `DISCRETE`.
    """
    return cast(Discrete, model.encode(batch)).index


@configurable
class CodeUsage:
    """Counts how many positions of an example hold each index of each codebook."""

    codes: int = static(default=256)
    """The number of codes in a codebook."""
    books: int = static(default=1)
    """The number of codebooks, which positions read in turn."""

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, "batch books codes"]]:
        """Returns the counts as `uses`; `model` is bound to its variables, and its latent meets `DISCRETE`."""
        indices = code_indices(model, batch)
        rows = jnp.arange(len(indices))[:, None]
        books = jnp.arange(indices.shape[1])[None] % self.books
        rows, books = (jnp.broadcast_to(each, indices.shape) for each in (rows, books))
        return {"uses": jnp.zeros((len(indices), self.books, self.codes)).at[rows, books, indices].add(1.0)}


def codebook_metrics(shares: Float[np.ndarray, "*books codes"], slots: int) -> dict[str, float]:
    """Returns perplexity, dead codes and bits from the shares of a whole part, of one codebook or of each of several.

    `perplexity` is e to the entropy of the shares: 1 where a single code is used, the number of codes where all are
    used equally; of several codebooks it is e to the mean entropy. `dead_codes` is the number of codes that are never
    used. `index_bits` is how many bits an example's indices take if all have one length. `index_entropy_bits` is how
    many they take at best, if they are coded one by one and all by these shares. Each codebook serves `slots` indices.
    """
    alive = np.where(shares > 0, shares, 1)
    entropy = -np.sum(shares * np.log(alive), axis=-1)
    return {
        "perplexity": math.exp(entropy.mean()),
        "dead_codes": float(np.sum(shares == 0)),
        "index_bits": slots * entropy.size * math.log2(shares.shape[-1]),
        "index_entropy_bits": slots * float(entropy.sum()) / math.log(2),
    }
