"""Builds models of small colour photos, those of CIFAR-10: `--data PATH` trains them on others, or on copies of these.

Copies that were compressed on the way, such as JPEG files, have other pixels: bits per dimension of these are not
comparable with published ones, and a run on them has no figure.
"""

import dataclasses

from aejax.core import Adam, WarmupCosine
from aejax.data import Data
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import KL, Commitment, Gaussian, GaussianNoise, LogisticMixture, Loss, Reconstruction
from aejax.models import (
    Autoencoder,
    GaussianLatent,
    Plain,
    ResidualDecoder,
    ResidualEncoder,
    VariationalAutoencoder,
    VectorQuantised,
)


def plain() -> Experiment:
    """Builds a residual autoencoder whose code of an image of 32 x 32 pixels in colour has 128 numbers."""
    return Experiment(
        model=Autoencoder(ResidualEncoder((32, 64, 64)), Plain(128), ResidualDecoder((64, 64, 32))),
        loss=Loss(Gaussian()),
        data=Data("tfds:cifar10", validation=0.0),
        optimizer=Adam(2e-3, WarmupCosine()),
        batch_size=64,
        epochs=12,
    )


def denoising() -> Experiment:
    """Builds a residual denoising autoencoder, each image of which has noise of a level of its own, up to 0.2.

    Its code has 16 x 16 places of 32 numbers, more than the image has: noise alone keeps it from copying.
    """
    return dataclasses.replace(
        plain(),
        model=Autoencoder(
            ResidualEncoder((48,), blocks=2), Plain(8192, places=256), ResidualDecoder((48,), blocks=3, spatial=True)
        ),
        loss=Loss(Gaussian(), corruption=GaussianNoise(0.0, up_to=0.2)),
        epochs=6,
    )


def variational() -> Experiment:
    """Builds a residual VAE whose code has 8 x 8 places of 8 numbers, and whose pixels are mixtures of logistics.

    Self-attention joins the places. The weight of the KL term warms up over the first tenth of training.
    """
    epochs, batch = 8, 64
    warmup = 0.1 * epochs * (50_000 // batch)
    return dataclasses.replace(
        plain(),
        model=VariationalAutoencoder(
            ResidualEncoder((32, 64), blocks=1, attention=8),
            GaussianLatent(512, places=64),
            ResidualDecoder((64, 32), blocks=1, attention=8, spatial=True),
        ),
        loss=Loss(LogisticMixture(), {"reconstruction": Reconstruction(), "kl": KL(warmup_steps=warmup)}),
        batch_size=batch,
        epochs=epochs,
        expected=Expected(
            "negative_elbo_bits_per_dim",
            4.51,
            0.0,
            "van den Oord et al. 2017, the VAE beside their VQ-VAE, after 250,000 steps",
            "R",
        ),
    )


def vector_quantised() -> Experiment:
    """Builds a residual VQ-VAE: 8 x 8 codes, each one of 512, of an image of 32 x 32 pixels in colour.

    `aejax sampler` fits to them what new images are drawn from.
    """
    return dataclasses.replace(
        plain(),
        model=Autoencoder(
            ResidualEncoder((32, 64)), VectorQuantised(64, 8, 512), ResidualDecoder((64, 32), spatial=True)
        ),
        loss=Loss(Gaussian(), {"reconstruction": Reconstruction(), "commitment": Commitment(1.0)}),
        epochs=8,
    )
