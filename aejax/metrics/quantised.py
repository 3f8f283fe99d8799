"""How much of a codebook is used, and the bits that its indices take."""

import math

import numpy as np
from jaxtyping import Array, Float, Int

from aejax.models import Autoencoder, Quantised


def code_indices(
    model: Autoencoder, x: Float[Array, "batch *shape"], label: Int[Array, " batch"] | None = None
) -> Int[Array, "batch slots"]:
    """Which codes stand for each example: `trained.apply(index, x, label)`; `model` is bound to its variables."""
    posterior = model.encode(x, label=label)
    assert isinstance(posterior, Quantised)
    return posterior.index


def code_shares(indices: Int[np.ndarray, "n slots"], codes: int) -> Float[np.ndarray, " codes"]:
    """The share of all slots of all examples that hold each code."""
    return np.bincount(indices.reshape(-1), minlength=codes) / indices.size


def codebook_metrics(shares: Float[np.ndarray, " codes"], slots: int) -> dict[str, float]:
    """Perplexity, dead codes and bits, of the shares of a whole part.

    `perplexity`: e to the entropy of the shares, 1 where one code is used alone and their number
    where all are used alike. `dead_codes`: those never used. `index_bits`: of an example's indices,
    all codes written at one length. `index_entropy_bits`: at best, if slots are coded one by one and
    all by these shares.
    """
    alive = shares[shares > 0]
    entropy = -float(np.sum(alive * np.log(alive)))
    return {
        "perplexity": math.exp(entropy),
        "dead_codes": float(len(shares) - len(alive)),
        "index_bits": slots * math.log2(len(shares)),
        "index_entropy_bits": slots * entropy / math.log(2),
    }
