"""Builds denoising autoencoders: the input is corrupted anew at every use, the target never is."""

from aejax.core import Adam, Cosine
from aejax.data import Data, Standardise
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import Bernoulli, Cauchy, Corruption, GaussianNoise, Loss, Masking
from aejax.metrics import Detector
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


def tabular() -> Experiment:
    """Builds a denoising autoencoder for anomalies in tables of numbers, learnt from rows of which some are anomalies.

    Clipping and a Cauchy likelihood keep the few from pulling it, and noise of twice the spread from learning them.
    """
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(256, "tanh"), MLPDecoder()),
        loss=Loss(Cauchy(0.3), corruption=GaussianNoise(2.0)),
        data=Data("wbc", preprocess=Standardise(clip=3.0)),
        optimizer=Adam(1e-3, Cosine()),
        batch_size=32,
        steps=1000,
        detector=Detector(),
        expected=Expected(
            "auroc",
            0.923,
            0.0,
            "PyOD's benchmark (Zhao, Nasrullah & Li 2019): its autoencoder on this split",
            "V",
            higher_is_better=True,
        ),
    )
