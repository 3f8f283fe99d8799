"""Measures how far denoised or corrupted examples are from clean ones: PSNR, SSIM and MS-SSIM."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.ndimage import gaussian_filter

from aejax.core import InputError
from aejax.losses import least_side, ms_ssim

SSIM_WINDOW = least_side(scales=1)
"""Number of pixels on a side of SSIM's window: no SSIM is defined for images with a shorter side."""

_AT_ONCE, _FEW = 1000, 64
"""Number of images whose windows are in memory at a time, and of those that have five scales."""


def value_range(x: Float[np.ndarray, "n *shape"]) -> tuple[float, float]:
    """Returns the ends of the scale on which values lie: 0 and 1, or -1 and 1, or else the least and the greatest.

    Their difference is the peak of PSNR and the L of SSIM; where all values are equal and outside [-1, 1] it is 1.
    """
    low, high = float(x.min()), float(x.max())
    if low >= -1 and high <= 1:
        return (-1.0, 1.0) if low < 0 else (0.0, 1.0)
    return low, high if high > low else low + 1


def psnr_db(x: Float[np.ndarray, "n *shape"], clean: Float[np.ndarray, "n *shape"], data_range: float = 1.0) -> float:
    """Returns the peak signal-to-noise ratio in dB, the mean over examples.

    An example's error counts as that of no more than 120 dB.

    Args:
        x: the examples to measure.
        clean: the clean ones.
        data_range: the difference between the greatest and the least value that the data can have.
    """
    error = np.square(x.astype(np.float64) - clean).reshape(len(x), -1).mean(axis=1) / data_range**2
    return float(np.mean(-10 * np.log10(np.maximum(error, 1e-12))))


def ssim(x: Float[np.ndarray, "n h w c"], clean: Float[np.ndarray, "n h w c"], data_range: float = 1.0) -> float:
    """Returns the structural similarity of images, the mean over windows, channels and examples; at most 1.

    Wang et al. 2004, equation 13, with their Gaussian window of 11 pixels and sigma 1.5, K1 0.01, K2 0.03. As in their
    code, only windows that lie within the image count, and not those that a padded border would fill. Black is to be
    0, as in the paper: what is compared of means is their ratio.

    Args:
        x: the images to measure.
        clean: the clean ones.
        data_range: the difference between the greatest and the least value that the data can have, their L.

    Raises:
        InputError: for images smaller than the window.
    """
    if min(x.shape[1:3]) < SSIM_WINDOW:
        raise InputError(
            f"images of shape {x.shape[1:]} are smaller than SSIM's window: give {SSIM_WINDOW} pixels or more"
        )
    chunks = (slice(start, start + _AT_ONCE) for start in range(0, len(x), _AT_ONCE))
    return float(np.concatenate([_ssim_each(x[few], clean[few], data_range) for few in chunks]).mean())


def _ssim_each(
    x: Float[np.ndarray, "n h w c"], clean: Float[np.ndarray, "n h w c"], data_range: float
) -> Float[np.ndarray, " n"]:
    border = SSIM_WINDOW // 2

    def local_mean(image: np.ndarray) -> np.ndarray:
        blurred = gaussian_filter(image, 1.5, radius=border, axes=(1, 2))
        return blurred[:, border:-border, border:-border]

    x, clean = x.astype(np.float64), clean.astype(np.float64)
    mean_x, mean_y = local_mean(x), local_mean(clean)
    var_x, var_y = local_mean(x * x) - mean_x**2, local_mean(clean * clean) - mean_y**2
    covariance = local_mean(x * clean) - mean_x * mean_y
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean(axis=(1, 2, 3))


def ms_ssim_of(x: Float[np.ndarray, "n h w c"], clean: Float[np.ndarray, "n h w c"], data_range: float = 1.0) -> float:
    """Returns the structural similarity of images on five scales, the mean over examples: see `losses.ms_ssim`.

    Args:
        x: the images to measure.
        clean: the clean ones.
        data_range: the difference between the greatest and the least value that the data can have.

    Raises:
        InputError: for images with a side below 176 pixels.
    """
    chunks = (slice(start, start + _FEW) for start in range(0, len(x), _FEW))
    each = [_on_scales(jnp.asarray(x[few]), jnp.asarray(clean[few]), data_range) for few in chunks]
    return float(np.concatenate(each).mean())


@jax.jit
def _on_scales(x: Array, clean: Array, data_range: Array) -> Array:
    return ms_ssim(x.astype(jnp.float32), clean.astype(jnp.float32), data_range)
