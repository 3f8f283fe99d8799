"""Defines the loss of a masked autoencoder, on the patches that its encoder does not see."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable
from aejax.losses.terms import Forward, Term
from aejax.models import to_patches, traits


@configurable
class MaskedReconstruction(Term):
    """Measures -log p of the patches that are hidden from the encoder, given those that it sees.

    They are drawn for each example and step by the key `corruption`. For a Gaussian it is their squared error, as in He
    et al. 2022, section 3, but summed over them where they take the mean.
    """

    needs = (traits.PATCHES,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the negative log-likelihood of the hidden patches of each example, in nats."""
        model = forward.model
        raw, hidden = model.predict(forward.given, model.hide(forward.given), forward.train)

        def cut(x: Float[Array, "batch *whole"]) -> Float[Array, "patches *part"]:
            patches = to_patches(x, model.encoder.patch)
            chosen = jnp.take_along_axis(patches, hidden.reshape(*hidden.shape, *[1] * (patches.ndim - 2)), axis=1)
            return chosen.reshape(-1, *patches.shape[2:])

        nats = -forward.likelihood.log_prob(cut(forward.batch.target), cut(raw))
        return jnp.sum(nats.reshape(hidden.shape), axis=1)
