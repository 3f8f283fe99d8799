"""Measures how far denoised or corrupted examples are from clean ones: PSNR and SSIM."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter


def psnr_db(x: Float[np.ndarray, "n *shape"], clean: Float[np.ndarray, "n *shape"]) -> float:
    """Returns the peak signal-to-noise ratio of values in [0, 1] in dB, the mean over examples.

    An example's squared error counts as 1e-12 at least, so that no ratio is above 120 dB.
    """
    error = np.square(x - clean).reshape(len(x), -1).mean(axis=1)
    return float(np.mean(-10 * np.log10(np.maximum(error, 1e-12))))


def ssim(x: Float[np.ndarray, "n h w c"], clean: Float[np.ndarray, "n h w c"]) -> float:
    """Returns the structural similarity of images in [0, 1], the mean over pixels, channels and examples.

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
