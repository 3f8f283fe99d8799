"""Defines the terms of regularised autoencoders, which have no noise in their code: Ghosh et al. 2020.

Their loss is the reconstruction, beta times `CodeL2`, and lambda times something that keeps the decoder smooth:
`WeightL2` of the decoder, `DecoderJacobian`, or a decoder that is `models.SpectrallyNormalised`. A distribution that is
fitted to the codes after training then generates.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, apply, configurable, static
from aejax.losses.likelihoods import flat
from aejax.losses.terms import Forward, Term
from aejax.models import Autoencoder


@configurable
class CodeL2(Term):
    """Penalises half the squared length of an example's code, so that codes stay near zero.

    Ghosh et al. 2020, equation 9: the weight is beta. It is the negative log of a standard normal density, less its
    constant.
    """

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns |z|^2 / 2 of each example."""
        return 0.5 * jnp.sum(jnp.square(flat(forward.code)), axis=1)


@configurable
class DecoderJacobian(Term):
    """Penalises the squared Frobenius norm of the Jacobian of the decoded mean with respect to the code.

    Ghosh et al. 2020, section 3.2 (gradient penalty), for any decoder, as it is at inference: with running averages,
    and without dropout. Their own code differentiates the sum of the squared outputs instead, whose gradient is small
    wherever the outputs are. Random vectors are pushed forward from the code, at about the cost of decoding once more.
    """

    samples: int | None = static(default=1)
    """Number of random vectors in Hutchinson's unbiased estimate (1990); None: exact, one vector per latent unit."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns sum_ij (dx_i / dz_j)^2 of each example. Raises `InputError` for `samples` below 1."""
        if self.samples is not None and self.samples < 1:
            raise InputError(f"DecoderJacobian.samples is {self.samples}: give at least 1, or none for the exact norm")
        unbound, variables = forward.model.unbind()
        code = forward.code

        def decoded(z: Float[Array, "batch latent"]) -> Float[Array, "batch values"]:
            def mean(model: Autoencoder, z: Float[Array, "batch latent"]) -> Float[Array, "batch *shape"]:
                return forward.likelihood.mean(model.decode(z, forward.given), forward.given)

            return flat(apply(mean, unbound, variables, {}, z)[0])

        def squared(vectors: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
            return jnp.sum(jnp.square(jax.jvp(decoded, (code,), (vectors,))[1]), axis=1)

        if self.samples is None:
            unit = jnp.eye(code.shape[1], dtype=code.dtype)
            return jax.lax.map(lambda row: squared(jnp.broadcast_to(row[None], code.shape)), unit).sum(axis=0)
        keys = jax.random.split(forward.model.make_rng("latent"), self.samples)
        return jax.lax.map(lambda key: squared(jax.random.rademacher(key, code.shape, code.dtype)), keys).mean(axis=0)
