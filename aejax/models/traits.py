"""Names what the parts of an experiment have and what they need of each other, so that nobody asks for a class.

Models, likelihoods and terms declare traits by `meets` and `needs`; `require` compares the two before any work is done.
"""

from dataclasses import dataclass
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

from aejax.core import InputError


@dataclass(frozen=True)
class Trait:
    """Names one thing that a part has and that another may need."""

    what: str
    """What it is, in words: another part "needs" this."""
    of: str
    """Which part could have it: `model`, `loss`, or a part of one of them, as `model.latent`."""
    remedy: str
    """What to do where it is missing."""


class Part:
    """Declares traits: the base of what a model and a loss are made of."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits that this part has."""
        return ()

    @property
    def needs(self) -> tuple[Trait, ...]:
        """The traits of other parts without which this one has no meaning, or does not train usefully."""
        return ()


def require(part: Part, model: Part, loss: Part | None = None) -> None:
    """Checks that a model and its loss have what a part needs.

    Args:
        part: a part of the model or of the loss, or what measures the model.
        model: the model.
        loss: the loss, where there is one.

    Raises:
        InputError: for the first need that is not met.
    """
    met = {*model.meets, *(() if loss is None else loss.meets)}
    for need in part.needs:
        if need not in met:
            asked: Any = attrgetter(need.of)(SimpleNamespace(model=model, loss=loss))
            raise InputError(
                f"{type(part).__name__} needs {need.what}, which {type(asked).__name__} does not have: {need.remedy}"
            )


PRIOR = Trait("a prior", "model", "use VariationalAutoencoder")

UNLABELLED = Trait("an encoder that is given no label", "model", "use another prior, or a model without classes")

MACHINE = Trait(
    "the layers of a restricted Boltzmann machine",
    "model",
    "use TiedAutoencoder without hidden layers, and Plain with activation sigmoid or linear",
)

DENSE_STACK = Trait("an encoder of dense layers that are not gated", "model.encoder", "use MLPEncoder")

NO_LAYERS = Trait(
    "an encoder without layers of its own",
    "model.encoder",
    "use MLPEncoder without hidden layers, or Contractive, which serves any encoder",
)

DENSE_LAYER = Trait("a latent of one dense layer and an activation", "model.latent", "use Plain")

DENSE = Trait("codes that are neither sparse nor random", "model.latent", "use Plain")

UNIT_INTERVAL = Trait("codes between 0 and 1", "model.latent", "use Plain with activation sigmoid")

SPARSE = Trait("sparse codes", "model.latent", "use TopK, or a term as CodeL1")

UNITS = Trait("pre-activations of sparse units", "model.latent", "use ExactTopK, BatchTopK, JumpReLU or Rectified")

THRESHOLDS = Trait("thresholds that are learned", "model.latent", "use JumpReLU")

GATES = Trait("gates", "model.latent", "use Gated")

ROWS = Trait("a linear decoder of one row for each unit", "model", "use Dictionary")

READS_INPUT = Trait("output that also depends on the example", "model", "give a Dictionary's decoder skip")

PATCHES = Trait("patches that are hidden from its encoder", "model", "use MaskedAutoencoder")

DENSITY = Trait("a posterior with a density", "model.latent", "use GaussianLatent")

EVALUABLE = Trait(
    "a posterior that gives the density of any code, not of its draws alone",
    "model.latent",
    "use importance-weighted, or GaussianLatent",
)

NORMAL = Trait("a posterior whose dimensions are independent normals", "model.latent", "use GaussianLatent")

DISCRETE = Trait(
    "codes that are told by indices", "model.latent", "use VectorQuantised, FiniteScalarQuantised or CategoricalLatent"
)

CATEGORICAL = Trait("categorical codes", "model.latent", "use CategoricalLatent")

CODEBOOK = Trait("a codebook", "model.latent", "use VectorQuantised")

LEARNED_CODEBOOK = Trait(
    "a codebook that is learned by gradient",
    "model.latent",
    "leave the term out, or choose --model.latent.learning gradient",
)

UNIFORM = Trait("a prior over one-hot codes", "model", "use VariationalAutoencoder with the prior UniformPrior")

SPHERE = Trait("codes of length 1", "model.latent", "use VonMisesFisherLatent or PowerSphericalLatent")

UNIFORM_SPHERE = Trait(
    "a uniform prior on the sphere", "model", "use VariationalAutoencoder with the prior UniformSphere"
)

TOP_DOWN = Trait(
    "a network that goes down through the layers of a code",
    "model",
    "use TopDownAutoencoder, or another latent and decoder",
)

PYRAMID = Trait("maps of all sizes", "model.encoder", "use ResidualEncoder with --model.encoder.pyramid")

LAYERS = Trait("layers of a hierarchy", "model.latent", "use TopDownLatent")

STAGES = Trait("a stage for each layer of the code", "model.decoder", "use TopDownDecoder")

RATE_PARTS = Trait(
    "a rate that is known by dimension or by layer",
    "model",
    "use GaussianLatent with StandardNormal, or TopDownAutoencoder",
)

STANDARD_NORMAL = Trait("a standard normal prior", "model.prior", "use StandardNormal")

CRITIC = Trait("a critic of codes", "model.critic", "give it one (--model.critic code-critic)")

EXAMPLE_CRITIC = Trait("a critic of examples", "model.critic", "give it one (--model.critic example-critic)")

CRITIC_LOSS = Trait(
    "a term by which it learns",
    "loss",
    "add prior-critic or permutation-critic, or data-critic for a critic of examples (--loss.terms.critic data-critic)",
)

BITS = Trait("a likelihood of zeros and ones", "loss.likelihood", "use Bernoulli")

LINEAR = Trait("raw output that is the mean itself", "loss.likelihood", "use gaussian")

CENTRED = Trait(
    "raw output that stands for a given value",
    "loss.likelihood",
    "use gaussian or bernoulli, or a decoder whose bias starts at a constant (--model.decoder.start constant)",
)

RELAXATION = Trait(
    "a relaxation, without which no gradient goes through the draws of its codes",
    "loss",
    "give one (--loss.relaxation gumbel-softmax)",
)

OF_EXAMPLE = Trait("means that also depend on the example", "loss.likelihood", "use negative-binomial or poisson")

DISPERSION = Trait(
    "a last raw parameter that is each value's dispersion",
    "loss.likelihood",
    "use negative-binomial or gaussian-learned-scale, or the decoder that it wraps",
)

RATE = Trait(
    "a term that brings the codes to it",
    "loss",
    "add kl, capacity, free-bits, importance-weighted, mmd or dimensionwise-kl (--loss.terms.kl kl)",
)

GATE_LOSS = Trait(
    "the term gate-decoding, without which no gradient reaches the gates",
    "loss",
    "add it (--loss.terms.gates gate-decoding), and gate-l1 to close them",
)

COMMITMENT = Trait(
    "the term commitment, without which nothing keeps the encoder near its codes",
    "loss",
    "add it (--loss.terms.commitment commitment)",
)

CODEBOOK_LOSS = Trait(
    "the term codebook, without which no gradient reaches codes with learning=gradient",
    "loss",
    "add it (--loss.terms.codebook codebook)",
)
