"""Builds table 1 of Burda et al. 2016 on MNIST: one and two stochastic layers, bounds of 1, 5 and 50 samples.

Architectures, data and test are the paper's. Training is not: the paper makes 9.8 million steps of 20 images, in eight
stages of falling rates, by Adam; the entries make 18,000 to 48,000 updates by 500 images by Muon, at a rate that falls
by a cosine, and the encoder has the gradient of Tucker et al. 2019 or, for bounds of one sample, of Roeder et al. 2017.
"""

from aejax.core import Cosine, Muon
from aejax.data import Binarise, Data
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import Bernoulli, DoublyReparameterised, Loss
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


def one_layer(bound: DoublyReparameterised, epochs: int, published: float) -> Experiment:
    """Builds an experiment with one stochastic layer, 784-200-200-50 and back.

    Args:
        bound: the bound, the paper's L_k, or the mean of k bounds of one sample.
        epochs: the number of epochs.
        published: the test negative log-likelihood that the paper reports, in nats.
    """
    return _cell(VariationalAutoencoder(ENCODER, GaussianLatent(50), DECODER), bound, epochs, published)


def two_layers(bound: DoublyReparameterised, epochs: int, published: float) -> Experiment:
    """Builds an experiment with two stochastic layers, 784-200-200-100, then 100-100-100-50, and back.

    Args:
        bound: the bound, the paper's L_k, or the mean of k bounds of one sample.
        epochs: the number of epochs.
        published: the test negative log-likelihood that the paper reports, in nats.
    """
    model = VariationalAutoencoder(
        ENCODER,
        HierarchicalLatent((100, 50), (100, 100)),
        BottomDecoder(DECODER, 100),
        prior=HierarchicalPrior((100, 50), (100, 100)),
    )
    return _cell(model, bound, epochs, published)


def vae_k1() -> Experiment:
    """Builds the plain VAE with one stochastic layer, whose bound takes one sample."""
    return one_layer(_elbo(1), 400, 86.76)


def vae_k5() -> Experiment:
    """Builds the plain VAE with one stochastic layer, whose bound is estimated by five samples."""
    return one_layer(_elbo(5), 300, 86.47)


def vae_k50() -> Experiment:
    """Builds the plain VAE with one stochastic layer, whose bound is estimated by fifty samples."""
    return one_layer(_elbo(50), 150, 86.35)


def k5() -> Experiment:
    """Builds the importance-weighted autoencoder with one stochastic layer, whose bound takes five samples."""
    return one_layer(DoublyReparameterised(samples=5), 300, 85.54)


def k50() -> Experiment:
    """Builds the importance-weighted autoencoder with one stochastic layer, whose bound takes fifty samples."""
    return one_layer(DoublyReparameterised(samples=50), 150, 84.78)


def vae_two_k1() -> Experiment:
    """Builds the plain VAE with two stochastic layers, whose bound takes one sample."""
    return two_layers(_elbo(1), 400, 85.33)


def two_k5() -> Experiment:
    """Builds the importance-weighted autoencoder with two stochastic layers, whose bound takes five samples."""
    return two_layers(DoublyReparameterised(samples=5), 300, 83.89)


def two_k50() -> Experiment:
    """Builds the importance-weighted autoencoder with two stochastic layers, whose bound takes fifty samples."""
    return two_layers(DoublyReparameterised(samples=50), 150, 82.90)


def _elbo(samples: int) -> DoublyReparameterised:
    return DoublyReparameterised(samples=1, bounds=samples, sticking_the_landing=True)


def _cell(model: VariationalAutoencoder, bound: DoublyReparameterised, epochs: int, published: float) -> Experiment:
    source = f"Burda et al. 2016, table 1, after 9.8 million steps of 20 images; ours are {120 * epochs:,} of 500"
    # Gradients of fewer images at a time: what is kept of fifty codes of each stays in a processor's cache.
    accumulate = 20 if bound.samples * bound.bounds == 50 else 1
    return Experiment(
        model=model,
        loss=Loss(Bernoulli(), {"bound": bound}),
        data=Data("mnist", preprocess=Binarise(), validation=0.0),
        optimizer=Muon(8e-3, Cosine(), accumulate=accumulate),
        batch_size=500 // accumulate,
        epochs=epochs,
        expected=Expected("nll_5000_nats", published, 0.5, source, "R"),
    )
