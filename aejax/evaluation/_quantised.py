"""Measures how much of a codebook is used, and how many bits its indices take."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from aejax.core import Examples
from aejax.data import Dataset
from aejax.evaluation import _shown, figures
from aejax.experiment import Experiment
from aejax.metrics import CodeUsage, codebook_metrics
from aejax.models import traits
from aejax.trained import Trained


def suits(experiment: Experiment) -> bool:
    """Tells whether the model's codes come from a codebook."""
    return traits.CODEBOOK in experiment.model.meets


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures the codebook's perplexity, its dead codes, and the bits of an example's indices, on a part."""
    return codebook_metrics(_usage(trained, part), trained.experiment.model.latent.slots)


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws how often each code is used on the test part."""
    title = f"Use of the codebook by {_shown.counted(dataset.test, dataset.test)}"
    return {"codebook": figures.code_usage(_usage(trained, dataset.test), title=title)}


def _usage(trained: Trained, part: Examples) -> Float[np.ndarray, " codes"]:
    """Returns, for each code, the share of all slots of all examples that hold it."""
    uses = trained.means(CodeUsage(trained.experiment.model.latent.codes), part)["uses"]
    return uses / uses.sum()
