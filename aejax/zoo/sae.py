"""Sparse autoencoders on MNIST. All train on the 60,000 images and are measured on the 10,000 of test."""

from aejax.data import Data
from aejax.experiment import Expected, Experiment
from aejax.losses import Bernoulli, CodeL1, Gaussian, KLSparsity, Loss, Reconstruction, WeightL2
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.optim import Adam, Cosine
from aejax.zoo.ae import KERAS_BLOG

PIXELS = 28 * 28


def keras() -> Experiment:
    """Keras adds 1e-4 of the code's L1 norm to a mean over pixels: in nats per example 784 times as much."""
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(32, "relu"), MLPDecoder()),
        loss=Loss(Bernoulli(), {"reconstruction": Reconstruction(), "sparsity": CodeL1(1e-4 * PIXELS)}),
        data=Data("mnist", validation=0.0),
        epochs=20,
        expected=Expected(
            "reconstruction_nats_per_pixel",
            0.10,
            0.0,
            f"{KERAS_BLOG}, after 100 epochs",
            "V",
        ),
    )


def kl() -> Experiment:
    """UFLDL's layer; its squared error follows a sigmoid and is minimised by L-BFGS, ours is linear and by Adam."""
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(200, "sigmoid"), MLPDecoder()),
        loss=Loss(
            Gaussian(),
            {"reconstruction": Reconstruction(), "sparsity": KLSparsity(3.0, 0.1), "weight_decay": WeightL2(3e-3)},
        ),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(2e-3, Cosine()),
        epochs=10,
        expected=Expected(
            "mean_activation",
            0.1,
            0.01,
            "rho, the mean activation that UFLDL's exercise asks for (Stanford, Stacked autoencoders)",
            "V",
        ),
    )
