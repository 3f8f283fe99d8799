"""Measures rate against distortion: codes of a deep autoencoder and of PCA at 1 to 8 bits a dimension, JPEG and PNG.

    python experiments/rate_distortion.py            the 5,000 embedded digits, a few seconds
    python experiments/rate_distortion.py mnist      all 60,000, and the result as JSON

Found on all of MNIST: 4 bits a dimension (111 bits an image) have half the squared error of PCA that is not
quantised at all (6.7 against 13.2), and 5 bits come within 7 % of the error of 8. Codes of 8 bits (192 bits an image)
take a third less than JPEG's smallest file, which has nearly twice the error. At 2 bits and more the autoencoder's
curve lies below that of PCA; at 1 bit PCA loses less, in a larger file.

Rates are bits per test image of whole files, with headers, ranges and entropy coding. JPEG and PNG get one sheet of
all images, so that they too pay for a header only once.
"""

import dataclasses
import io
import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from sklearn.decomposition import PCA

import aejax
from aejax.data import Data, load
from aejax.evaluation import figures, write_study
from aejax.experiment import Expected
from aejax.trained import Quantizer
from aejax.trained.codefile import Content, pack

WIDTH = 25  # images in a row of the sheet
EXPECTED = Expected(
    "autoencoder_at_4_squared_error", 13.193, 0.0, "PCA with 32 components that are not quantised, exactly", "C"
)
RESULT = Path(__file__).parent / "results" / "rate_distortion.json"


def squared_error(test: np.ndarray, back: np.ndarray) -> float:
    """Returns the squared error, summed over the pixels of an image, in [0, 1], and averaged over images."""
    return float(np.square(test - back.reshape(test.shape)).sum(axis=1).mean())


def quantised(train, test, decode, original):
    """Yields for each number of bits the rate of the test codes and the squared error of what they decode to.

    Args:
        train: the codes [n, size] to which the quantiser is fitted.
        test: the codes [n, size] that are quantised.
        decode: decodes codes to images.
        original: the test images [n, 784], in [0, 1].
    """
    for bits in range(1, 9):
        quantizer = Quantizer.fit(train, bits)
        levels = quantizer.quantise(test)
        rate = 8 * len(pack(Content(levels, 2**bits, quantizer.ranges), "0" * 64)) / len(test)
        yield bits, rate, squared_error(original, decode(quantizer.restore(levels)))


def as_sheet(images, **options):
    """Returns the rate and the squared error of all images as one sheet, in the format that the options name."""
    n, side = len(images), images.shape[1]
    sheet = images.reshape(n // WIDTH, WIDTH, side, side).swapaxes(1, 2).reshape(-1, WIDTH * side)
    Image.fromarray(sheet).save(file := io.BytesIO(), **options)
    back = np.asarray(Image.open(file)).reshape(n // WIDTH, side, WIDTH, side).swapaxes(1, 2).reshape(n, -1)
    return 8 * len(file.getvalue()) / n, squared_error(images.reshape(n, -1) / 255, back / 255)


name = sys.argv[1] if len(sys.argv) > 1 else "mnist-5k"
small = {"batch_size": 32, "epochs": 20} if name == "mnist-5k" else {}
experiment = dataclasses.replace(aejax.get("ae-deep"), data=Data(name, validation=0.0), **small)
dataset, start = load(experiment.data), time.perf_counter()
trained = aejax.fit(experiment, dataset=dataset, show_progress=True)
train, test = (part.x.reshape(len(part), -1) / np.float32(255) for part in (dataset.train, dataset.test))
pca = PCA(trained.experiment.model.latent.size, random_state=0).fit(train)

codes = [trained.encode(part.x) for part in (dataset.train, dataset.test)]
components = [pca.transform(part).astype(np.float32) for part in (train, test)]
curves = {
    "autoencoder": list(quantised(*codes, trained.decode, test)),
    "PCA": list(quantised(*components, pca.inverse_transform, test)),
    "JPEG": [(q, *as_sheet(dataset.test.x[..., 0], format="JPEG", quality=q)) for q in (1, 10, 20, 30, 50, 70)],
    "PNG": [("lossless", *as_sheet(dataset.test.x[..., 0], format="PNG", optimize=True))],
}
print(f"{'':22} {'bits or quality':>15} {'bits an image':>14} {'squared error':>14}")
for label, points in curves.items():
    for setting, rate, error in points:
        print(f"{label:22} {setting:>15} {rate:14.1f} {error:14.3f}")

if name == "mnist":
    measured = {
        f"{label}_at_{setting}_{what}": number
        for label, points in curves.items()
        for setting, *numbers in points
        for what, number in zip(("bits_an_image", "squared_error"), numbers, strict=True)
    }
    write_study(RESULT, measured, EXPECTED, time.perf_counter() - start)

figure = Figure(figsize=(6, 4), layout="constrained")
axes = figure.subplots()
for label, points in curves.items():
    axes.plot([point[1] for point in points], [point[2] for point in points], marker="o", label=label)
axes.set(xscale="log", xlabel="bits an image", ylabel="squared error of an image")
axes.legend(frameon=False)
figures.save(figure, out := Path("rate_distortion.png"))
print(out)
