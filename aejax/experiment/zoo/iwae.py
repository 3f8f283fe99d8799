"""Builds table 1 of Burda et al. 2016 on MNIST: one and two stochastic layers, bounds of 1, 5 and 50 samples.

Architectures, data and test are the paper's. Training is not: the paper makes 9.8 million steps of 20 images, in eight
stages of falling rates; the entries make 144,000 of 250 images, those of one sample 288,000, at a rate that falls by a
cosine, and the bounds of several samples have the encoder's gradient of Tucker et al. 2019.
"""

from aejax.core import Adam, Cosine
from aejax.data import Binarise, Data
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import Bernoulli, DoublyReparameterised, ImportanceWeighted, Loss
from aejax.models import (
    BottomDecoder,
    GaussianLatent,
    HierarchicalLatent,
    HierarchicalPrior,
    MLPDecoder,
    MLPEncoder,
    VariationalAutoencoder,
)

ENCODER = MLPEncoder((200, 200), "tanh")

DECODER = MLPDecoder((200, 200), "tanh", bias=-1.9)
"""The decoder network, whose output biases start at the log-odds of MNIST's mean pixel, .13; the paper's code takes
each pixel's own."""


def one_layer(samples: int, published: float) -> Experiment:
    """Builds an experiment with one stochastic layer, 784-200-200-50 and back.

    Args:
        samples: the number of samples in the bound, the paper's k.
        published: the test negative log-likelihood that the paper reports, in nats.
    """
    model = VariationalAutoencoder(ENCODER, GaussianLatent(50), DECODER)
    return _cell(model, samples, published)


def two_layers(samples: int, published: float) -> Experiment:
    """Builds an experiment with two stochastic layers, 784-200-200-100, then 100-100-100-50, and back.

    Args:
        samples: the number of samples in the bound, the paper's k.
        published: the test negative log-likelihood that the paper reports, in nats.
    """
    model = VariationalAutoencoder(
        ENCODER,
        HierarchicalLatent((100, 50), (100, 100)),
        BottomDecoder(DECODER, 100),
        prior=HierarchicalPrior((100, 50), (100, 100)),
    )
    return _cell(model, samples, published)


def k1() -> Experiment:
    """Builds the plain VAE with one stochastic layer, whose bound takes one sample."""
    return one_layer(1, 86.76)


def k5() -> Experiment:
    """Builds the importance-weighted autoencoder with one stochastic layer, whose bound takes five samples."""
    return one_layer(5, 85.54)


def k50() -> Experiment:
    """Builds the importance-weighted autoencoder with one stochastic layer, whose bound takes fifty samples."""
    return one_layer(50, 84.78)


def two_k1() -> Experiment:
    """Builds the plain VAE with two stochastic layers, whose bound takes one sample."""
    return two_layers(1, 85.33)


def two_k5() -> Experiment:
    """Builds the importance-weighted autoencoder with two stochastic layers, whose bound takes five samples."""
    return two_layers(5, 83.89)


def two_k50() -> Experiment:
    """Builds the importance-weighted autoencoder with two stochastic layers, whose bound takes fifty samples."""
    return two_layers(50, 82.90)


def _cell(model: VariationalAutoencoder, samples: int, published: float) -> Experiment:
    bound, epochs = (ImportanceWeighted, 1200) if samples == 1 else (DoublyReparameterised, 600)
    source = f"Burda et al. 2016, table 1, after 9.8 million steps of 20 images; ours are {240 * epochs:,} of 250"
    return Experiment(
        model=model,
        loss=Loss(Bernoulli(), {"bound": bound(samples=samples)}),
        data=Data("mnist", preprocess=Binarise(), validation=0.0),
        optimizer=Adam(3e-3, Cosine(), eps=1e-4),
        batch_size=250,
        epochs=epochs,
        expected=Expected("nll_5000_nats", published, 0.5, source, "R"),
    )
