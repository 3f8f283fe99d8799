"""Builds variational autoencoders. Those on MNIST train on the 60,000 images; the 10,000 test images measure them."""

import dataclasses

from aejax.core import Adam, Cosine, ExponentialAverage, Muon, Player
from aejax.data import Binarise, Counts, Data, Standardise, StaticBinarise
from aejax.experiment.experiment import Expected, Experiment
from aejax.losses import (
    KL,
    AdversarialCorrelation,
    AdversarialDecoding,
    Bernoulli,
    Commitment,
    DataCritic,
    FeatureReconstruction,
    Gaussian,
    GaussianLearnedScale,
    GumbelSoftmax,
    Loss,
    NegativeBinomial,
    PermutationCritic,
    Reconstruction,
)
from aejax.models import (
    Autoencoder,
    CategoricalLatent,
    CodeCritic,
    ConditionalAutoencoder,
    ConvDecoder,
    ConvEncoder,
    ExampleCritic,
    FiniteScalarQuantised,
    GaussianLatent,
    LogCounts,
    MLPDecoder,
    MLPEncoder,
    ResidualEncoder,
    SharedDispersion,
    TopDownAutoencoder,
    TopDownDecoder,
    TopDownLatent,
    UniformPrior,
    UniformSphere,
    VampPrior,
    VariationalAutoencoder,
    VectorQuantised,
    VonMisesFisherLatent,
)

ELBO = {"reconstruction": Reconstruction(), "kl": KL()}
VAMP = "Tomczak & Welling 2018, table 1, after 2,000 epochs"


def flax() -> Experiment:
    """Builds Flax's own VAE example, 784-500-20 and back, on binary pixels that are drawn once.

    Here the draw has a fixed seed.
    """
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((500,)), GaussianLatent(20), MLPDecoder((500,))),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Adam(1e-3),
        batch_size=128,
        epochs=10,
        expected=Expected("loss_nats", 104.0, 0.5, "Flax's own VAE example", "V"),
    )


def static() -> Experiment:
    """Builds a VAE, 784-400-40 and back, on binary pixels that are drawn once.

    Pythae trains it as long, 500 epochs of batches of 100, at a rate of 1e-4 and less.
    """
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((400,)), GaussianLatent(40), MLPDecoder((400,))),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        batch_size=100,
        epochs=500,
        expected=Expected(
            "nll_200_nats",
            89.9,
            0.3,
            "Rezende & Mohamed 2015, by 200 samples, as quoted by Pythae, which measures 89.78",
            "R",
        ),
    )


def gated() -> Experiment:
    """Builds a gated VAE, 784-300-300-40 and back, with a standard normal prior: the twin of `vamp`.

    It trains for a fortieth of the paper's 2,000 epochs. The weight of the KL term warms up over the first tenth of
    training.
    """
    epochs, batch = 50, 500
    warmup = 0.1 * epochs * (60_000 // batch)
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((300, 300), "glu"), GaussianLatent(40), MLPDecoder((300, 300), "glu")),
        loss=Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL(warmup_steps=warmup)}),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Muon(1e-2, Cosine()),
        batch_size=batch,
        epochs=epochs,
        expected=Expected("nll_5000_nats", 88.56, 0.3, f"{VAMP}, a standard normal prior, unverified", "M"),
    )


def vamp() -> Experiment:
    """Builds `gated` with a VampPrior of 500 pseudo-inputs."""
    twin = gated()
    expected = Expected("nll_5000_nats", 85.57, 0.3, VAMP, "R")
    return dataclasses.replace(twin, model=twin.model.clone(prior=VampPrior(500)), expected=expected)


def ladder() -> Experiment:
    """Builds a top-down hierarchy of three layers of maps, with residual blocks of 64 channels.

    An update whose gradient explodes is skipped, and what is measured is an average of the parameters. The published
    network has four gated blocks a stage, connections past the layers, batch normalisation, a floor of half a nat below
    each layer's rate, stochastic layers of 32 channels and a coarsest one of 2 x 2 places, whose prior is learned. This
    one has a plain block, group normalisation, a rate whose weight warms up over the first tenth of training, layers of
    8, 16 and 32 channels, and 4 x 4 places; the other maps have 64 channels in both.
    """
    channels, epochs, batch = (64, 64, 64), 100, 250
    warmup = 0.1 * epochs * (60_000 // batch)
    return Experiment(
        model=TopDownAutoencoder(
            ResidualEncoder(channels, dropout=0.2, pyramid=True),
            TopDownLatent((8, 16, 32)),
            TopDownDecoder(channels, dropout=0.2),
        ),
        loss=Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL(warmup_steps=warmup)}),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Muon(4e-3, Cosine(), average=ExponentialAverage(0.999), skip_norm=1e4),
        batch_size=batch,
        epochs=epochs,
        expected=Expected(
            "nll_1000_nats",
            79.24,
            0.3,
            "github.com/addtt/ladder-vae-pytorch, of gated blocks; negative ELBO 82.14",
            "V",
        ),
    )


