"""Importance-weighted bounds: many codes for each example, weighted by how well they explain it."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.errors import InputError
from aejax.losses.terms import Forward, Term
from aejax.losses.variational import variational
from aejax.pytree import configurable, static


@configurable
class ImportanceWeighted(Term):
    """-log (1/K) sum_k w_k with w_k = p(x, z_k) / q(z_k | x), a mean over M such bounds.

    M = 1 is the IWAE of Burda et al. 2016, equation 8; K = 1 is the ELBO by M samples; both above 1
    is the MIWAE of Rainforth et al. 2018, equation 7. It holds reconstruction and rate together: no
    other term of a loss should.
    """

    samples: int = static(default=50)
    """K."""
    bounds: int = static(default=1)
    """M."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """The negative of the bound, in nats."""
        _check(self.samples, self.bounds)
        weights = log_weights(forward, self.samples * self.bounds, forward.model.make_rng("latent"))
        return -jnp.mean(log_mean_exp(weights.reshape(self.bounds, self.samples, -1)), axis=0)


def log_weights(forward: Forward, samples: int, key: Key[Array, ""]) -> Float[Array, "samples batch"]:
    """log p(x, z) - log q(z | x) for so many codes of each example, all decoded in one pass."""

    def tile(leaf: Float[Array, "batch *shape"]) -> Float[Array, "rows *shape"]:
        tiled = jnp.broadcast_to(leaf[None], (samples, *leaf.shape))
        return tiled.reshape(-1, *leaf.shape[1:])

    model, posterior = variational(forward)
    posterior, x, label = jax.tree.map(tile, (posterior, forward.x, forward.label))
    code = posterior.sample(key)
    raw = model.decode(code, forward.train, label)
    joint = forward.likelihood.log_prob(x, raw) + model.prior_log_prob(code)
    return (joint - posterior.log_prob(code)).reshape(samples, -1)


def log_mean_exp(values: Float[Array, "*bounds samples batch"]) -> Float[Array, "*bounds batch"]:
    """log (1/K) sum_k exp v_k over the last axis but one."""
    return jax.nn.logsumexp(values, axis=-2) - math.log(values.shape[-2])


def _check(samples: int, bounds: int) -> None:
    if samples < 1 or bounds < 1:
        raise InputError(f"samples is {samples} and bounds is {bounds}: both must be at least 1")
