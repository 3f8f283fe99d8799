"""Builds autoencoders whose codes are brought to the prior as a whole: by a discrepancy, or by a second player."""

import dataclasses

from aejax.core import Adam, Cosine, Player
from aejax.data import Data
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import MMD, AdversarialPrior, Loss, PriorCritic, Reconstruction, SigmoidGaussian
from aejax.models import CodeCritic, MLPDecoder, MLPEncoder, Plain, VariationalAutoencoder


def wasserstein() -> Experiment:
    """Builds the Wasserstein autoencoder of Tolstikhin et al. 2018, WAE-MMD, 784-512-256-8 and back, on grey pixels.

    Its codes are deterministic, 8 numbers as theirs of MNIST, and its layers dense where theirs are convolutions.
    """
    terms = {"reconstruction": Reconstruction(), "mmd": MMD(100.0)}
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((512, 256)), Plain(8), MLPDecoder((256, 512))),
        loss=Loss(SigmoidGaussian(), terms),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        batch_size=128,
        epochs=10,
        expected=Expected("squared_error", 29.354, 0.0, "PCA with 8 components, exactly", "C"),
    )


def adversarial() -> Experiment:
    """Builds the adversarial autoencoder of Makhzani et al. 2016: `wasserstein`, with a critic in place of the MMD."""
    twin = wasserstein()
    terms = {"reconstruction": Reconstruction(), "adversarial": AdversarialPrior(5.0), "critic": PriorCritic()}
    return dataclasses.replace(
        twin,
        model=twin.model.clone(critic=CodeCritic((256, 256))),
        loss=Loss(SigmoidGaussian(), terms),
        optimizer=Adam(1e-3, Cosine(), b1=0.5, players={"critic": Player(Adam(3e-3, Cosine(), b1=0.5))}),
        expected=Expected("codes_c2st", 0.7208, 0.0, "`wae-mnist`, as measured here", "C"),
    )