def conditional() -> Experiment:
    """Builds `vae-flax` as a conditional model, whose encoder and decoder are both given the label.

    The label saves what the class says of an image, which is at most log 10 nats. It may save more of the bound:
    without the label the code has to say it, and normal posteriors say it badly.
    """
    twin = flax()
    parts = (twin.model.encoder, twin.model.latent, twin.model.decoder)
    expected = Expected("loss_nats", 102.45, 0.0, "vae-flax, the same without labels, as measured here", "C")
    return dataclasses.replace(twin, model=ConditionalAutoencoder(*parts), expected=expected)


def vector_quantised() -> Experiment:
    """Builds a VQ-VAE with 7 x 7 codes of 8 bits for each image.

    The prior over the codes is uniform, so that no term of the loss is a rate.
    """
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


def finite_scalar_quantised() -> Experiment:
    """Builds `vector_quantised` with codes of 8, 6 and 5 levels: 240 of them, 387 bits an image in place of 392.

    No term of the loss is needed for codes that are not learned. In training half of the images get noise in place of
    rounding, and 15 epochs in place of 10 take about as long as the other's.
    """
    twin = vector_quantised()
    return dataclasses.replace(
        twin,
        model=twin.model.clone(latent=FiniteScalarQuantised(49, (8, 6, 5), noise=0.5)),
        epochs=15,
        loss=Loss(Gaussian(), {"reconstruction": Reconstruction()}),
        expected=Expected("squared_error", 2.357, 0.0, "`vq-vae-mnist`, at 392 bits an image in place of 387", "C"),
    )


def categorical() -> Experiment:
    """Builds a VAE of 20 categorical variables of 10 values, 784-(20 x 10)-200-784, on binary pixels.

    It trains by the Gumbel-softmax relaxation, whose temperature falls from 1 to 0.5; all that is measured of it is of
    hard draws.
    """
    prior = UniformPrior(10)
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder(), CategoricalLatent(20, 10), MLPDecoder((200,)), prior=prior),
        loss=Loss(Bernoulli(), ELBO, relaxation=GumbelSoftmax(0.5, 1.0, anneal_steps=6_000.0)),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Adam(2e-3, Cosine()),
        batch_size=250,
        epochs=50,
        expected=Expected(
            "nll_1000_nats",
            101.5,
            0.5,
            "Jang et al. 2017, table 1: VAE, categorical, Gumbel-softmax, by 1,000 samples",
            "V",
        ),
    )


def spherical() -> Experiment:
    """Builds the hyperspherical VAE of Davidson et al. 2018, 784-256-128-11 and back, on pixels that are drawn anew.

    Codes of 11 numbers have 10 degrees of freedom. The paper trains until nothing has improved for 50 epochs; here the
    rate falls over 200.
    """
    return Experiment(
        model=VariationalAutoencoder(
            MLPEncoder((256, 128)), VonMisesFisherLatent(11), MLPDecoder((128, 256)), prior=UniformSphere()
        ),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("mnist", preprocess=Binarise(), validation=0.0),
        optimizer=Adam(1e-3, Cosine()),
        batch_size=64,
        epochs=200,
        expected=Expected(
            "nll_500_nats",
            93.16,
            0.5,
            "Davidson et al. 2018: S-VAE of 10 dimensions, by 500 samples, as quoted by Pythae, which measures 93.13",
            "R",
        ),
    )


def sprites() -> Experiment:
    """Builds a plain VAE on sprites, 1024-256-128-10 and back, to compare with `beta_sprites`.

    It has ten latents for the data's five factors.
    """
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
    """Builds the beta-VAE of Higgins et al. 2017 on sprites: `sprites` with a KL term of weight 16.

    The heavier rate makes a latent that two factors share too costly.
    """
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


