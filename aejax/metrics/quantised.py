"""How much of a codebook is used, and the bits that its indices take."""

import math

import numpy as np
from jaxtyping import Array, Float, Int
from matplotlib.figure import Figure

from aejax import figures
from aejax.data import Dataset, Part
from aejax.experiment import Experiment
from aejax.models import Autoencoder, Quantised, VectorQuantised
from aejax.trained import Trained


def index(
    model: Autoencoder, x: Float[Array, "batch *shape"], label: Int[Array, " batch"] | None = None
) -> Int[Array, "batch slots"]:
    """Which codes stand for each example: `trained.apply(index, x, label)`; `model` is bound to its variables."""
    posterior = model.encode(x, label=label)
    assert isinstance(posterior, Quantised)
    return posterior.index


def usage(indices: Int[np.ndarray, "n slots"], codes: int) -> Float[np.ndarray, " codes"]:
    """The share of all slots of all examples that hold each code."""
    return np.bincount(indices.reshape(-1), minlength=codes) / indices.size


def codebook(shares: Float[np.ndarray, " codes"], slots: int) -> dict[str, float]:
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


def suits(experiment: Experiment) -> bool:
    """Whether its codes come from a codebook."""
    return isinstance(experiment.model.latent, VectorQuantised)


def measure(trained: Trained, part: Part) -> dict[str, float]:
    """Perplexity, dead codes and bits on the part."""
    return codebook(_usage(trained, part), trained.experiment.model.latent.slots)


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """How often each code is used on the test part."""
    return {"codebook": figures.code_usage(_usage(trained, dataset.test))}


def _usage(trained: Trained, part: Part) -> Float[np.ndarray, " codes"]:
    return usage(trained.apply(index, part.x, part.label), trained.experiment.model.latent.codes)
