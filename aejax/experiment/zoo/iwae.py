"""Builds table 1 of Burda et al. 2016 on MNIST: one and two stochastic layers, bounds of 1, 5 and 50 samples.

The paper trains for 3,280 epochs, in eight stages. The entries stop after the first three, 13 epochs, so that a
CPU can train them; the rest of the recipe is the paper's, and with `--epochs 3280` it is the whole.
"""

from aejax.core import Adam, Steps
from aejax.data import Binarise, Data
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import Bernoulli, ImportanceWeighted, Loss
from aejax.models import (
    BottomDecoder,
    GaussianLatent,
    HierarchicalLatent,
    HierarchicalPrior,
    MLPDecoder,
    MLPEncoder,
    VariationalAutoencoder,
)

STAGES = Steps(tuple((3**i - 1) / (3**8 - 1) for i in range(1, 8)), 10 ** (-1 / 7))
"""The schedule of section 5 of the paper: stage i takes 3^i parts of training at 10^(-i / 7) of the learning rate."""

STEPS = 3280 * 3000
"""Number of steps in the paper's whole schedule: 3,280 epochs of 3,000 batches, each of 20 of the 60,000 images."""

EPOCHS = 1 + 3 + 9
"""Number of epochs in the first three stages, after which the entries stop."""

ENCODER = MLPEncoder((200, 200), "tanh")

DECODER = MLPDecoder((200, 200), "tanh", bias=-1.9)
"""The decoder network, whose output biases start at the log-odds of MNIST's mean pixel, .13; the paper's code takes
each pixel's own."""


def one_layer(samples: int, published: float, tolerance: float) -> Experiment:
    """Builds an experiment with one stochastic layer, 784-200-200-50 and back.

    Args:
        samples: the number of samples in the bound, the paper's k.
        published: the test negative log-likelihood that the paper reports, in nats.
        tolerance: by how many nats the measured one may be worse.
    """
    model = VariationalAutoencoder(ENCODER, GaussianLatent(50), DECODER)
    return _cell(model, samples, published, tolerance)


def two_layers(samples: int, published: float, tolerance: float) -> Experiment:
    """Builds an experiment with two stochastic layers, 784-200-200-100, then 100-100-100-50, and back.

    The arguments are those of `one_layer`.
    """
    model = VariationalAutoencoder(
        ENCODER,
        HierarchicalLatent((100, 50), (100, 100)),
        BottomDecoder(DECODER, 100),
        prior=HierarchicalPrior((100, 50), (100, 100)),
    )
    return _cell(model, samples, published, tolerance)


def k1() -> Experiment:
    """Builds the plain VAE with one stochastic layer, whose bound takes one sample."""
    return one_layer(1, 86.76, 10.0)


def k5() -> Experiment:
    """Builds the importance-weighted autoencoder with one stochastic layer, whose bound takes five samples."""
    return one_layer(5, 85.54, 10.0)


def k50() -> Experiment:
    """Builds the importance-weighted autoencoder with one stochastic layer, whose bound takes fifty samples."""
    return one_layer(50, 84.78, 10.0)


def two_k1() -> Experiment:
    """Builds the plain VAE with two stochastic layers, whose bound takes one sample."""
    return two_layers(1, 85.33, 15.0)


def two_k5() -> Experiment:
    """Builds the importance-weighted autoencoder with two stochastic layers, whose bound takes five samples."""
    return two_layers(5, 83.89, 15.0)


def two_k50() -> Experiment:
    """Builds the importance-weighted autoencoder with two stochastic layers, whose bound takes fifty samples."""
    return two_layers(50, 82.90, 15.0)


def _cell(model: VariationalAutoencoder, samples: int, published: float, tolerance: float) -> Experiment:
    return Experiment(
        model=model,
        loss=Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=samples)}),
        data=Data("mnist", preprocess=Binarise(), validation=0.0),
        optimizer=Adam(1e-3, STAGES, horizon=float(STEPS), eps=1e-4),
        batch_size=20,
        epochs=EPOCHS,
        expected=Expected(
            "nll_5000_nats", published, tolerance, f"Burda et al. 2016, table 1, 3,280 epochs; ours {EPOCHS}", "R"
        ),
    )
