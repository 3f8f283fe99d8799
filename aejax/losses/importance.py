"""Defines importance-weighted bounds: many codes for each example, weighted by how well they explain it."""

import math
from typing import ClassVar, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from aejax.core import InputError, apply, configurable, static
from aejax.losses.terms import Forward, Term
from aejax.losses.variational import density, evaluable
from aejax.models import Autoencoder, Trait, traits

T = TypeVar("T")


@configurable
class ImportanceWeighted(Term):
    """Bounds -log p(x) by -log (1/K) sum_k w_k with w_k = p(x, z_k) / q(z_k | x), a mean over M such bounds.

    M = 1 is the IWAE of Burda et al. 2016, equation 8; K = 1 is the ELBO by M samples; both above 1 is the MIWAE of
    Rainforth et al. 2018, equation 7. It includes reconstruction and rate, so that a loss needs neither as a term.
    """

    needs: ClassVar[tuple[Trait, ...]] = (traits.PRIOR, traits.DENSITY)
    meets = (traits.RATE,)
    samples: int = static(default=50)
    """K, the number of codes in each bound."""
    bounds: int = static(default=1)
    """M, the number of bounds whose mean is taken."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the negative of the bound for each example, in nats.

        Raises `InputError` for `samples` or `bounds` below 1.
        """
        return -self._mean_bound(importance_log_weights(forward, self._draws(), forward.model.make_rng("latent")))

    def _draws(self) -> int:
        if self.samples < 1 or self.bounds < 1:
            raise InputError(f"samples is {self.samples} and bounds is {self.bounds}: both must be at least 1")
        return self.samples * self.bounds

    def _mean_bound(self, weights: Float[Array, "draws batch"]) -> Float[Array, " batch"]:
        return jnp.mean(log_mean_exp(self._bounds(weights)), axis=0)

    def _bounds(self, weights: Float[Array, "draws batch"]) -> Float[Array, "bounds samples batch"]:
        return weights.reshape(self.bounds, self.samples, -1)


@configurable
class CombinedImportanceWeighted(ImportanceWeighted):
    """Weights the ELBO by all codes with `beta`, and the bound with 1 - `beta`: CIWAE, Rainforth et al. 2018."""

    beta: float = 0.5
    """Weight of the ELBO; 0: the importance-weighted bound alone; 1: the ELBO alone."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the negative of the combination for each example, in nats.

        Raises `InputError` as `ImportanceWeighted` does.
        """
        weights = importance_log_weights(forward, self._draws(), forward.model.make_rng("latent"))
        return -(self.beta * jnp.mean(weights, axis=0) + (1 - self.beta) * self._mean_bound(weights))


@configurable
class PartiallyImportanceWeighted(ImportanceWeighted):
    """Trains decoder and prior on one bound by all M * K codes, and the encoder on the mean of M bounds: PIWAE.

    Rainforth et al. 2018. For the encoder, the looser bound has the gradient with less noise (section 3).
    """

    samples: int = static(default=8)
    """K, the number of codes in each of the encoder's bounds."""
    bounds: int = static(default=8)
    """M, the number of the encoder's bounds."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the negative of the tighter bound for each example, in nats.

        Raises `InputError` as `ImportanceWeighted` does.
        """
        code, log_posterior = draw(forward, self._draws(), forward.model.make_rng("latent"))
        tight = log_mean_exp(_for_the_generative_part(forward, code, log_posterior))
        loose = self._mean_bound(_log_joint_through_codes(forward, code) - log_posterior)
        return -(tight + loose - jax.lax.stop_gradient(loose))


@configurable
class DoublyReparameterised(ImportanceWeighted):
    """Bounds as `ImportanceWeighted` does, in value and expected gradient, with less noise in the encoder's: DReG.

    Tucker et al. 2019, equation 8: the encoder's gradient goes through the codes alone, each by the square of its
    normalised weight, so that it vanishes where the posterior is exact. A posterior of several layers is one density
    of all of them. The bound's own gradient has the weight as a factor; the second is put in where the gradient leaves
    the decoder, so that a step takes no longer than by `ImportanceWeighted`. A decoder with dropout is passed twice:
    the two weights are of two masks, and the encoder's gradient is not the bound's.
    """

    needs = (*ImportanceWeighted.needs, traits.EVALUABLE)
    samples: int = static(default=5)
    """K, the number of codes in each bound."""
    sticking_the_landing: bool = static(default=False)
    """Whether the weights are not squared, as by Roeder et al. 2017: biased for K above 1, the same for K = 1."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the negative of the bound for each example, in nats.

        Raises `InputError` as `ImportanceWeighted` does.
        """
        code, _ = draw(forward, self._draws(), forward.model.make_rng("latent"))
        posterior = evaluable(forward).fixed()

        def scored(code: Float[Array, "rows latent"]) -> Float[Array, "samples batch"]:
            return jax.vmap(posterior.log_prob)(code.reshape(self._draws(), -1, code.shape[1]))

        weights = log_joint(forward.model, forward, code) - scored(code)
        if not self.sticking_the_landing:
            share = jax.nn.softmax(self._bounds(jax.lax.stop_gradient(weights)), axis=1)
            code = _with_scaled_gradient(code, share.reshape(-1, 1))
            weights = _log_joint_again(forward, code, fixed=False) - scored(code)
        return -self._mean_bound(weights)


