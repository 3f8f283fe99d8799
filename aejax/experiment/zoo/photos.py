"""Builds models of small colour photos, those of CIFAR-10: `--data PATH` trains them on others, or on copies of these.

Copies that were compressed on the way, such as JPEG files, have other pixels: bits per dimension of these are not
comparable with published ones, and a run on them has no figure.
"""

from aejax.core import Adam, WarmupCosine
from aejax.data import Data
from aejax.experiment.experiment import Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import Autoencoder, Plain, ResidualDecoder, ResidualEncoder

CIFAR = Data("tfds:cifar10", validation=0.0)


def plain() -> Experiment:
    """Builds a residual autoencoder whose code of an image of 32 x 32 pixels in colour has 128 numbers."""
    return Experiment(
        model=Autoencoder(ResidualEncoder((32, 64, 64)), Plain(128), ResidualDecoder((64, 64, 32))),
        loss=Loss(Gaussian()),
        data=CIFAR,
        optimizer=Adam(2e-3, WarmupCosine()),
        batch_size=64,
        epochs=12,
    )
