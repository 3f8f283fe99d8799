"""Measures how well noise is removed: PSNR and SSIM of corrupted examples, before and after, at several levels."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from aejax.core import Examples, Stream, derive
from aejax.data import Dataset, Scale
from aejax.evaluation import _shown, figures
from aejax.experiment import Experiment
from aejax.losses import Corruption, least_side
from aejax.metrics import SSIM_WINDOW, ms_ssim_of, psnr_db, ssim, value_range
from aejax.trained import Trained
from aejax.trained.shown import shown_limits

FACTORS = (0.5, 1.0, 1.5)
"""The levels of noise, as multiples of the one in training: below it, at it, and beyond all that training has seen."""


def scaled_level(corruption: Any, factor: float) -> Any:
    """Returns the same corruption with every level multiplied by `factor`.

    A corruption that draws its levels from a range gets one level for all examples: `factor` times the highest.
    """
    if isinstance(corruption, tuple):
        return tuple(scaled_level(part, factor) for part in corruption)
    changes: dict[str, Any] = {}
    for item in dataclasses.fields(corruption):
        value = getattr(corruption, item.name)
        if item.name == "level":
            highest = getattr(corruption, "up_to", None)
            changes = {"level": factor * (value if highest is None else highest), "up_to": None}
        elif isinstance(value, tuple):
            changes[item.name] = scaled_level(value, factor)
    return dataclasses.replace(corruption, **changes)


def corrupted(trained: Trained, x: np.ndarray, factor: float) -> Float[np.ndarray, "n *shape"]:
    """Corrupts examples as the experiment does, at `factor` times its level.

    Args:
        trained: the trained model, whose experiment has the corruption and the seed of the noise.
        x: the examples, in the data's units.
        factor: the multiple of the level in training.
    """
    corruption: Corruption = scaled_level(trained.experiment.loss.corruption, factor)
    key = derive(jax.random.key(trained.experiment.seed), Stream.EVALUATION)
    return np.asarray(corruption(jnp.asarray(x), derive(key, Stream.CORRUPTION)))


def measure(trained: Trained, part: Examples) -> dict[str, float]:
    """Measures the corrupted and the denoised examples of a part against the clean ones, at every level.

    Returns the PSNR in dB, the squared error (summed over an example, averaged over examples) and, of images that are
    large enough for their windows, the SSIM and the MS-SSIM. All are to the range of the data: see `value_range`.
    """
    given, clean = trained.seen(part.x), trained.target(part)
    (low, high), metrics = value_range(clean), {}
    for factor in FACTORS:
        noisy = corrupted(trained, given, factor)
        for name, x in {"noisy": noisy, "denoised": trained.reconstruct(noisy, part.label)}.items():
            at = f"{name}_at_{factor:g}x"
            metrics[f"{at}_psnr_db"] = psnr_db(x, clean, high - low)
            metrics[f"{at}_squared_error"] = float(np.square(x - clean).sum() / len(clean))
            if clean.ndim == 4 and min(clean.shape[1:3]) >= SSIM_WINDOW:
                metrics[f"{at}_ssim"] = ssim(x - low, clean - low, high - low)
            if clean.ndim == 4 and min(clean.shape[1:3]) >= least_side(5):
                metrics[f"{at}_ms_ssim"] = ms_ssim_of(x - low, clean - low, high - low)
    return metrics


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Draws ten clean test examples, and below them, level by level, the corrupted and the denoised ones."""
    if len(trained.shape) > 1 and not figures.is_drawable(trained.shape):
        return {}
    part = dataset.test.at_most(10).read()
    given, clean = trained.seen(part.x), trained.target(part)
    rows, below = {"clean": clean}, {}
    for factor in FACTORS:
        noisy = corrupted(trained, given, factor)
        rows |= {f"noise {factor:g}x": noisy, f"denoised {factor:g}x": trained.reconstruct(noisy, part.label)}
    for label, row in list(rows.items())[1:]:
        below[label] = figures.squared_errors(clean, row)
    figure = figures.image_rows(
        rows,
        title=f"{_shown.counted(part, dataset.test)}, with the noise of training times {_said(FACTORS)}, and denoised",
        note=f"{figures.ERRORS}, to the clean example",
        limits=shown_limits(trained, clean),
        below=below,
        names=trained.schema.columns,
    )
    return {"denoising": figure}


def _said(factors: Sequence[float]) -> str:
    return f"{', '.join(f'{factor:g}' for factor in factors[:-1])} and {factors[-1]:g}"


def suits(experiment: Experiment) -> bool:
    """Tells whether the loss corrupts its input, and the data is preprocessed by scaling alone."""
    return not experiment.loss.corruption.clean and isinstance(experiment.data.preprocess, Scale)