@jax.custom_vjp
def _with_scaled_gradient(
    value: Float[Array, "rows columns"], factor: Float[Array, "rows 1"]
) -> Float[Array, "rows columns"]:
    """Returns the value itself, whose gradient is multiplied by the factor on its way back."""
    return value


_with_scaled_gradient.defvjp(
    lambda value, factor: (value, factor), lambda factor, g: (g * factor, jnp.zeros_like(factor))
)


def importance_log_weights(forward: Forward, samples: int, key: Key[Array, ""]) -> Float[Array, "samples batch"]:
    """Returns log p(x, z) - log q(z | x) in nats for several codes of each example, `[samples, batch]`.

    All codes are decoded in one pass.

    Args:
        forward: the forward pass, of which examples and posterior are used.
        samples: the number of codes for each example.
        key: the key of the draw.
    """
    code, log_posterior = draw(forward, samples, key)
    return log_joint(forward.model, forward, code) - log_posterior


def draw(
    forward: Forward, samples: int, key: Key[Array, ""]
) -> tuple[Float[Array, "rows latent"], Float[Array, "samples batch"]]:
    """Draws several codes of each example from its posterior, and returns them with log q(z | x).

    Args:
        forward: the forward pass, of which the posterior is used.
        samples: the number of codes for each example.
        key: the key of the draw.

    Returns:
        The codes, `[samples * batch, latent]`, one batch below the other, and their log-densities in nats,
        `[samples, batch]`.
    """
    code, log_posterior = density(forward).sample_and_log_prob(key, samples)
    return code.reshape(-1, code.shape[2]), log_posterior


def log_joint(model: Autoencoder, forward: Forward, code: Float[Array, "rows latent"]) -> Float[Array, "samples batch"]:
    """Returns log p(x, z) in nats of the examples and the codes that were drawn for them, `[samples, batch]`.

    Args:
        model: the model, bound to its variables.
        forward: the forward pass, of which batch and likelihood are used.
        code: the codes as `draw` returns them, `[samples * batch, latent]`.
    """
    samples = len(code) // len(forward.batch)
    batch = tile(forward.batch, samples)
    raw = model.decode(code, batch, forward.train)
    return (forward.likelihood.log_prob(batch.target, raw) + model.prior_log_prob(code)).reshape(samples, -1)


def _for_the_generative_part(
    forward: Forward, code: Float[Array, "rows latent"], log_posterior: Float[Array, "samples batch"]
) -> Float[Array, "samples batch"]:
    """Returns the log-weights with a gradient of the decoder and the prior alone."""
    fixed = jax.lax.stop_gradient
    return log_joint(forward.model, forward, fixed(code)) - fixed(log_posterior)


def _log_joint_through_codes(forward: Forward, code: Float[Array, "rows latent"]) -> Float[Array, "samples batch"]:
    """Returns `log_joint` with a gradient through the codes alone."""
    return _log_joint_again(forward, code, fixed=True)


def _log_joint_again(
    forward: Forward, code: Float[Array, "rows latent"], *, fixed: bool
) -> Float[Array, "samples batch"]:
    """Returns `log_joint`, of fixed parameters or not, and changes no state; XLA computes equal numbers once."""
    unbound, variables = forward.model.unbind()
    variables = jax.lax.stop_gradient(variables) if fixed else variables
    keys = {"dropout": forward.model.make_rng("dropout")}
    joint, _ = apply(log_joint, unbound, variables, keys, forward, code, mutable=True)
    return joint


def tile(tree: T, samples: int) -> T:
    """Repeats every array of a batch so many times, one copy below the other."""

    def leaf_tiled(leaf: Num[Array, "batch *shape"]) -> Num[Array, "rows *shape"]:
        tiled = jnp.broadcast_to(leaf[None], (samples, *leaf.shape))
        return tiled.reshape(-1, *leaf.shape[1:])

    return jax.tree.map(leaf_tiled, tree)


def log_mean_exp(values: Float[Array, "*bounds samples batch"]) -> Float[Array, "*bounds batch"]:
    """Returns log (1/K) sum_k exp v_k over the last axis but one, of length K."""
    return jax.nn.logsumexp(values, axis=-2) - math.log(values.shape[-2])
