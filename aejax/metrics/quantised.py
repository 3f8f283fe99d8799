"""Measures how much of a codebook is used, and how many bits its indices take."""

import math
from typing import cast

import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import Examples
from aejax.models import Autoencoder, Quantised


def code_indices(model: Autoencoder, batch: Examples) -> Int[Array, "batch slots"]:
    """Returns the numbers of the codes that stand for each example, as in `trained.apply(code_indices, x, label)`.

    `model` is bound to its variables, and its latent has a codebook.
    """
    return cast(Quantised, model.encode(batch)).index


def code_shares(indices: Int[np.ndarray, "n slots"], codes: int) -> Float[np.ndarray, " codes"]:
    """Returns, for each code, the share of all slots of all examples that hold it."""
    return np.bincount(indices.reshape(-1), minlength=codes) / indices.size


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
