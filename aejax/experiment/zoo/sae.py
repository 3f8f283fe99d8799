"""Builds sparse autoencoders on MNIST. All train on the 60,000 images and are measured on the 10,000 test images."""

from aejax.core import Adam, Cosine
from aejax.data import Data
from aejax.experiment.experiment import Expected, Experiment
from aejax.experiment.zoo.ae import KERAS_BLOG
from aejax.losses import Bernoulli, CodeL1, Gaussian, KLSparsity, Loss, Reconstruction, SigmoidGaussian, WeightL2
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, TiedAutoencoder, TopK, WinnerTakeAll

PIXELS = 28 * 28


def keras() -> Experiment:
    """Builds Keras' sparse autoencoder, 784-32-784 with an L1 penalty on the code.

    Keras adds 1e-4 of the code's L1 norm to a mean over pixels: in nats per example, 784 times as much. The
    penalty is so small that an independent run without it gets 0.0917.
    """
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(32, "relu"), MLPDecoder()),
        loss=Loss(Bernoulli(), {"reconstruction": Reconstruction(), "sparsity": CodeL1(1e-4 * PIXELS)}),
        data=Data("mnist", validation=0.0),
        epochs=100,
        expected=Expected("reconstruction_nats_per_pixel", 0.10, 0.0, KERAS_BLOG, "V"),
    )


def kl() -> Experiment:
    """Builds UFLDL's sparse autoencoder of 200 sigmoid units, each to be active a tenth of the time.

    UFLDL trains it by 400 iterations of L-BFGS on all examples at once; here Adam trains it on large batches.
    """
    return Experiment(
        model=Autoencoder(MLPEncoder(), Plain(200, "sigmoid"), MLPDecoder()),
        loss=Loss(
            SigmoidGaussian(),
            {"reconstruction": Reconstruction(), "sparsity": KLSparsity(3.0, 0.1), "weight_decay": WeightL2(3e-3)},
        ),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(5e-3, Cosine()),
        batch_size=1000,
        epochs=60,
        expected=Expected(
            "mean_activation",
            0.1,
            0.01,
            "rho, the mean activation that UFLDL's exercise asks for (Stanford, Stacked autoencoders)",
            "V",
        ),
    )


def top_k() -> Experiment:
    """Builds the k-sparse autoencoder of Makhzani & Frey 2013, with 25 of 1,000 units active in training.

    The first half of training goes from 100 active units down to k, against dead units.
    """
    return Experiment(
        model=TiedAutoencoder(latent=TopK(1000, k=25, alpha=2.0, begin=100, anneal_steps=20 * (60_000 // 128) // 2)),
        loss=Loss(Gaussian()),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        batch_size=128,
        epochs=20,
        expected=Expected(
            "squared_error", 7.093, 0.0, "PCA with 64 components, exactly; ours has 50 active units of 1,000", "C"
        ),
    )


def winner_take_all() -> Experiment:
    """Builds the winner-take-all autoencoder of Makhzani & Frey 2015, section 2, with 2,000 units.

    Its weights are tied, and each unit is active for 5 % of a batch in training.
    """
    return Experiment(
        model=TiedAutoencoder(latent=WinnerTakeAll(2000, 0.05)),
        loss=Loss(Gaussian()),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        batch_size=200,
        epochs=50,
        probes=("svm",),
        expected=Expected(
            "svm_accuracy", 0.988, 0.0, "Makhzani & Frey 2015: a linear SVM on the codes; a replication has 0.9862", "R"
        ),
    )
