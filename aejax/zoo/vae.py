"""Variational autoencoders on MNIST. All train on the 60,000 images and are measured on the 10,000 of test."""

from aejax.data import Data, StaticBinarise
from aejax.experiment import Expected, Experiment
from aejax.losses import KL, Bernoulli, Loss, Reconstruction
from aejax.models import GaussianLatent, MLPDecoder, MLPEncoder, VariationalAutoencoder
from aejax.optim import Adam

ELBO = {"reconstruction": Reconstruction(), "kl": KL()}


def flax() -> Experiment:
    """One hidden layer of 500 each way; the pixels were drawn once, ours by a fixed seed."""
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((500,)), GaussianLatent(20), MLPDecoder((500,))),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Adam(1e-3),
        batch_size=128,
        epochs=10,
        expected=Expected("loss_nats", 104.0, 0.5, "Flax's own VAE example", "V"),
    )
