"""How likely a variational autoencoder holds unseen examples to be: importance sampling with many codes of each."""

import math
from dataclasses import field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from aejax.core import Examples, InputError, apply, configurable, static
from aejax.losses import Bernoulli, Likelihood, Loss, importance_log_weights
from aejax.models import Autoencoder

Sum = tuple[Float[Array, " batch"], Float[Array, " batch"]]
"""A sum of exponentials for each example: the highest exponent, and the sum after it is taken from all of them."""


@configurable
class NegativeLogLikelihood:
    """-log (1/K) sum_k p(x, z_k) / q(z_k | x): -log p(x), or more by what K samples miss.

    Burda et al. 2016, equation 8 and section 5; for any posterior with a density, prior and likelihood.
    K is part of the metric's name, as no other K gives the same number. Raises `InputError` for a K below 1.
    """

    likelihood: Likelihood = field(default_factory=Bernoulli)
    samples: int = static(default=5000)
    """K."""
    rows: int = static(default=1000)
    """Most codes that are decoded at once, or one of each example: what bounds the memory."""

    @property
    def name(self) -> str:
        """Of the metric: nll_5000_nats for 5,000 samples."""
        return f"nll_{self.samples}_nats"

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, " batch"]]:
        """The estimate for each example, in nats; `model` is bound to its variables."""
        if self.samples < 1:
            raise InputError(f"samples is {self.samples}: give at least 1")
        chunks = -(-self.samples // max(self.rows // len(batch), 1))
        size = -(-self.samples // chunks)
        key, (unbound, variables) = model.make_rng("latent"), model.unbind()

        def weights(model: Autoencoder, key: Key[Array, ""]) -> Float[Array, "samples batch"]:
            return importance_log_weights(Loss(self.likelihood).forward(model, batch), size, key)

        def add(total: Sum, number: Int[Array, ""]) -> tuple[Sum, None]:
            own = jax.random.fold_in(key, number)
            values, _ = apply(weights, unbound, variables, {"latent": own, "corruption": own}, own)
            asked = number * size + jnp.arange(size) < self.samples
            return add_exponentials(total, jnp.where(asked[:, None], values, -jnp.inf)), None

        nothing = jnp.full(len(batch), -jnp.inf), jnp.zeros(len(batch))
        (highest, total), _ = jax.lax.scan(add, nothing, jnp.arange(-(-self.samples // size)))
        return {self.name: math.log(self.samples) - highest - jnp.log(total)}


def add_exponentials(total: Sum, values: Float[Array, "samples batch"]) -> Sum:
    """The sum with more exponents in it: it stays exact however many are added, whatever their size."""
    before, sum_before = total
    highest = jnp.maximum(before, jnp.max(values, axis=0))
    added = jnp.sum(jnp.exp(values - highest[None]), axis=0)
    return highest, sum_before * jnp.exp(before - highest) + added


def bits_per_dim(nats: float, shape: tuple[int, ...]) -> float:
    """Nats of an example of `shape` as bits for each of its values."""
    return nats / math.prod(shape) / math.log(2)
