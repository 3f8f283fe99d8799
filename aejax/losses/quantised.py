"""Defines the terms of a vector-quantising autoencoder: squared distances between features and their codes.

They are summed over an example's code, as the reconstruction is over its values, so that no weight depends on the
batch's size.
"""

from typing import cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable
from aejax.losses.terms import Forward, Term
from aejax.models import Quantised, traits


@configurable
class Commitment(Term):
    """Keeps the encoder near the codes by |z_e(x) - sg[e]|^2.

    The third term of van den Oord et al. 2017, equation 3.
    """

    needs = (traits.CODEBOOK,)
    meets = (traits.COMMITMENT,)
    weight: float = 0.25
    """beta, in nats per unit of squared distance, as in the paper."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the squared distance, whose gradient moves the encoder alone."""
        posterior = _quantised(forward)
        return _squared_distance(posterior.features, jax.lax.stop_gradient(posterior.code))


@configurable
class Codebook(Term):
    """Brings the codes to the features by |sg[z_e(x)] - e|^2.

    The second term of van den Oord et al. 2017, equation 3.
    """

    needs = (traits.CODEBOOK, traits.LEARNED_CODEBOOK)
    meets = (traits.CODEBOOK_LOSS,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the squared distance, whose gradient moves the codebook alone."""
        posterior = _quantised(forward)
        return _squared_distance(jax.lax.stop_gradient(posterior.features), posterior.code)


def _quantised(forward: Forward) -> Quantised:
    return cast(Quantised, forward.posterior)


def _squared_distance(a: Float[Array, "batch latent"], b: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
    return jnp.sum(jnp.square(a - b), axis=1)
