"""Defines the structural similarity of images on several scales, as a term that counts structure and not pixels."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.core import InputError, configurable, positive, static
from aejax.losses.terms import Forward, Term

WINDOW, SIGMA = 11, 1.5
"""Number of pixels on a side of the Gaussian window of SSIM, and its standard deviation."""

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The exponent of each scale, the finest first: Wang et al. 2003, section 3.2."""


@configurable
class MultiscaleSSIM(Term):
    """Measures what the structural similarity of the reconstruction and its target, on several scales, is short of 1.

    Wang et al. 2003 (Multiscale structural similarity for image quality assessment), equation 7. It is computed of the
    likelihood's mean, and stands beside or in the place of `Reconstruction`.
    """

    weight: float = 100.0
    """The weight in nats for what is short of 1."""
    scales: int = static(default=5)
    """Number of scales, 1 to 5, each half as large: the least side is at least 11 x 2^(scales - 1) pixels."""
    range: float = positive(default=1.0)
    """The difference between the greatest and the least value, of which the least is 0."""
    floor: float = positive(default=1e-3)
    """What likeness on a scale counts as at least, as the gradient of its power has no bound at 0."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns 1 less the similarity of each example. Raises `InputError` for no images, and for too small ones."""
        _require_large(forward.batch.target.shape[1:], self.scales)
        made = forward.likelihood.mean(forward.raw, forward.batch)
        return 1 - ms_ssim(made, forward.batch.target, self.range, self.scales, self.floor)


def ms_ssim(
    x: Float[Array, "n h w c"],
    clean: Float[Array, "n h w c"],
    data_range: float | Array = 1.0,
    scales: int = 5,
    floor: float | Array = 0.0,
) -> Float[Array, " n"]:
    """Returns the structural similarity of each pair of images over several scales, the mean over channels; at most 1.

    Contrast and structure are compared on every scale and luminance on the coarsest, in windows that lie within the
    image: Wang et al. 2003, equation 7, with the exponents of section 3.2, of fewer scales divided by their sum. The
    next scale is the mean of 2 x 2 pixels, for which an odd side gets its last pixels twice. With one scale it is SSIM.

    Args:
        x: the images to measure.
        clean: the clean ones.
        data_range: the difference between the greatest and the least value that the data can have.
        scales: the number of scales, 1 to 5.
        floor: what likeness on a scale counts as at least; of images that are opposite it is below 0.

    Raises:
        InputError: for examples that are no images, for images too small for the scales, and for another number of
            these.
    """
    _require_large(x.shape[1:], scales)
    c1, c2 = jnp.square(0.01 * jnp.asarray(data_range)), jnp.square(0.03 * jnp.asarray(data_range))
    exponents = np.asarray(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    similarity = jnp.ones((len(x), x.shape[3]))
    for scale, exponent in enumerate(exponents.tolist()):
        if scale:
            x, clean = _halved(x), _halved(clean)
        mean_x, mean_y = _local_mean(x), _local_mean(clean)
        apart = x - clean  # of which all is computed, as differences of like squares have no digits left in float32
        mean_apart = mean_x - mean_y
        var_y = _local_mean(jnp.square(clean)) - jnp.square(mean_y)
        covariance = _local_mean(apart * clean) - mean_apart * mean_y  # of the difference with the target
        var_apart = _local_mean(jnp.square(apart)) - jnp.square(mean_apart)
        likeness = (2 * (var_y + covariance) + c2) / (2 * (var_y + covariance) + var_apart + c2)
        if scale == scales - 1:
            likeness *= (2 * mean_x * mean_y + c1) / (jnp.square(mean_x) + jnp.square(mean_y) + c1)
        similarity *= jnp.maximum(jnp.mean(likeness, axis=(1, 2)), floor) ** exponent
    return jnp.mean(similarity, axis=1)


def least_side(scales: int) -> int:
    """Returns the number of pixels that the shorter side of an image has at least, for a number of scales."""
    return WINDOW * 2 ** (scales - 1)


def _require_large(shape: tuple[int, ...], scales: int) -> None:
    if not 1 <= scales <= len(WEIGHTS):
        raise InputError(f"MS-SSIM was asked for on {scales} scales: give 1 to {len(WEIGHTS)}")
    if len(shape) != 3:
        raise InputError(f"MS-SSIM is of images, and the examples have shape {shape}: leave it out")
    if min(shape[:2]) < least_side(scales):
        fitting = sum(min(shape[:2]) >= least_side(fewer) for fewer in range(1, len(WEIGHTS) + 1))
        remedy = f"give scales={fitting}" if fitting else "leave it out"
        raise InputError(
            f"images of {shape[0]} x {shape[1]} pixels are too small for MS-SSIM on {scales} scales, whose least side "
            f"is {least_side(scales)}: {remedy}"
        )


def _local_mean(x: Float[Array, "n h w c"]) -> Float[Array, "n rows columns c"]:
    """Returns the mean over each window that lies within the image, by a product along each side."""
    rows, columns = _windows(x.shape[1]), _windows(x.shape[2])
    return jnp.einsum("rh,nhwc,kw->nrkc", rows, x, columns)


def _windows(side: int) -> Float[np.ndarray, "windows side"]:
    weight = np.exp(-0.5 * np.square((np.arange(WINDOW) - WINDOW // 2) / SIGMA))
    places = np.arange(side)[None] - np.arange(side - WINDOW + 1)[:, None]
    inside = (places >= 0) & (places < WINDOW)
    return np.where(inside, (weight / weight.sum())[np.clip(places, 0, WINDOW - 1)], 0).astype(np.float32)


def _halved(x: Float[Array, "n h w c"]) -> Float[Array, "n half_h half_w c"]:
    n, h, w, c = x.shape
    even = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    return jnp.mean(even.reshape(n, (h + 1) // 2, 2, (w + 1) // 2, 2, c), axis=(2, 4))
