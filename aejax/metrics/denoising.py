"""How well noise is removed: PSNR and SSIM of corrupted examples before and after, at several levels."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from aejax import figures
from aejax.data import Dataset, Part, Scale
from aejax.experiment import Experiment
from aejax.keys import Stream, derive
from aejax.losses import Clean, Corruption
from aejax.trained import Trained, scaled

FACTORS = (0.5, 1.0, 1.5)
"""Of the level trained at: below it, at it, and beyond anything seen in training."""


def psnr_db(x: Float[np.ndarray, "n *shape"], clean: Float[np.ndarray, "n *shape"]) -> float:
    """Peak signal-to-noise ratio of values in [0, 1], in dB, mean over examples."""
    error = np.square(x - clean).reshape(len(x), -1).mean(axis=1)
    return float(np.mean(-10 * np.log10(np.maximum(error, 1e-12))))


def ssim(x: Float[np.ndarray, "n h w c"], clean: Float[np.ndarray, "n h w c"]) -> float:
    """Structural similarity of images in [0, 1], mean over pixels, channels and examples.

    Wang et al. 2004, equation 13, with their Gaussian window of 11 pixels and sigma 1.5, K1 0.01, K2 0.03.
    """

    def local_mean(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 1.5, truncate=5 / 1.5, axes=(1, 2))

    x, clean = x.astype(np.float64), clean.astype(np.float64)
    mean_x, mean_y = local_mean(x), local_mean(clean)
    var_x, var_y = local_mean(x * x) - mean_x**2, local_mean(clean * clean) - mean_y**2
    covariance = local_mean(x * clean) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))))


def scaled_level(corruption: Any, factor: float) -> Any:
    """The same corruption with every level times `factor`, and no range: one level for all examples."""
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


def corrupted(trained: Trained, clean: np.ndarray, factor: float) -> Float[np.ndarray, "n *shape"]:
    """Examples through the experiment's corruption at `factor` times its level, by the run's own seed."""
    corruption: Corruption = scaled_level(trained.experiment.loss.corruption, factor)
    key = derive(jax.random.key(trained.experiment.seed), Stream.EVALUATION)
    return np.asarray(corruption(jnp.asarray(clean), derive(key, Stream.CORRUPTION)))


def measure(trained: Trained, part: Part) -> dict[str, float]:
    """PSNR in dB, and SSIM of images, of the corrupted and of the denoised examples at every level."""
    clean = scaled(part.x)
    metrics = {}
    for factor in FACTORS:
        noisy = corrupted(trained, clean, factor)
        for name, x in {"noisy": noisy, "denoised": trained.reconstruct(noisy, part.label)}.items():
            at = f"{name}_at_{factor:g}x"
            metrics[f"{at}_psnr_db"] = psnr_db(x, clean)
            metrics[f"{at}_squared_error"] = float(np.square(x - clean).sum() / len(clean))
            if clean.ndim == 4:
                metrics[f"{at}_ssim"] = ssim(x, clean)
    return metrics


def draw(trained: Trained, dataset: Dataset) -> dict[str, Figure]:
    """Clean examples, then corrupted and denoised ones below, level by level."""
    part = dataset.test.take(np.arange(min(10, len(dataset.test))))
    clean = scaled(part.x)
    rows = {"clean": clean}
    for factor in FACTORS:
        noisy = corrupted(trained, clean, factor)
        rows |= {f"noise {factor:g}x": noisy, f"denoised {factor:g}x": trained.reconstruct(noisy, part.label)}
    return {"denoising": figures.image_rows(rows)}


def suits(experiment: Experiment) -> bool:
    """Whether the loss corrupts its input, in the units of the data."""
    return not isinstance(experiment.loss.corruption, Clean) and isinstance(experiment.data.preprocess, Scale)
