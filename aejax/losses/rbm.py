"""Trains restricted Boltzmann machines, `TiedAutoencoder`s of one layer, by contrastive divergence.

The energy is E(v, h) = -b v - c h - v W h for hidden units of 0 and 1 (a sigmoid code). For linear hidden units
with unit variance (a linear code), (h - c)^2 / 2 takes the place of -c h. Visible units are 0 or 1; grey levels
stand for their probabilities. Hinton & Salakhutdinov 2006, equation 1 and note 8.
"""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import InputError, configurable, pytree, static
from aejax.losses.likelihoods import flat, softplus
from aejax.losses.terms import Forward, Term
from aejax.models import parameters_at, traits


@configurable
class FreeEnergy(Term):
    """Measures the free energy -log sum_h exp(-E(v, h)) of each example.

    It is -log p(v) less the logarithm of the partition function, which is the same for all examples.
    """

    needs = (traits.MACHINE, traits.BITS)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the free energy of each example in nats."""
        return free_energy(machine(forward), flat(forward.batch.x))


@configurable
class ContrastiveDivergence(Term):
    """Has the gradient of CD-k: the free energy of the data less that of where k Gibbs steps lead from it.

    Hinton 2002, equation 5. The value itself bounds nothing; the reconstruction shows the progress of training.
    """

    needs = FreeEnergy.needs
    steps: int = static(default=1)
    """k, the number of Gibbs steps."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns F(data) - F(chain) of each example in nats; no gradient goes through the chain.

        Raises `InputError` for `steps` below 1.
        """
        if self.steps < 1:
            raise InputError(f"ContrastiveDivergence.steps is {self.steps}: give at least 1")
        rbm, data = machine(forward), flat(forward.batch.x)
        keys = jax.random.split(forward.model.make_rng("latent"), self.steps)
        chain = jax.lax.scan(lambda v, key: (gibbs(rbm, v, key), None), data, keys)[0]
        return free_energy(rbm, data) - free_energy(rbm, jax.lax.stop_gradient(chain))


@pytree
@dataclass(frozen=True)
class RBM:
    """Holds the parameters of one machine."""

    kernel: Float[Array, "visible hidden"]
    """W, the weights between visible and hidden units."""
    visible: Float[Array, " visible"]
    """b, the biases of the visible units."""
    hidden: Float[Array, " hidden"]
    """c, the biases of the hidden units."""
    linear: bool = field(default=False, metadata={"static": True})
    """Whether hidden units are normal with unit variance, rather than 0 or 1."""


def machine(forward: Forward) -> RBM:
    """Returns the machine that a model which meets `MACHINE` is."""
    model, params = forward.model, forward.model.variables["params"]
    hidden, visible = (parameters_at(params, path) for path in (*model.up, *model.down))
    return RBM(hidden["kernel"], visible["bias"], hidden["bias"], model.latent.activation == "linear")


def free_energy(rbm: RBM, v: Float[Array, "batch visible"]) -> Float[Array, " batch"]:
    """Returns -log of the sum, or the integral for linear units, of exp(-E(v, h)) over all h, in nats."""
    given = v @ rbm.kernel + rbm.hidden[None]
    if rbm.linear:
        shift = 0.5 * jnp.sum(jnp.square(rbm.hidden)) - 0.5 * len(rbm.hidden) * math.log(2 * math.pi)
        summed = 0.5 * jnp.sum(jnp.square(given), axis=1) - shift
    else:
        summed = jnp.sum(softplus(given), axis=1)
    return -(v @ rbm.visible) - summed


def gibbs(rbm: RBM, v: Float[Array, "batch visible"], key: Key[Array, ""]) -> Float[Array, "batch visible"]:
    """Makes one Gibbs step: draws h given v, then v given h.

    Args:
        rbm: the machine.
        v: the visible units.
        key: the key of the draws.
    """
    for_hidden, for_visible = jax.random.split(key)
    given = v @ rbm.kernel + rbm.hidden[None]
    if rbm.linear:
        h = given + jax.random.normal(for_hidden, given.shape)
    else:
        h = jax.random.bernoulli(for_hidden, jax.nn.sigmoid(given)).astype(v.dtype)
    logits = h @ rbm.kernel.T + rbm.visible[None]
    return jax.random.bernoulli(for_visible, jax.nn.sigmoid(logits)).astype(v.dtype)
