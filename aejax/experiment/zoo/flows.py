"""Builds variational autoencoders on MNIST whose posteriors or priors are normalizing flows, and a twin without.

The posteriors follow github.com/altosaar/variational-autoencoder, which publishes the likelihood by either kind,
estimated by 128 samples. There the digits are the 50,000 of Larochelle's fixed binarisation, RMSProp is centred, and
the parameters are those with the best bound on 10,000 other digits.
"""

import dataclasses

from aejax.core import RMSProp
from aejax.data import Data, StaticBinarise
from aejax.experiment.experiment import Expected, Experiment
from aejax.experiment.zoo.vae import ELBO, vamp
from aejax.losses import Bernoulli, Loss
from aejax.models import (
    GaussianLatent,
    IAFLatent,
    Latent,
    MAFPrior,
    MLPDecoder,
    MLPEncoder,
    PlanarLatent,
    Prior,
    RealNVPPrior,
    VariationalAutoencoder,
)

SOURCE = "github.com/altosaar/variational-autoencoder, {}, after {} steps, on another draw of binary pixels"


def mean_field() -> Experiment:
    """Builds a VAE of a wide code, 784-256-256-128 and back, with a normal posterior: the twin of `iaf`."""
    return _posterior(GaussianLatent(128, "softplus"), 65_000, 97.10, SOURCE.format("mean field", "65,000"))


def iaf() -> Experiment:
    """Builds the same VAE with a posterior by two steps of inverse autoregressive flow, each 128-256-256-128."""
    return _posterior(IAFLatent(128, 2, (256, 256)), 150_000, 95.33, SOURCE.format("flow", "150,000"))


def planar() -> Experiment:
    """Builds the same VAE with a posterior by ten planar steps, to be better than the normal one.

    All examples share the steps. Where the encoder gives each example its own, training is far behind at this rate.
    """
    return _posterior(PlanarLatent(128, 10, shared=True), 65_000, 97.10, SOURCE.format("mean field", "65,000"))


def real_nvp() -> Experiment:
    """Builds `gated-mnist` with six coupling layers as its prior, which know nothing of the encoder."""
    return _prior(RealNVPPrior(6, (256, 256)))


def maf() -> Experiment:
    """Builds `gated-mnist` with four autoregressive steps as its prior."""
    return _prior(MAFPrior(4, (256, 256)))


def _posterior(latent: Latent, steps: int, published: float, source: str) -> Experiment:
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((256, 256)), latent, MLPDecoder((256, 256))),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("mnist", preprocess=StaticBinarise(), validation=1 / 6),
        optimizer=RMSProp(1e-3, decay=0.99),
        batch_size=128,
        steps=steps,
        expected=Expected("nll_128_nats", published, 0.0, source, "V"),
    )


def _prior(prior: Prior) -> Experiment:
    twin = vamp()
    expected = Expected("nll_5000_nats", 84.89, 0.0, "vamp-mnist, the same with a VampPrior, as measured here", "C")
    return dataclasses.replace(twin, model=twin.model.clone(prior=prior), expected=expected)
