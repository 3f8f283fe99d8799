"""Defines the terms of a vector-quantising autoencoder: squared distances between features and their codes.

They are summed over an example's code, as the reconstruction is over its values, so that no weight depends on the
batch's size.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, configurable
from aejax.losses.terms import Forward, Term
from aejax.models import Quantised


@configurable
class Commitment(Term):
    """Keeps the encoder near the codes by |z_e(x) - sg[e]|^2.

    The third term of van den Oord et al. 2017, equation 3.
    """

    weight: float = 0.25
    """beta, in nats per unit of squared distance, as in the paper."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the squared distance, whose gradient moves the encoder alone.

        Raises `InputError` for a latent without a codebook.
        """
        posterior = _quantised(forward)
        return _squared_distance(posterior.features, jax.lax.stop_gradient(posterior.code))


@configurable
class Codebook(Term):
    """Brings the codes to the features by |sg[z_e(x)] - e|^2.

    The second term of van den Oord et al. 2017, equation 3.
    """

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the squared distance, whose gradient moves the codebook alone.

        Raises `InputError` for a latent without a codebook, and for a codebook that is learned by averages.
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
