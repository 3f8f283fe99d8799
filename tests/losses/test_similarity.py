import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import convolve1d
from skimage.metrics import structural_similarity

from aejax.core import Examples, InputError
from aejax.losses import Gaussian, MultiscaleSSIM, ms_ssim
from aejax.losses.similarity import WEIGHTS
from aejax.metrics import ms_ssim_of, ssim
from tests.helpers.passes import passed

pytestmark = pytest.mark.usefixtures("strict")


def images(shape, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    clean = np.cumsum(rng.normal(0, 0.1, shape), axis=1)
    clean = (clean - clean.min()) / np.ptp(clean)
    return np.clip(clean + rng.normal(0, noise, shape), 0, 1).astype(np.float32), clean.astype(np.float32)


def by_numpy(x, clean, scales, data_range):
    """MS-SSIM of one image of one channel as TensorFlow has it, in float64: filters, then valid windows."""
    weight = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weight /= weight.sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean = lambda image: convolve1d(convolve1d(image, weight, axis=0), weight, axis=1)[5:-5, 5:-5]  # noqa: E731
    x, clean, product = x.astype(np.float64), clean.astype(np.float64), 1.0
    for scale, exponent in enumerate(np.asarray(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])):
        if scale:
            odd = [(0, side % 2) for side in x.shape]
            x, clean = (np.pad(image, odd, "symmetric") for image in (x, clean))
            x, clean = (
                (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4 for image in (x, clean)
            )
        mx, my = mean(x), mean(clean)
        cs = (2 * (mean(x * clean) - mx * my) + c2) / (mean(x * x) - mx**2 + mean(clean**2) - my**2 + c2)
        luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1) if scale == scales - 1 else 1.0
        product *= max((cs * luminance).mean(), 0) ** exponent
    return product


@pytest.mark.parametrize(("shape", "scales"), [((2, 45, 50, 1), 3), ((2, 24, 31, 2), 2)])
def test_it_is_that_of_another_implementation(shape, scales):
    x, clean = (2 * image for image in images(shape))
    expected = [
        np.mean([by_numpy(x[n, ..., c], clean[n, ..., c], scales, 2.0) for c in range(shape[3])]) for n in range(2)
    ]
    made = jax.jit(lambda x, clean: ms_ssim(x, clean, 2.0, scales))(x, clean)
    np.testing.assert_allclose(made, expected, rtol=2e-5)


def test_on_one_scale_it_is_ssim():
    x, clean = images((3, 20, 24, 2))
    made = jax.jit(lambda x, clean: ms_ssim(x, clean, scales=1))(x, clean)
    np.testing.assert_allclose(made.mean(), ssim(x, clean), rtol=1e-5)
    own = structural_similarity(
        x[0, ..., 0], clean[0, ..., 0], gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0,
        full=True,
    )[1][5:-5, 5:-5].mean()  # fmt: skip
    first = jax.jit(lambda x, clean: ms_ssim(x, clean, scales=1))(x[:1, ..., :1], clean[:1, ..., :1])
    np.testing.assert_allclose(first, own, rtol=1e-4)


def test_the_metric_is_on_five_scales():
    x, clean = images((1, 176, 176, 1))
    np.testing.assert_allclose(ms_ssim_of(x, clean), by_numpy(x[0, ..., 0], clean[0, ..., 0], 5, 1.0), rtol=2e-5)


@pytest.mark.parametrize(
    "made", [np.zeros, np.ones, lambda shape: images(shape)[1], lambda shape: 1 - images(shape)[1]]
)
def test_the_gradient_is_finite_for_the_same_for_opposite_and_for_blank_images(made):
    clean = images((2, 24, 24, 1))[1]
    x, clean = jnp.asarray(made(clean.shape), jnp.float32), jnp.asarray(clean)
    similarity = jax.jit(jax.value_and_grad(lambda x: ms_ssim(x, clean, 1.0, 2, 1e-3).sum()))
    for target in (x, jnp.zeros_like(x)):
        value, slope = similarity(target)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()
    same = float(jax.jit(lambda x: ms_ssim(x, x, 1.0, 2, 1e-3))(x).mean())
    assert same == pytest.approx(1)


@pytest.mark.parametrize(
    ("shape", "scales", "said"),
    [
        (
            (28, 28, 1),
            5,
            "28 x 28 pixels are too small for MS-SSIM on 5 scales, whose least side is 176: give scales=2",
        ),
        ((8, 30, 1), 1, "too small for MS-SSIM on 1 scales, whose least side is 11: leave it out"),
        ((28, 28, 1), 6, "on 6 scales: give 1 to 5"),
    ],
)
def test_what_has_no_such_scales_is_refused(shape, scales, said):
    with pytest.raises(InputError, match=said):
        ms_ssim(jnp.zeros((1, *shape)), jnp.zeros((1, *shape)), scales=scales)
    with pytest.raises(InputError, match="MS-SSIM is of images, and the examples have shape"):
        MultiscaleSSIM()(passed(np.zeros((2, 1)), key=0))


def test_as_a_term_it_is_what_similarity_is_short_of_one():
    x, clean = images((2, 24, 24, 1))
    forward = passed(np.zeros((2, 1)))._replace(
        batch=Examples(jnp.asarray(clean)), raw=jnp.asarray(x), likelihood=Gaussian()
    )
    expected = [1 - by_numpy(x[n, ..., 0], clean[n, ..., 0], 2, 1.0) for n in range(2)]
    term = jax.jit(lambda raw: MultiscaleSSIM(scales=2)(forward._replace(raw=raw)))
    np.testing.assert_allclose(term(forward.raw), expected, rtol=1e-4)
