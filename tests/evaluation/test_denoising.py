import dataclasses

import numpy as np
import pytest

import aejax
from aejax.evaluation import suite
from aejax.evaluation._denoising import corrupted, measure
from aejax.losses import GaussianNoise
from aejax.metrics import psnr_db, ssim


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


def naive_ssim(x, y):
    """Wang et al. 2004, window by window."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    x, y = (np.pad(image, 5, mode="symmetric") for image in (x, y))
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            values.append((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return np.mean(values)


def test_ssim_equals_the_paper_s_formula_window_by_window(images):
    noisy = np.clip(images + np.random.default_rng(1).normal(0, 0.2, images.shape), 0, 1)
    expected = np.mean(
        [naive_ssim(a[..., 0].astype(float), b[..., 0].astype(float)) for a, b in zip(noisy, images, strict=True)]
    )
    assert ssim(noisy, images) == pytest.approx(expected, abs=1e-6)


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
        assert metrics[f"denoised_at_{factor:g}x_ssim"] == pytest.approx(ssim(denoised, clean), abs=1e-4)
    assert metrics["denoised_at_1x_psnr_db"] > metrics["noisy_at_1x_psnr_db"]


def test_only_denoising_experiments_are_measured_so(trained, tiny):
    assert "denoising" in suite.draw(trained, tiny.dataset)
    assert "noisy_at_1x_psnr_db" in suite.measure(trained, tiny.dataset.test)
    plain = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    assert "denoising" not in suite.draw(plain, tiny.dataset)
