"""Measures how much of a codebook is used, and how many bits its indices take."""

import math
from typing import cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import Examples, configurable, static
from aejax.models import Autoencoder, Quantised


def code_indices(model: Autoencoder, batch: Examples) -> Int[Array, "batch slots"]:
    """Returns the numbers of the codes that stand for each example, as in `trained.apply(code_indices, x, label)`.

    `model` is bound to its variables, and its latent has a codebook.
    """
    return cast(Quantised, model.encode(batch)).index


@configurable
class CodeUsage:
    """Counts how many slots of an example hold each code of the codebook."""

    codes: int = static(default=256)
    """The number of codes in the codebook."""

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, "batch codes"]]:
        """Returns the counts as `uses`; `model` is bound to its variables, and its latent has a codebook."""
        indices = code_indices(model, batch)
        rows = jnp.broadcast_to(jnp.arange(len(indices))[:, None], indices.shape)
        return {"uses": jnp.zeros((len(indices), self.codes)).at[rows, indices].add(1.0)}


def codebook_metrics(shares: Float[np.ndarray, " codes"], slots: int) -> dict[str, float]:
    """Returns perplexity, dead codes and bits from the shares of a whole part.

    `perplexity` is e to the entropy of the shares: 1 where a single code is used, the number of codes where all are
    used equally. `dead_codes` is the number of codes that are never used. `index_bits` is how many bits an example's
    indices take if all codes have one length. `index_entropy_bits` is how many they take at best, if slots are coded
    one by one and all by these shares.
    """
    alive = shares[shares > 0]
    entropy = -float(np.sum(alive * np.log(alive)))
    return {
        "perplexity": math.exp(entropy),
        "dead_codes": float(len(shares) - len(alive)),
        "index_bits": slots * math.log2(len(shares)),
        "index_entropy_bits": slots * entropy / math.log(2),
    }
