"""Draws what a masked autoencoder makes of images of which its encoder sees a few patches."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from aejax.core import Examples, as_arrays
from aejax.data import Dataset
from aejax.evaluation import _shown, figures
from aejax.experiment import Experiment
from aejax.models import from_patches, to_patches, traits
from aejax.trained import Trained
from aejax.trained.shown import shown_limits


def suits(experiment: Experiment) -> bool:
    """Tells whether patches are hidden from the model's encoder."""
    return traits.PATCHES in experiment.model.meets


def filled(
    trained: Trained, part: Examples
) -> tuple[Float[np.ndarray, "n height width channels"], Float[np.ndarray, "n height width channels"]]:
    """Returns images of which most patches are hidden, NaN there, and the same with what is predicted in their place.

    The hidden patches are those of the first of the model's `turns`, the same of each image.
    """
    model, x = trained.experiment.model, trained.target(part)
    likelihood, preprocess = as_arrays((trained.experiment.loss.likelihood, trained.preprocess))

    def predicted(model: Any, batch: Examples) -> Float[Array, "batch *shape"]:
        order = jnp.broadcast_to(model.turns(batch)[:1], (len(batch), model.turns(batch).shape[1]))
        return preprocess.invert(likelihood.mean(model.predict(batch, order)[0], batch))

    patches = np.array(to_patches(jnp.asarray(x), model.encoder.patch))
    hidden = model.turns(part)[0, model.count(patches.shape[1]) :]
    patches[:, hidden] = np.nan
    masked = np.asarray(from_patches(jnp.asarray(patches), x.shape[1:]))
    return masked, np.where(np.isnan(masked), trained.apply(predicted, part.x, part.label), masked)


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws ten test images, what the encoder sees of them, and these with the predicted patches in place."""
    part = dataset.test.at_most(10).read()
    given = trained.target(part)
    masked, made = filled(trained, part)
    names = _shown.names(trained, dataset, part.label)
    share = 1 - np.isnan(masked).mean()
    figure = figures.image_rows(
        {"original": given, "seen": masked, "filled in": made},
        title=f"{_shown.counted(part, dataset.test)}, of which the encoder sees {share:.0%}",
        note=figures.ERRORS,
        limits=shown_limits(trained, given),
        above={"original": names} if names else None,
        below={"filled in": figures.squared_errors(given, made)},
    )
    return {"masked": figure}
