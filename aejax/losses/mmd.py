"""The maximum mean discrepancy of codes from the prior: the InfoVAE's and the Wasserstein autoencoder's term."""

from dataclasses import field

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, configurable, positive
from aejax.losses.terms import Forward, Term
from aejax.models import VariationalAutoencoder


@configurable
class Kernel:
    """k(a, b) in (0, 1], of |a - b|^2 / (2 d s^2): 1 on average between two draws of N(0, s^2 I) in d dimensions."""

    scale: float = positive(default=1.0)
    """s."""

    def of(self, ratio: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
        """The kernel, given that ratio."""
        raise NotImplementedError

    def __call__(
        self, a: Float[Array, "rows latent"], b: Float[Array, "columns latent"]
    ) -> Float[Array, "rows columns"]:
        """k of every pair."""
        squared = jnp.sum(jnp.square(a[:, None] - b[None]), axis=2)
        return self.of(squared / (2 * a.shape[1] * jnp.square(self.scale)))


@configurable
class RBF(Kernel):
    """exp(-r): the Gaussian kernel of Zhao et al. 2019."""

    def of(self, ratio: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
        """exp(-r)."""
        return jnp.exp(-ratio)


@configurable
class IMQ(Kernel):
    """1 / (1 + r): the inverse multiquadratic of Tolstikhin et al. 2018, section 4; far codes feel it too."""

    def of(self, ratio: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
        """C / (C + |a - b|^2) with C = 2 d s^2."""
        return 1 / (1 + ratio)


@configurable
class MMD(Term):
    """The squared maximum mean discrepancy between a batch of codes and as many draws from the prior.

    Beside `Reconstruction` alone it is the WAE-MMD of Tolstikhin et al. 2018, algorithm 2, also with
    deterministic codes (a `Plain` latent); beside a `KL` of weight 1 - alpha, with a weight of
    alpha + lambda - 1, the InfoVAE of Zhao et al. 2019, section 3. The estimate is the unbiased one of
    Gretton et al. 2012, equation 3: without an example's kernel with itself, it may be below zero.
    """

    of_batch = True
    weight: float = 10.0
    """In nats: the discrepancy itself is a number below 2."""
    kernel: Kernel = field(default_factory=IMQ)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Each code's part, whose mean is the estimate. Raises `InputError` for a model without a prior."""
        model, z = forward.model, forward.code
        if not isinstance(model, VariationalAutoencoder):
            raise InputError(f"MMD needs a prior, which {type(model).__name__} has not: use VariationalAutoencoder")
        prior = model.sample_prior(model.make_rng("latent"), len(z))
        others = max(len(z) - 1, 1)

        def within(codes: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
            return (jnp.sum(self.kernel(codes, codes), axis=1) - 1) / others

        return within(z) + within(prior) - 2 * jnp.mean(self.kernel(z, prior), axis=1)
