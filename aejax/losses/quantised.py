"""The terms of a vector-quantising autoencoder: squared distances between features and their codes.

Summed over an example's code, as the reconstruction is over its values; no weight depends on the batch's size.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, configurable
from aejax.losses.terms import Forward, Term
from aejax.models import Quantised


@configurable
class Commitment(Term):
    """|z_e(x) - sg[e]|^2: keeps the encoder near the codes. The third term of van den Oord et al. 2017, equation 3."""

    weight: float = 0.25
    """beta, in nats per unit of squared distance, as the paper has it."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """The squared distance; its gradient moves the encoder alone."""
        posterior = _quantised(forward)
        return _squared_distance(posterior.features, jax.lax.stop_gradient(posterior.code))


@configurable
class Codebook(Term):
    """|sg[z_e(x)] - e|^2: brings the codes to the features. The second term of van den Oord et al. 2017, equation 3."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """The squared distance; its gradient moves the codebook alone.

        Raises `InputError` for a codebook that is learned by averages.
        """
        posterior = _quantised(forward)
        if getattr(forward.model.latent, "learning", None) == "average":
            raise InputError(
                "the codebook is learned by averages, which the term Codebook has no part in: leave the term out, "
                "or choose --model.latent.learning gradient"
            )
        return _squared_distance(jax.lax.stop_gradient(posterior.features), posterior.code)


def _quantised(forward: Forward) -> Quantised:
    if not isinstance(forward.posterior, Quantised):
        raise InputError(
            f"the terms of a codebook need a latent that has one, such as VectorQuantised; this is "
            f"{type(forward.model.latent).__name__}"
        )
    return forward.posterior


def _squared_distance(a: Float[Array, "batch latent"], b: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
    return jnp.sum(jnp.square(a - b), axis=1)
