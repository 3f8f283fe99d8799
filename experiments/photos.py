"""Measures a code of 128 numbers and denoising on small colour photos, each beside what needs no network.

    python experiments/photos.py                    crops of two photos that come with scikit-learn, one epoch, a minute
    python experiments/photos.py DATA               the entries in full, on a folder of photos or on tfds:cifar10
    python experiments/photos.py DATA baselines     only what needs no network

PCA with 128 components, exactly, beside `ae-photos`; Wiener's denoiser (the best linear one, from the moments of the
training part), non-local means (Buades et al. 2005, with the level of the noise known) and, where PyWavelets is there,
shrunken wavelets (Chang et al. 2000, BayesShrink) beside `dae-photos`. Denoisers see 1,000 test photos, not clipped.

Found on JPEG copies of CIFAR-10's photos, 50,000 to train on and 10,000 test photos: PCA has a squared error of 14.487;
half of that, 7.244, takes it 249 components. PSNR in dB with noise of 0.1, 0.2 and 0.3: noisy 20.00, 13.98 and 10.47;
Wiener 27.64, 24.03, 22.22; non-local means 25.77, 22.43, 20.47; wavelets 23.86, 20.34, 18.47. The entries
themselves are not measured in full yet: `ae-photos` after 4 of its 12 epochs, on 45,000, has 14.949, more than PCA.
"""

import dataclasses
import sys
from importlib.util import find_spec

import numpy as np
from skimage.restoration import denoise_nl_means, denoise_wavelet
from sklearn.datasets import load_sample_images

import aejax
from aejax.core import Examples
from aejax.data import Data, Dataset, load, scaled
from aejax.metrics import psnr_db

COMPONENTS, LEVELS, MOST = 128, (0.1, 0.2, 0.3), 1000


def crops(number, rng):
    """Cuts pieces of 32 x 32 pixels, each anywhere in one of two photos."""
    photos = np.stack(load_sample_images().images)
    places = zip(
        rng.integers(2, size=number),
        rng.integers(427 - 32, size=number),
        rng.integers(640 - 32, size=number),
        strict=True,
    )
    return Examples(np.stack([photos[photo, top : top + 32, left : left + 32] for photo, top, left in places]))


def moments(x):
    """The mean of flat examples, and the principal directions with their variances, the largest first."""
    mean = x.mean(axis=0, dtype=np.float64)
    variance, directions = np.linalg.eigh((x - mean).T.astype(np.float64) @ (x - mean) / len(x))
    return mean, np.maximum(variance[::-1], 0), directions[:, ::-1]


def wiener(y, level):
    """The linear function of noisy flat examples that has the least squared error to the clean ones."""
    return mean + (y - mean) @ (directions * (variance / (variance + level**2))) @ directions.T


def each(denoise):
    """What a function of one image makes of each."""
    return lambda y, level: np.stack([denoise(image, level) for image in y])


BASELINES = {
    "noisy": lambda y, level: y,
    "wiener": lambda y, level: wiener(y.reshape(len(y), -1), level).reshape(y.shape),
    "non-local means": each(
        lambda image, level: denoise_nl_means(
            image, patch_size=5, patch_distance=6, h=0.6 * level, sigma=level, channel_axis=-1
        )
    ),
}
if find_spec("pywt"):
    BASELINES["wavelets"] = each(lambda image, level: denoise_wavelet(image, sigma=level, channel_axis=-1))

rng, given = np.random.default_rng(0), sys.argv[1:]
own = Dataset("crops", crops(600, rng), crops(60, rng), crops(100, rng))
dataset = load(Data(given[0], validation=0.0)) if given else own
train, test = (scaled(part.x).reshape(len(part), -1) for part in (dataset.train, dataset.test))
mean, variance, directions = moments(train)
left = (test - mean) - (test - mean) @ directions[:, :COMPONENTS] @ directions[:, :COMPONENTS].T
print(f"squared error of {COMPONENTS} components {np.square(left).sum(axis=1).mean():.3f}")


def trained(name):
    """An entry, trained on these photos in full, or for one epoch of the crops."""
    experiment = dataclasses.replace(aejax.get(name), data=Data(given[0] if given else "crops", validation=0.0))
    experiment = experiment if given else dataclasses.replace(experiment, epochs=1)
    return aejax.fit(experiment, dataset=dataset, show_progress=bool(given))


clean = scaled(dataset.test.at_most(MOST).x)
noisy = {level: clean + level * rng.normal(size=clean.shape).astype(np.float32) for level in LEVELS}
if given[1:] != ["baselines"]:
    back = trained("ae-photos").reconstruct(scaled(dataset.test.x)).reshape(test.shape)
    print(f"squared error of ae-photos {np.square(back - test).sum(axis=1).mean():.3f}")
    denoiser = trained("dae-photos")
    BASELINES["dae-photos"] = lambda y, level: denoiser.reconstruct(y)
for name, denoise in BASELINES.items():
    found = [psnr_db(np.asarray(denoise(y, level), np.float32), clean) for level, y in noisy.items()]
    print(f"{name:16} PSNR", *(f"{value:.2f} dB" for value in found))
