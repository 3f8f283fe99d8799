"""Importance-weighted bounds: many codes for each example, weighted by how well they explain it."""

import math
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from aejax.core import InputError, apply, configurable, static
from aejax.losses.terms import Forward, Term
from aejax.losses.variational import variational
from aejax.models import VariationalAutoencoder

T = TypeVar("T")


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
        return -self._mean_bound(importance_log_weights(forward, self._draws(), forward.model.make_rng("latent")))

    def _draws(self) -> int:
        if self.samples < 1 or self.bounds < 1:
            raise InputError(f"samples is {self.samples} and bounds is {self.bounds}: both must be at least 1")
        return self.samples * self.bounds

    def _mean_bound(self, weights: Float[Array, "draws batch"]) -> Float[Array, " batch"]:
        return jnp.mean(log_mean_exp(weights.reshape(self.bounds, self.samples, -1)), axis=0)


@configurable
class CombinedImportanceWeighted(ImportanceWeighted):
    """CIWAE: `beta` times the ELBO by all the codes, and the rest of the weight on the bound. Rainforth et al. 2018."""

    beta: float = 0.5
    """0: the importance-weighted bound alone; 1: the ELBO alone."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """The negative of the combination, in nats."""
        weights = importance_log_weights(forward, self._draws(), forward.model.make_rng("latent"))
        return -(self.beta * jnp.mean(weights, axis=0) + (1 - self.beta) * self._mean_bound(weights))


@configurable
class PartiallyImportanceWeighted(ImportanceWeighted):
    """PIWAE: decoder and prior follow one bound by all M * K codes, the encoder the mean of M. Rainforth et al. 2018.

    The looser bound has the gradient with less noise in it for the encoder (their section 3).
    """

    samples: int = static(default=8)
    """K."""
    bounds: int = static(default=8)
    """M."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """The negative of the tighter bound, in nats."""
        fixed = jax.lax.stop_gradient
        model, _ = variational(forward)
        code, log_posterior = draw(forward, self._draws(), model.make_rng("latent"))
        tight = log_mean_exp(log_joint(model, forward, fixed(code)) - fixed(log_posterior))
        # The same numbers again, which XLA computes once, with another gradient: through the codes alone.
        unbound, variables = model.unbind()
        keys = {"dropout": model.make_rng("dropout")}
        joint, _ = apply(log_joint, unbound, fixed(variables), keys, forward, code, mutable=True)
        loose = self._mean_bound(joint - log_posterior)
        return -(tight + loose - fixed(loose))


def importance_log_weights(forward: Forward, samples: int, key: Key[Array, ""]) -> Float[Array, "samples batch"]:
    """log p(x, z) - log q(z | x) for so many codes of each example, all decoded in one pass."""
    code, log_posterior = draw(forward, samples, key)
    return log_joint(variational(forward)[0], forward, code) - log_posterior


def draw(
    forward: Forward, samples: int, key: Key[Array, ""]
) -> tuple[Float[Array, "rows latent"], Float[Array, "samples batch"]]:
    """So many codes of each example from its posterior, one batch of them below the other, and log q(z | x)."""
    posterior = tile(variational(forward)[1], samples)
    code = posterior.sample(key)
    return code, posterior.log_prob(code).reshape(samples, -1)


def log_joint(
    model: VariationalAutoencoder, forward: Forward, code: Float[Array, "rows latent"]
) -> Float[Array, "samples batch"]:
    """log p(x, z) of the examples and codes that were drawn for them."""
    samples = len(code) // len(forward.x)
    x, label = tile((forward.x, forward.label), samples)
    raw = model.decode(code, forward.train, label)
    return (forward.likelihood.log_prob(x, raw) + model.prior_log_prob(code)).reshape(samples, -1)


def tile(tree: T, samples: int) -> T:
    """So many copies of a batch, one below the other."""

    def leaf_tiled(leaf: Num[Array, "batch *shape"]) -> Num[Array, "rows *shape"]:
        tiled = jnp.broadcast_to(leaf[None], (samples, *leaf.shape))
        return tiled.reshape(-1, *leaf.shape[1:])

    return jax.tree.map(leaf_tiled, tree)


def log_mean_exp(values: Float[Array, "*bounds samples batch"]) -> Float[Array, "*bounds batch"]:
    """log (1/K) sum_k exp v_k over the last axis but one."""
    return jax.nn.logsumexp(values, axis=-2) - math.log(values.shape[-2])
