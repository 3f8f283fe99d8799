"""Builds masked autoencoders: the encoder sees a quarter of an image, the decoder fills in the rest."""

from aejax.core import AdamW, WarmupCosine
from aejax.data import Data
from aejax.experiment.experiment import Experiment
from aejax.losses import Gaussian, Loss, MaskedReconstruction
from aejax.models import MaskedAutoencoder


def photos() -> Experiment:
    """Builds a masked autoencoder of colour photos of 32 x 32 pixels, 64 patches of which 16 are seen.

    Its encoder is a small one of He et al. 2022, four blocks of width 128, and its decoder one block of width 64.
    """
    return Experiment(
        model=MaskedAutoencoder(),
        loss=Loss(Gaussian(), {"masked": MaskedReconstruction()}),
        data=Data("tfds:cifar10", validation=0.0),
        optimizer=AdamW(1e-3, WarmupCosine(0.1), weight_decay=0.05),
        batch_size=256,
        epochs=100,
    )
