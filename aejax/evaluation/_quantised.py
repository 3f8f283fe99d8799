"""Measures how much of a codebook is used, and how many bits its indices take."""

import math

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset
from aejax.evaluation import _shown, figures
from aejax.experiment import Experiment
from aejax.metrics import CodeUsage, code_indices, codebook_metrics
from aejax.models import traits
from aejax.trained import Trained


def suits(experiment: Experiment) -> bool:
    """Tells whether the model's codes are told by indices."""
    return traits.DISCRETE in experiment.model.meets


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures the codebook's perplexity, its dead codes, and the bits of an example's indices, on a part."""
    latent = trained.experiment.model.latent
    metrics = codebook_metrics(_usage(trained, part), latent.positions // latent.books)
    return metrics | code_prior_metrics(trained, part)


def code_prior_metrics(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures how many bits the indices of an example take by a sampler that codes them; without one, nothing."""
    coder = None if trained.sampler is None else trained.sampler.coder
    if coder is None:
        return {}
    part = part.read()
    nats = coder.nats(trained.apply(code_indices, part.x, part.label))
    return {"code_prior_bits": float(nats.mean(dtype=np.float64)) / math.log(2)}


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws how often each code is used on the test part, of several codebooks those of all together."""
    usage = _usage(trained, dataset.test)
    what = "the codebook" if len(usage) == 1 else f"{len(usage)} codebooks"
    title = f"Use of {what} by {_shown.counted(dataset.test, dataset.test)}"
    return {"codebook": figures.code_usage(usage.reshape(-1) / len(usage), title=title)}


def _usage(trained: Trained, part: Examples) -> Float[np.ndarray, "books codes"]:
    """Returns, for each code, the share of all positions of its codebook, of all examples, that hold it."""
    latent = trained.experiment.model.latent
    uses = trained.means(CodeUsage(latent.codes, latent.books), part)["uses"]
    return uses / uses.sum(axis=1, keepdims=True)
