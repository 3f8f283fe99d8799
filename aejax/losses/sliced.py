"""Defines the sliced Wasserstein distance of codes from the prior: the term of the sliced Wasserstein autoencoder."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable, static
from aejax.losses.terms import Forward, Term
from aejax.models import traits


@configurable
class SlicedWasserstein(Term):
    """Measures the squared 2-Wasserstein distance of a batch of codes from as many draws of the prior, along lines.

    On a line the best transport pairs both in their order. Kolouri et al. 2018 (Sliced-Wasserstein autoencoder),
    algorithm 1: the mean over lines of random directions. Beside `Reconstruction` alone it makes their
    autoencoder, also with deterministic codes (a `Plain` latent).
    """

    of_batch = True
    needs = (traits.PRIOR,)
    meets = (traits.RATE,)
    weight: float = 10.0
    """The weight in nats for each squared unit of the code."""
    projections: int = static(default=50)
    """Number of directions, drawn anew at every step."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the squared distance of each code from its partners, whose mean is the estimate."""
        model, z = forward.model, forward.code
        key, directions = jax.random.split(model.make_rng("latent"))
        prior = model.sample_prior(key, len(z))
        axes = jax.random.normal(directions, (z.shape[1], self.projections))
        axes = axes * jax.lax.rsqrt(jnp.sum(jnp.square(axes), axis=0, keepdims=True))
        return jnp.mean(squared_to_partner(z @ axes, prior @ axes), axis=1)


def squared_to_partner(x: Float[Array, "n columns"], y: Float[Array, "n columns"]) -> Float[Array, "n columns"]:
    """Returns how far each value of `x` is, squared, from that of `y` which has the same rank in its column.

    The mean of a column is the squared 2-Wasserstein distance of both samples: Peyre & Cuturi 2019, remark 2.28.
    """
    rank = jnp.argsort(jnp.argsort(jax.lax.stop_gradient(x), axis=0), axis=0)
    return jnp.square(x - jnp.take_along_axis(jnp.sort(y, axis=0), rank, axis=0))
