"""Builds plain autoencoders on MNIST. All train on the 60,000 images and are measured on the 10,000 test images."""

from aejax.core import Adam, AdamW, Cosine, WarmupCosine
from aejax.data import Data, Standardise
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import (
    Bernoulli,
    CodeL2,
    ContractiveLayer,
    Gaussian,
    Loss,
    Reconstruction,
    SigmoidGaussian,
    WeightL2,
)
from aejax.models import Autoencoder, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, Plain, TiedAutoencoder

KERAS_BLOG = "Keras blog, Building Autoencoders in Keras (Chollet 2016)"


def keras() -> Experiment:
    """Builds Keras' simple autoencoder, 784-32-784: one dense layer each way."""
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(32, "relu"), MLPDecoder()),
        loss=Loss(Bernoulli()),
        data=Data("mnist", validation=0.0),
        expected=Expected(
            "reconstruction_nats_per_pixel",
            0.0916,
            0.0004,
            f"{KERAS_BLOG} says about 0.09; an independent run",
            "C",
        ),
    )


def deep() -> Experiment:
    """Builds Keras' deep autoencoder, 784-128-64-32 and back: three dense layers each way."""
    return Experiment(
        model=Autoencoder(MLPEncoder((128, 64)), Plain(32, "relu"), MLPDecoder((64, 128))),
        loss=Loss(Bernoulli()),
        data=Data("mnist", validation=0.0),
        epochs=100,
        expected=Expected(
            "reconstruction_nats_per_pixel",
            0.0839,
            0.0006,
            f"{KERAS_BLOG} says about 0.08; an independent run",
            "C",
        ),
    )


def conv() -> Experiment:
    """Builds a convolutional autoencoder with a code of 128 dimensions, after Keras'.

    It has strided convolutions and a dense code, where Keras pools and keeps the last feature maps as the code.
    """
    return Experiment(
        model=Autoencoder(ConvEncoder((16, 8, 8)), Plain(128), ConvDecoder((8, 8, 16))),
        loss=Loss(Bernoulli()),
        data=Data("mnist", validation=0.0),
        batch_size=128,
        expected=Expected("reconstruction_nats_per_pixel", 0.094, 0.0, KERAS_BLOG, "V"),
    )


def linear_32() -> Experiment:
    """Builds a linear autoencoder with a code of 32 dimensions.

    The optimal linear autoencoder spans the principal subspace (Bourlard & Kamp 1988).
    """
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(32), MLPDecoder()),
        loss=Loss(Gaussian()),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(2e-3, Cosine()),
        expected=Expected("squared_error", 13.193, 0.132, "PCA with 32 components, exactly, within 1 %", "C"),
    )


def overcomplete() -> Experiment:
    """Builds an autoencoder with a code of 1,024 dimensions, larger than the input.

    Such a code could copy the input; weight decay works against that.
    """
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(1024, "relu"), MLPDecoder()),
        loss=Loss(Bernoulli(), {"reconstruction": Reconstruction(), "weight_decay": WeightL2(1e-3)}),
        data=Data("mnist", validation=0.0),
        epochs=20,
        expected=Expected(
            "reconstruction_nats_per_pixel",
            0.0581,
            0.006,
            "the floor that grey pixels set (output = input), exactly; ours is to come within 0.006 of it",
            "C",
        ),
    )


def hinton() -> Experiment:
    """Builds Hinton & Salakhutdinov's deep autoencoder, 784-1000-500-250-30 and back, trained from random weights.

    SiLU, batch normalisation and weight decay replace sigmoids and pretraining. In validation, weight decay
    helped more than noise on the input, and SiLU had less error than ReLU, ELU and GELU.
    """
    hidden = (1000, 500, 250)
    return Experiment(
        model=Autoencoder(MLPEncoder(hidden, "silu", "batch"), Plain(30), MLPDecoder(hidden[::-1], "silu", "batch")),
        loss=Loss(Bernoulli()),
        data=Data("mnist", validation=0.0),
        optimizer=AdamW(4e-3, WarmupCosine(0.1), weight_decay=0.3),
        epochs=40,
        expected=Expected(
            "squared_error",
            3.00,
            0.0,
            "Hinton & Salakhutdinov 2006, with pretraining by RBMs; the same network today has 2.65",
            "R",
        ),
    )


def contractive() -> Experiment:
    """Builds the contractive autoencoder of Rifai et al. 2011, 784-1000-784 with sigmoid codes.

    Its weights are tied, so that the decoder cannot make up for their scale.
    """
    terms = {"reconstruction": Reconstruction(), "contractive": ContractiveLayer(0.5)}
    return Experiment(
        model=TiedAutoencoder(latent=Plain(1000, "sigmoid")),
        loss=Loss(Bernoulli(), terms),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        epochs=20,
        expected=Expected(
            "squared_error",
            7.093,
            0.0,
            "PCA with 64 components, exactly; the squared norm of its Jacobian is 64, ours is to be less in both",
            "C",
        ),
    )


def regularised() -> Experiment:
    """Builds the regularised autoencoder of Ghosh et al. 2020, RAE-L2, with dense layers in place of convolutions.

    It has no prior: `aejax sampler` fits a mixture to its codes, from which it generates (experiments/generation.py).
    """
    terms = {
        "reconstruction": Reconstruction(),
        "code": CodeL2(0.01),
        "decoder": WeightL2(1e-3, of="decoder"),
    }
    return Experiment(
        model=Autoencoder(MLPEncoder((512, 256)), Plain(16), MLPDecoder((256, 512))),
        loss=Loss(SigmoidGaussian(), terms),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        batch_size=128,
        epochs=5,
        expected=Expected("squared_error", 21.059, 0.0, "PCA with 16 components, exactly", "C"),
    )


def tabular() -> Experiment:
    """Builds an autoencoder for tables of numbers, whatever their units; `aejax.estimators` take it by default."""
    return Experiment(
        model=Autoencoder(MLPEncoder((64,), "silu"), Plain(8), MLPDecoder((64,), "silu")),
        loss=Loss(Gaussian()),
        data=Data("wbc", preprocess=Standardise()),
        optimizer=Adam(3e-3, Cosine()),
        batch_size=32,
        steps=1000,
    )
