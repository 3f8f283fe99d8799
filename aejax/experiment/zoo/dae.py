"""Builds denoising autoencoders on MNIST: the input is corrupted anew at every use, the target never is."""

from aejax.core import Adam, Cosine
from aejax.data import Data
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import Bernoulli, Corruption, GaussianNoise, Loss, Masking
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain


def gaussian() -> Experiment:
    """Builds a denoising autoencoder against Gaussian noise of standard deviation 0.5, not clipped."""
    return _overcomplete(GaussianNoise(0.5), 15.549)


def masking() -> Experiment:
    """Builds a denoising autoencoder that loses each pixel with probability 0.5.

    Vincent et al. 2010 lose 10 to 40 %.
    """
    return _overcomplete(Masking(0.5), 14.667)


def _overcomplete(corruption: Corruption, best_linear: float) -> Experiment:
    """Builds a denoising autoencoder whose code of 1,000 is wider than the input: noise keeps it from copying."""
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(1000, "relu"), MLPDecoder()),
        loss=Loss(Bernoulli(), corruption=corruption),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        epochs=20,
        expected=Expected(
            "denoised_at_1x_squared_error",
            best_linear,
            0.0,
            "the best linear denoiser (Wiener's) for this noise, from the training set's moments, exactly on test",
            "C",
        ),
    )
