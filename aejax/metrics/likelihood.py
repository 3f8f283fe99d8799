"""Estimates the likelihood of unseen examples under a variational autoencoder, by importance sampling of codes."""

import math
from dataclasses import field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from aejax.core import Examples, InputError, apply, configurable, static
from aejax.losses import Bernoulli, Likelihood, Loss, importance_log_weights
from aejax.models import Autoencoder, Part, require, traits

Sum = tuple[Float[Array, " batch"], Float[Array, " batch"]]
"""A sum of exponentials for each example: the highest exponent, and the sum after subtracting it from all of them."""


@configurable
class NegativeLogLikelihood(Part):
    """Estimates -log p(x) by -log (1/K) sum_k p(x, z_k) / q(z_k | x), which on average is too high.

    Burda et al. 2016, equation 8 and section 5; for any posterior with a density, prior and likelihood. K is part of
    the metric's name, as no other K gives the same number.
    """

    needs = (traits.PRIOR, traits.DENSITY)
    likelihood: Likelihood = field(default_factory=Bernoulli)
    """The likelihood, which gives the decoder's output its meaning."""
    samples: int = static(default=5000)
    """K, the number of codes for each example."""
    rows: int = static(default=1000)
    """Largest number of codes that are decoded at once, but at least one for each example: it bounds the memory."""

    @property
    def name(self) -> str:
        """Returns the name of the metric: nll_5000_nats for 5,000 samples."""
        return f"nll_{self.samples}_nats"

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, " batch"]]:
        """Returns the estimate for each example, in nats; `model` is bound to its variables.

        Raises `InputError` for `samples` below 1, and for a model without densities over codes.
        """
        if self.samples < 1:
            raise InputError(f"samples is {self.samples}: give at least 1")
        require(self, model)
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
    """Returns the sum with more exponents added, which stays accurate whatever their size and number."""
    before, sum_before = total
    highest = jnp.maximum(before, jnp.max(values, axis=0))
    added = jnp.sum(jnp.exp(values - highest[None]), axis=0)
    return highest, sum_before * jnp.exp(before - highest) + added


def bits_per_dim(nats: float, shape: tuple[int, ...]) -> float:
    """Converts nats of an example of `shape` to bits for each of its values."""
    return nats / math.prod(shape) / math.log(2)
