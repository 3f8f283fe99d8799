"""Restricted Boltzmann machines: a `TiedAutoencoder` of one layer, trained by contrastive divergence.

Energy E(v, h) = -b v - c h - v W h for hidden units of 0 and 1 (a sigmoid code), and with (h - c)^2 / 2 in
place of -c h for linear ones with unit variance (a linear code). Visible units are 0 or 1; grey
levels stand for their probabilities. Hinton & Salakhutdinov 2006, equation 1 and note 8.
"""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import InputError, configurable, static
from aejax.losses.likelihoods import Bernoulli, flat, softplus
from aejax.losses.terms import Forward, Term
from aejax.models import Plain, TiedAutoencoder


@configurable
class FreeEnergy(Term):
    """-log sum_h exp(-E(v, h)) of each example: -log p(v) less the log-partition, which no example changes."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """The free energy in nats."""
        return free_energy(machine(forward), flat(forward.x))


@configurable
class ContrastiveDivergence(Term):
    """Its gradient is that of CD-k: the free energy of the data less that of where k Gibbs steps lead from it.

    Hinton 2002, equation 5. The value itself is no bound on anything: watch the reconstruction.
    Raises `InputError` for a model that is no RBM, or for `steps` below 1.
    """

    steps: int = static(default=1)
    """k."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """F(data) - F(chain) in nats; no gradient goes through the chain."""
        if self.steps < 1:
            raise InputError(f"ContrastiveDivergence.steps is {self.steps}: give at least 1")
        rbm, data = machine(forward), flat(forward.x)
        keys = jax.random.split(forward.model.make_rng("latent"), self.steps)
        chain = jax.lax.scan(lambda v, key: (gibbs(rbm, v, key), None), data, keys)[0]
        return free_energy(rbm, data) - free_energy(rbm, jax.lax.stop_gradient(chain))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RBM:
    """The parameters of one machine."""

    kernel: Float[Array, "visible hidden"]
    visible: Float[Array, " visible"]
    """b."""
    hidden: Float[Array, " hidden"]
    """c."""
    linear: bool = field(default=False, metadata={"static": True})
    """Hidden units are normal with unit variance, not 0 or 1."""


def machine(forward: Forward) -> RBM:
    """The machine that a tied autoencoder is. Raises `InputError` for a model that is none."""
    model = forward.model
    kind = model.latent.activation if isinstance(model.latent, Plain) else ""
    tied = isinstance(model, TiedAutoencoder) and not model.encoder.hidden
    if not tied or kind not in ("sigmoid", "linear") or not isinstance(forward.likelihood, Bernoulli):
        raise InputError(
            "an RBM is a TiedAutoencoder without hidden layers, with a Plain latent (sigmoid or linear) "
            "and the Bernoulli likelihood: this model is another"
        )
    params = model.variables["params"]
    code = params["latent"]["code"]
    return RBM(code["kernel"], params["decoder"]["out"]["bias"], code["bias"], kind == "linear")


def free_energy(rbm: RBM, v: Float[Array, "batch visible"]) -> Float[Array, " batch"]:
    """-log of the sum, or the integral, of exp(-E(v, h)) over all h."""
    given = v @ rbm.kernel + rbm.hidden[None]
    if rbm.linear:
        shift = 0.5 * jnp.sum(jnp.square(rbm.hidden)) - 0.5 * len(rbm.hidden) * math.log(2 * math.pi)
        summed = 0.5 * jnp.sum(jnp.square(given), axis=1) - shift
    else:
        summed = jnp.sum(softplus(given), axis=1)
    return -(v @ rbm.visible) - summed


def gibbs(rbm: RBM, v: Float[Array, "batch visible"], key: Key[Array, ""]) -> Float[Array, "batch visible"]:
    """Draws h given v, then v given h."""
    for_hidden, for_visible = jax.random.split(key)
    given = v @ rbm.kernel + rbm.hidden[None]
    if rbm.linear:
        h = given + jax.random.normal(for_hidden, given.shape)
    else:
        h = jax.random.bernoulli(for_hidden, jax.nn.sigmoid(given)).astype(v.dtype)
    logits = h @ rbm.kernel.T + rbm.visible[None]
    return jax.random.bernoulli(for_visible, jax.nn.sigmoid(logits)).astype(v.dtype)
