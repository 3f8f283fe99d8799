"""Denoising autoencoders on MNIST: the input is corrupted anew at every use, the target never is."""

from aejax.core import Adam, Cosine
from aejax.data import Data
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import Bernoulli, Corruption, GaussianNoise, Loss, Masking
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain


def gaussian() -> Experiment:
    """Half a unit of Gaussian noise, not clipped."""
    return _overcomplete(GaussianNoise(0.5), 15.549)


def masking() -> Experiment:
    """Every second pixel lost. Vincent et al. 2010 lose 10 to 40 %."""
    return _overcomplete(Masking(0.5), 14.667)


def _overcomplete(corruption: Corruption, best_linear: float) -> Experiment:
    """A hidden layer of 1,000, wider than the input: the noise is what keeps it from copying."""
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
