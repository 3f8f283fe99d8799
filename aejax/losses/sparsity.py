"""Defines terms for sparse codes: few units are active for an example, or each unit is active for few examples."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable, positive
from aejax.losses.terms import Forward, Term
from aejax.models import traits

_EDGE = 1e-6
"""The least distance of mean activations from 0 and 1, where the divergence is infinite."""


@configurable
class CodeL1(Term):
    """Penalises the sum of absolute activations of an example's code. Ng 2011 (CS294A notes) calls it sparsity by L1.

    Its weight is in nats per unit of activation, beside a reconstruction that is summed over pixels: a weight that is
    quoted beside a mean over d pixels (as in Keras) is d times as large here. A decoder whose rows may grow can halve
    the term by doubling them, without any other change; `UnitNormDecoder` prevents this.
    """

    meets = (traits.SPARSE,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the L1 norm of each code."""
        return jnp.sum(jnp.abs(forward.code), axis=1)


@configurable
class L0(Term):
    """Counts the active units of an example's code, those that are not zero. It is logged, and adds nothing."""

    unit = "units"

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the number of active units of each example."""
        return jnp.sum(forward.code != 0, axis=1).astype(jnp.float32)

    def contribution(self, value: Float[Array, " batch"], forward: Forward) -> Float[Array, " batch"]:
        """Returns zeros, as the count has no gradient.

        Args:
            value: not used.
            forward: not used.
        """
        return jnp.zeros_like(value)


@configurable
class KLSparsity(Term):
    """Penalises KL(rho || rho_hat_j) summed over units, where rho_hat_j is the batch's mean activation of unit j.

    It is for codes between 0 and 1, as a sigmoid gives. Ng 2011, Sparse autoencoder (CS294A notes), section 3, and
    UFLDL. Their cost is the mean over examples of half the squared error plus beta times this sum: nats per example
    for a Gaussian of scale 1, so the weight is beta. They take rho_hat over the whole training set; that of a batch is
    noisier.
    """

    of_batch = True
    needs = (traits.UNIT_INTERVAL,)
    meets = (traits.SPARSE,)
    weight: float = 3.0
    """beta, the weight of the sum."""
    rho: float = positive(default=0.1, below=1.0)
    """The mean activation that every unit should have."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the sum of divergences, the same for every example."""
        mean = jnp.clip(jnp.mean(forward.code, axis=0), _EDGE, 1 - _EDGE)
        total = jnp.sum(bernoulli_divergence(jnp.asarray(self.rho, mean.dtype), mean))
        return jnp.full(len(forward.batch), total)


def bernoulli_divergence(p: Float[Array, ""], q: Float[Array, " units"]) -> Float[Array, " units"]:
    """Returns KL(Bernoulli(p) || Bernoulli(q)) in nats, for p and q between 0 and 1."""
    return p * (jnp.log(p) - jnp.log(q)) + (1 - p) * (jnp.log1p(-p) - jnp.log1p(-q))
