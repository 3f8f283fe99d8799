"""Defines contractive penalties: how fast the code changes with the encoder's input. Rifai et al. 2011."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, apply, configurable, static
from aejax.losses.likelihoods import flat
from aejax.losses.terms import Forward, Term
from aejax.models import Autoencoder, activation, parameters_at, traits


@configurable
class Contractive(Term):
    """Penalises the squared Frobenius norm of the Jacobian of the mean code with respect to the encoder's input.

    Rifai et al. 2011, equation 3, for any encoder, as it is at inference: with running averages instead of a batch's
    statistics, and without dropout. Each vector is multiplied by the Jacobian in turn, at about the cost of a forward
    pass and its gradient.
    """

    samples: int | None = static(default=1)
    """Number of random vectors in Hutchinson's unbiased estimate (1990); None: exact, one vector per latent unit."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns sum_ij (dz_i / dx_j)^2 of each example. Raises `InputError` for `samples` below 1."""
        if self.samples is not None and self.samples < 1:
            raise InputError(f"Contractive.samples is {self.samples}: give at least 1, or none for the exact norm")
        unbound, variables = forward.model.unbind()

        def mean(model: Autoencoder, x: Float[Array, "batch *shape"]) -> Float[Array, "batch latent"]:
            return model.encode(replace(forward.given, x=x)).mean

        code, pull_back = jax.vjp(lambda x: apply(mean, unbound, variables, {}, x)[0], forward.given.x)

        def squared(vectors: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
            return jnp.sum(jnp.square(flat(pull_back(vectors)[0])), axis=1)

        if self.samples is None:
            unit = jnp.eye(code.shape[1], dtype=code.dtype)
            return jax.lax.map(lambda row: squared(jnp.broadcast_to(row[None], code.shape)), unit).sum(axis=0)
        keys = jax.random.split(forward.model.make_rng("latent"), self.samples)
        return jax.lax.map(lambda key: squared(jax.random.rademacher(key, code.shape, code.dtype)), keys).mean(axis=0)


@configurable
class ContractiveLayer(Term):
    """Penalises the same norm as `Contractive` in closed form, for an encoder of one dense layer.

    Rifai et al. 2011, equation 4, for any activation: sum_i act'(a_i)^2 |w_i|^2 with a = W x + b. It takes no more
    work than encoding.
    """

    needs = (traits.NO_LAYERS, traits.DENSE_LAYER)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns sum_ij (dz_i / dx_j)^2 of each example."""
        model = forward.model
        layer = parameters_at(model.variables["params"], model.up[0])
        before = model.features(forward.given) @ layer["kernel"] + layer["bias"][None]
        slope = jax.jvp(activation(model.latent.activation), (before,), (jnp.ones_like(before),))[1]
        of_x = layer["kernel"][: math.prod(forward.given.x.shape[1:])]  # rows below these are a label's
        return jnp.square(slope) @ jnp.sum(jnp.square(of_x), axis=0)
