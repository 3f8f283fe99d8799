"""Lists which terms a model needs in its loss, because a part of the model does not train usefully without one."""

from collections.abc import Callable
from dataclasses import dataclass

from aejax.losses.aggregate import DimensionwiseKL
from aejax.losses.importance import ImportanceWeighted
from aejax.losses.loss import Loss
from aejax.losses.mmd import MMD
from aejax.losses.quantised import Codebook, Commitment
from aejax.losses.rate import Capacity, FreeBits
from aejax.losses.terms import Term
from aejax.losses.variational import KL
from aejax.models import Autoencoder, VariationalAutoencoder, VectorQuantised


@dataclass(frozen=True)
class Need:
    """Names a part of a model, and the terms of which a loss must have at least one."""

    part: str
    """What the part is called in messages."""
    concerns: Callable[[Autoencoder], bool]
    """Whether a model has that part."""
    terms: tuple[type[Term], ...]
    """The terms, of which any will do, whatever its weight; the usual one is first."""
    otherwise: str
    """What happens without such a term, for messages."""


NEEDS = (
    Need(
        "a codebook",
        lambda model: isinstance(model.latent, VectorQuantised),
        (Commitment,),
        "nothing keeps the encoder near its codes",
    ),
    Need(
        "a codebook with learning=gradient",
        lambda model: isinstance(model.latent, VectorQuantised) and model.latent.learning == "gradient",
        (Codebook,),
        "no gradient reaches the codes",
    ),
    Need(
        "a prior",
        lambda model: isinstance(model, VariationalAutoencoder),
        (KL, Capacity, FreeBits, ImportanceWeighted, MMD, DimensionwiseKL),
        "nothing brings the codes to it",
    ),
)
"""All needs; a part that requires a term is added here."""


def unmet(model: Autoencoder, loss: Loss) -> list[Need]:
    """Returns the needs of the model that the loss does not meet."""
    terms = tuple(loss.terms.values())
    return [need for need in NEEDS if need.concerns(model) and not any(isinstance(term, need.terms) for term in terms)]
