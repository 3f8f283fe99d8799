"""Variational autoencoders. Those on MNIST train on the 60,000 images and are measured on the 10,000 of test."""

import dataclasses

from aejax.core import Adam, Cosine
from aejax.data import Data, StaticBinarise
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import KL, Bernoulli, Commitment, Gaussian, Loss, Reconstruction
from aejax.models import (
    Autoencoder,
    ConditionalAutoencoder,
    ConvDecoder,
    ConvEncoder,
    GaussianLatent,
    MLPDecoder,
    MLPEncoder,
    VampPrior,
    VariationalAutoencoder,
    VectorQuantised,
)

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


def vamp() -> Experiment:
    """A fortieth of the paper's 2,000 epochs; the rate warms up over the first twentieth of ours."""
    steps = 50 * 240
    return Experiment(
        model=VariationalAutoencoder(
            MLPEncoder((300, 300), "glu"),
            GaussianLatent(40),
            MLPDecoder((300, 300), "glu"),
            prior=VampPrior(500),
        ),
        loss=Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL(warmup_steps=0.05 * steps)}),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        batch_size=250,
        epochs=50,
        expected=Expected("nll_5000_nats", 85.57, 3.0, "Tomczak & Welling 2018, after 2,000 epochs", "R"),
    )


def conditional() -> Experiment:
    """`vae-flax` with the label on both ways. It saves what the class says of an image, which is at most log 10 nats.

    Of the bound it may save more: without the label the code has to say it, and normal posteriors say it badly.
    """
    twin = flax()
    parts = (twin.model.encoder, twin.model.latent, twin.model.decoder)
    expected = Expected("loss_nats", 102.45, 0.0, "vae-flax, the same without labels, as measured here", "C")
    return dataclasses.replace(twin, model=ConditionalAutoencoder(*parts), expected=expected)


def vector_quantised() -> Experiment:
    """7 x 7 codes of 8 bits an image. The prior over them is uniform, so no term of the loss is a rate."""
    return Experiment(
        model=Autoencoder(ConvEncoder((32, 32)), VectorQuantised(49, 8, 256, decay=0.95), ConvDecoder((32, 32))),
        loss=Loss(Gaussian(), {"reconstruction": Reconstruction(), "commitment": Commitment(1.0)}),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(5e-3, Cosine()),
        batch_size=128,
        epochs=10,
        expected=Expected(
            "squared_error",
            3.769,
            0.0,
            "PCA whose components share the same 392 bits an image, exactly: experiments/allotted_pca.py",
            "C",
        ),
    )


def sprites() -> Experiment:
    """Ten latents for the five factors, and the twin of `beta_sprites`."""
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((256, 128)), GaussianLatent(10), MLPDecoder((128, 256))),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("sprites"),
        optimizer=Adam(2e-3, Cosine()),
        batch_size=128,
        epochs=15,
        expected=Expected("squared_error", 15.522, 0.0, "PCA with 10 components, exactly", "C"),
    )


def beta_sprites() -> Experiment:
    """A heavier rate makes a latent that two factors share too dear. Higgins et al. 2017."""
    plain = sprites()
    return dataclasses.replace(
        plain,
        loss=Loss(Bernoulli(), ELBO | {"kl": KL(16.0)}),
        expected=Expected(
            "mig",
            0.0622,
            0.0,
            "the mean of the plain VAE's five seeds in experiments/disentanglement.py",
            "C",
            higher_is_better=True,
        ),
    )


def keras() -> Experiment:
    """A code of two numbers, grey pixels; dense layers where Keras' example has convolutions."""
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((512, 256)), GaussianLatent(2), MLPDecoder((256, 512))),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(1e-3),
        batch_size=128,
        epochs=30,
        expected=Expected(
            "loss_nats",
            146.95,
            0.0,
            "Keras' VAE example (convolutional, 30 epochs), of the 70,000 images that it trains on, test among them",
            "V",
        ),
    )


def conv() -> Experiment:
    """Strided convolutions on the data, in the batches and for the epochs of Flax's example."""
    return Experiment(
        model=VariationalAutoencoder(ConvEncoder((16, 32)), GaussianLatent(20), ConvDecoder((32, 16))),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Adam(1e-3),
        batch_size=128,
        epochs=10,
        expected=Expected("loss_nats", 104.0, 0.0, "Flax's own VAE example, which is dense", "V"),
    )
