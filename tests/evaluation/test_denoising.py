import dataclasses

import numpy as np
import pytest

import aejax
from aejax.core import Examples, InputError
from aejax.data import Dataset
from aejax.evaluation import suite
from aejax.evaluation._denoising import corrupted, measure
from aejax.losses import Gaussian, GaussianNoise, Loss
from aejax.metrics import psnr_db, ssim, value_range


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(3, 16, 18, 1)).astype(np.float32)


def test_psnr_is_ten_decibels_for_a_tenth_of_the_power(images):
    noise = np.full_like(images, 0.1)
    assert psnr_db(images + noise, images) == pytest.approx(20, abs=1e-4)
    assert psnr_db(images + noise / np.sqrt(10), images) == pytest.approx(30, abs=1e-4)
    assert psnr_db(images, images) == pytest.approx(120)  # an error of zero counts as 1e-12


def test_psnr_is_taken_for_each_image_and_then_averaged(images):
    noise = np.stack([np.full((16, 18, 1), level) for level in (0.1, 0.01, 0.001)])
    assert psnr_db(images + noise, images) == pytest.approx((20 + 40 + 60) / 3, abs=1e-2)


def test_ssim_and_psnr_are_those_of_scikit_image(images):
    """Of coloured images in [0, 1] and [-1, 1]; the windows of SSIM lie within the image, as in Wang's code."""
    metrics = pytest.importorskip("skimage.metrics")
    images = np.concatenate([images, 1 - images[:, ::-1], np.sqrt(images)], axis=3).astype(np.float64)
    noisy = images + np.random.default_rng(1).normal(0, 0.2, images.shape)
    for scale, shift in ((1.0, 0), (2.0, -1)):
        pairs = list(zip(scale * images + shift, scale * noisy + shift, strict=True))
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
        likeness = [metrics.structural_similarity(*pair, data_range=scale, **options) for pair in pairs]
        ratio = [metrics.peak_signal_noise_ratio(*pair, data_range=scale) for pair in pairs]
        clean, given = (np.stack(column) for column in zip(*pairs, strict=True))
        assert value_range(clean) == (shift, 1)
        assert ssim(given, clean, scale) == pytest.approx(np.mean(likeness), abs=1e-6)
        assert psnr_db(given, clean, scale) == pytest.approx(np.mean(ratio), abs=1e-6)


def test_ssim_is_over_windows_within_the_image(images):
    """An image of 11 pixels has one window: Wang et al. 2004, equations 14 to 16, written out for it."""
    x, y = images[:, :11, :11].astype(np.float64), images[::-1, :11, :11].astype(np.float64)
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))[None, :, :, None]
    mean = lambda values: (window * values).sum(axis=(1, 2), keepdims=True) / window.sum()  # noqa: E731
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean((x - mx) ** 2), mean((y - my) ** 2), mean((x - mx) * (y - my))
    expected = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert ssim(x, y) == pytest.approx(expected.mean(), abs=1e-9)


@pytest.mark.slow
def test_images_smaller_than_the_window_have_no_ssim(images, trained, tiny):
    with pytest.raises(InputError, match=r"images of shape \(10, 18, 1\) are smaller than SSIM's window"):
        ssim(images[:, :10], images[:, :10])
    assert not [name for name in measure(trained, tiny.dataset.test) if "ssim" in name]


RANGES = [([0, 0.3], (0, 1)), ([-0.9, 1], (-1, 1)), ([-4.0, 6.0], (-4, 6)), ([0, 255.0], (0, 255)), ([7, 7], (7, 8))]


@pytest.mark.parametrize(("values", "expected"), RANGES)
def test_the_range_is_that_of_the_scale_on_which_values_lie(values, expected):
    assert value_range(np.float32(values)) == expected


def test_ssim_of_an_image_with_itself_is_one_and_that_of_channels_their_mean(images):
    assert ssim(images, images) == pytest.approx(1)
    channels = np.concatenate([images, 1 - images, images[:, ::-1]], axis=3)
    noisy = channels * np.float32([0.7, 0.5, 0.9])
    alone = [ssim(noisy[..., [i]], channels[..., [i]]) for i in range(3)]
    assert ssim(noisy, channels) == pytest.approx(np.mean(alone), rel=1e-6)


@pytest.fixture
def trained(tiny):
    loss = dataclasses.replace(tiny.experiment.loss, corruption=GaussianNoise(0.4))
    return aejax.fit(dataclasses.replace(tiny.experiment, loss=loss, epochs=30), dataset=tiny.dataset)


@pytest.mark.slow
def test_denoising_is_measured_at_levels_in_and_out_of_training_s(trained, tiny):
    metrics = measure(trained, tiny.dataset.test)
    clean = tiny.dataset.test.x / 255
    for factor in (0.5, 1.0, 1.5):
        noisy = corrupted(trained, clean.astype(np.float32), factor)
        assert metrics[f"noisy_at_{factor:g}x_squared_error"] == pytest.approx(16 * (0.4 * factor) ** 2, rel=0.25)
        assert metrics[f"noisy_at_{factor:g}x_psnr_db"] == pytest.approx(psnr_db(noisy, clean), abs=1e-4)
        denoised = trained.reconstruct(noisy)
        error = np.square(denoised - clean).sum() / len(clean)
        assert metrics[f"denoised_at_{factor:g}x_squared_error"] == pytest.approx(error, rel=1e-4)
    assert metrics["denoised_at_1x_psnr_db"] > metrics["noisy_at_1x_psnr_db"]


@pytest.mark.slow
def test_images_in_minus_one_to_one_are_measured_in_their_range(tiny):
    """The same model of the same images on another scale: every ratio is the same, and not 6.02 dB lower."""
    loss = Loss(Gaussian(), corruption=GaussianNoise(0.4))
    measured = []
    for scale, level in ((1, 0.4), (2, 0.8)):
        part = Examples((scale * (tiny.dataset.test.x / 255) - (scale - 1)).astype(np.float32))
        part = Examples(np.tile(part.x, (1, 3, 3, 1)))
        noise = GaussianNoise(level)
        experiment = dataclasses.replace(tiny.experiment, loss=dataclasses.replace(loss, corruption=noise), epochs=1)
        trained = aejax.fit(experiment, dataset=Dataset("scaled", part, part.take(np.arange(2)), part))
        measured.append({name: value for name, value in measure(trained, part).items() if name.startswith("noisy")})
    for name, value in measured[0].items():
        if not name.endswith("squared_error"):
            assert measured[1][name] == pytest.approx(value, rel=2e-3 if name.endswith("db") else 0.05), name


@pytest.mark.slow
def test_only_denoising_experiments_are_measured_so(trained, tiny):
    assert "denoising" in suite.draw(trained, tiny.dataset)
    assert "noisy_at_1x_psnr_db" in suite.measure(trained, tiny.dataset.test)
    plain = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    assert "denoising" not in suite.draw(plain, tiny.dataset)