def factor_sprites() -> Experiment:
    """Builds the FactorVAE of Kim & Mnih 2018 on sprites: `sprites`, whose codes a critic tells from permuted ones.

    The critic and its optimiser are theirs, and the weight of 35 is of their range of 10 to 100. Of a batch of 128 half
    is judged as it is and half permuted: a step of theirs takes two batches of 64.
    """
    plain = sprites()
    terms = ELBO | {"correlation": AdversarialCorrelation(35.0), "critic": PermutationCritic()}
    return dataclasses.replace(
        plain,
        model=plain.model.clone(critic=CodeCritic()),
        loss=Loss(Bernoulli(), terms),
        optimizer=Adam(2e-3, Cosine(), players={"critic": Player()}),
        expected=Expected(
            "mig",
            0.306,
            0.0,
            "the mean of the beta-VAE's five seeds in experiments/disentanglement.py",
            "C",
            higher_is_better=True,
        ),
    )


def keras() -> Experiment:
    """Builds a VAE with a code of two numbers on grey pixels, after Keras' example.

    It has dense layers where Keras' example has convolutions.
    """
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


def gan() -> Experiment:
    """Builds the VAE-GAN of Larsen et al. 2016 on grey digits: a convolutional VAE with a critic of its images.

    What is reconstructed are the features that the critic finds, so that no pixel has to be the mean of all that it may
    be. `experiments/vae_gan.py` has it beside the same VAE without a critic.
    """
    channels = (32, 64)
    terms = {
        "kl": KL(),
        "features": FeatureReconstruction(),
        "adversarial": AdversarialDecoding(),
        "critic": DataCritic(),
    }
    return Experiment(
        model=VariationalAutoencoder(
            ConvEncoder(channels),
            GaussianLatent(16),
            ConvDecoder(channels[::-1]),
            critic=ExampleCritic(ConvEncoder(channels, activation="leaky_relu")),
        ),
        loss=Loss(Bernoulli(), terms),
        data=Data("mnist", validation=0.0),
        optimizer=Adam(1e-3, Cosine(), b1=0.5, players={"critic": Player(Adam(1e-3, Cosine(), b1=0.5))}),
        batch_size=128,
        epochs=10,
    )


def conv() -> Experiment:
    """Builds a convolutional VAE on binary pixels, with the data, batch size and epochs of Flax's example."""
    return Experiment(
        model=VariationalAutoencoder(ConvEncoder((16, 32)), GaussianLatent(20), ConvDecoder((32, 16))),
        loss=Loss(Bernoulli(), ELBO),
        data=Data("mnist", preprocess=StaticBinarise(), validation=0.0),
        optimizer=Adam(1e-3),
        batch_size=128,
        epochs=10,
        expected=Expected("loss_nats", 104.0, 0.0, "Flax's own VAE example, which is dense", "V"),
    )


def tabular() -> Experiment:
    """Builds a VAE for the density of tables of numbers, whatever their units.

    The width of each column is learned, from a twentieth of its standard deviation on: without that, columns of few
    levels would have a density without bounds.
    """
    return Experiment(
        model=VariationalAutoencoder(MLPEncoder((64,), "silu"), GaussianLatent(8), MLPDecoder((64,), "silu")),
        loss=Loss(GaussianLearnedScale(0.05), ELBO),
        data=Data("wbc", preprocess=Standardise()),
        optimizer=Adam(3e-3, Cosine()),
        batch_size=32,
        steps=2000,
    )


def counts() -> Experiment:
    """Builds a VAE for tables of counts: negative binomial ones, a dispersion for each value, after scVI.

    Lopez et al. 2018. It trains on synthetic counts, whose distributions are known: no model can be better in the mean
    than what they give.
    """
    return Experiment(
        model=VariationalAutoencoder(
            LogCounts(MLPEncoder((128,))), GaussianLatent(6), SharedDispersion(MLPDecoder((128,), start="mean"))
        ),
        loss=Loss(NegativeBinomial(library=600.0), ELBO),
        data=Data("synthetic-counts", preprocess=Counts()),
        optimizer=Adam(3e-3, Cosine()),
        batch_size=128,
        epochs=120,
        expected=Expected(
            "nll_200_nats",
            219.143,
            3.0,
            "the distributions that the rows were drawn from, exactly at their totals: experiments/counts.py",
            "C",
        ),
    )
