"""Defines the maximum mean discrepancy of codes from the prior: the term of InfoVAE and Wasserstein autoencoder."""

from dataclasses import field

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable, positive
from aejax.losses.terms import Forward, Term
from aejax.models import traits


@configurable
class Kernel:
    """Measures how alike two codes are, in (0, 1], from the ratio r = |a - b|^2 / (2 d s^2) in d dimensions.

    For two draws of N(0, s^2 I) the ratio is 1 on average.
    """

    scale: float = positive(default=1.0)
    """The standard deviation s."""

    def of(self, ratio: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
        """Returns the kernel at the given ratios."""
        raise NotImplementedError

    def __call__(
        self, a: Float[Array, "rows latent"], b: Float[Array, "columns latent"]
    ) -> Float[Array, "rows columns"]:
        """Returns the kernel of every pair of rows."""
        squared = jnp.sum(jnp.square(a[:, None] - b[None]), axis=2)
        return self.of(squared / (2 * a.shape[1] * jnp.square(self.scale)))


@configurable
class RBF(Kernel):
    """Computes the Gaussian kernel exp(-r) of Zhao et al. 2019."""

    def of(self, ratio: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
        """Returns exp(-r), the Gaussian kernel at the given ratios."""
        return jnp.exp(-ratio)


@configurable
class IMQ(Kernel):
    """Computes the inverse multiquadratic kernel 1 / (1 + r) of Tolstikhin et al. 2018, section 4.

    Its gradient also reaches codes that are far from the prior.
    """

    def of(self, ratio: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
        """Returns 1 / (1 + r), which is C / (C + |a - b|^2) with C = 2 d s^2."""
        return 1 / (1 + ratio)


@configurable
class MMD(Term):
    """Measures the squared maximum mean discrepancy between a batch of codes and as many draws from the prior.

    Beside `Reconstruction` alone it is the WAE-MMD of Tolstikhin et al. 2018, algorithm 2, also with deterministic
    codes (a `Plain` latent). Beside a `KL` of weight 1 - alpha, with a weight of alpha + lambda - 1, it is the InfoVAE
    of Zhao et al. 2019, section 3. The estimate is the unbiased one of Gretton et al. 2012, equation 3, which leaves
    out the kernel of a code with itself and so may be below zero.
    """

    of_batch = True
    needs = (traits.PRIOR,)
    meets = (traits.RATE,)
    weight: float = 10.0
    """The weight in nats, as the discrepancy itself is a number below 2."""
    kernel: Kernel = field(default_factory=IMQ)
    """The kernel by which codes are compared."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns each code's part, whose mean is the estimate."""
        model, z = forward.model, forward.code
        prior = model.sample_prior(model.make_rng("latent"), len(z))
        others = max(len(z) - 1, 1)

        def within(codes: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
            return (jnp.sum(self.kernel(codes, codes), axis=1) - 1) / others

        return within(z) + within(prior) - 2 * jnp.mean(self.kernel(z, prior), axis=1)
