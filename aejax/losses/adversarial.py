"""Defines the terms of two players: a critic learns to tell codes or examples apart, the model to leave it nothing.

Both are terms of one loss, and each stops the gradient at the other's parameters: what trains the model sees a critic
that is fixed, what trains the critic sees codes or examples that are. A critic's term adds nothing to the total, only
its gradient, so that the total stays the first player's. `Optimizer.players` gives the critic an optimiser of its own.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import configurable
from aejax.losses.terms import Forward, Term
from aejax.models import traits


@dataclass(frozen=True)
class CriticTerm(Term):
    """Trains the critic; the base of the terms that do."""

    meets = (traits.CRITIC_LOSS,)

    def contribution(self, value: Float[Array, " batch"], forward: Forward) -> Float[Array, " batch"]:
        """Returns zero for each example, with the gradient of the term.

        Args:
            value: what the term gave.
            forward: the forward pass.
        """
        weighted = super().contribution(value, forward)
        return weighted - jax.lax.stop_gradient(weighted)


@configurable
class PriorCritic(CriticTerm):
    """Measures the cross-entropy of a critic that tells draws from the prior from codes.

    Makhzani et al. 2016 (Adversarial autoencoders), section 2; Goodfellow et al. 2014, equation 1.
    """

    needs = (traits.CRITIC, traits.PRIOR)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the mean over each example's code and one draw, in nats: log 2 where they look the same."""
        model, z = forward.model, jax.lax.stop_gradient(forward.code)
        drawn = jax.lax.stop_gradient(model.sample_prior(model.make_rng("latent"), len(z)))
        return (nn.softplus(-model.critic.judge(drawn)) + nn.softplus(model.critic.judge(z))) / 2


@configurable
class AdversarialPrior(Term):
    """Measures -log D(z): how surely a critic tells that a code is no draw from the prior.

    Beside `Reconstruction` and `PriorCritic` it makes the adversarial autoencoder of Makhzani et al. 2016, section 2,
    also with deterministic codes (a `Plain` latent); its gradient is that which does not vanish where the critic is
    sure (Goodfellow et al. 2014, section 3).
    """

    needs = (traits.CRITIC, traits.PRIOR, traits.CRITIC_LOSS)
    meets = (traits.RATE,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of each code, in nats: log 2 where the critic cannot tell."""
        return nn.softplus(-forward.model.critic.judge(forward.code, fixed=True))


@configurable
class PermutationCritic(CriticTerm):
    """Measures the cross-entropy of a critic that tells codes from codes whose dimensions are of different examples.

    One half of the batch is judged as it is, the other with each dimension permuted by itself over the examples:
    Kim & Mnih 2018 (Disentangling by factorising), algorithm 2, which takes two batches.
    """

    of_batch = True
    needs = (traits.CRITIC,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of each example's code, in nats: log 2 on average where they look the same."""
        model, z = forward.model, jax.lax.stop_gradient(forward.code)
        half = (len(z) + 1) // 2
        permuted = jax.random.permutation(model.make_rng("latent"), z[half:], independent=True)
        sign = jnp.where(jnp.arange(len(z)) < half, -1.0, 1.0)
        return nn.softplus(sign * model.critic.judge(jnp.concatenate([z[:half], permuted])))


@configurable
class AdversarialCorrelation(Term):
    """Estimates the total correlation of the code by a critic's logit, which stands for log q(z) - log prod q(z_j).

    Beside the negative ELBO and `PermutationCritic`, with its weight gamma, it makes the FactorVAE of Kim & Mnih 2018,
    equations 2 and 3. The estimate is as good as the critic: of one that has learned nothing it is about zero.
    """

    needs = (traits.CRITIC, traits.CRITIC_LOSS)
    weight: float = 10.0
    """Factor on this term in the total, gamma; the term is logged without it."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the critic's logit of each code, in nats; the mean estimates the total correlation."""
        return forward.model.critic.judge(forward.code, fixed=True)


@configurable
class DataCritic(CriticTerm):
    """Measures the cross-entropy of a critic that tells examples from what the decoder makes.

    One half are examples; a quarter reconstructions, a quarter decoded from draws of the prior: Larsen et al. 2016
    (Autoencoding beyond pixels using a learned similarity metric), equation 10, which weighs the three alike. What the
    decoder makes are means of the likelihood, of which examples of whole zeros and ones are told apart at once: train
    it on grey pixels.
    """

    needs = (traits.EXAMPLE_CRITIC, traits.PRIOR)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of each example and what was made beside it, in nats: log 2 where they look the same."""
        made = (forward.likelihood.mean(forward.raw, forward.batch), _decoded(forward, _drawn(forward)))
        judge = forward.model.critic.judge
        reconstructed, generated = (nn.softplus(judge(jax.lax.stop_gradient(x))) for x in made)
        return nn.softplus(-judge(forward.batch.target)) / 2 + (reconstructed + generated) / 4


@configurable
class AdversarialDecoding(Term):
    """Measures -log D(x'), how surely a critic tells what the decoder made: the mean of reconstructions and draws.

    Beside `FeatureReconstruction`, a rate and `DataCritic` it makes the VAE-GAN of Larsen et al. 2016, algorithm 1,
    with the gradient that does not vanish where the critic is sure (Goodfellow et al. 2014, section 3). Codes are
    fixed: it trains the decoder alone. A weight w is their gamma = 2 / w, up to a factor of the decoder's gradient,
    as theirs is the sum over both kinds.
    """

    needs = (traits.EXAMPLE_CRITIC, traits.PRIOR, traits.CRITIC_LOSS)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of each example's reconstruction and of one draw of the prior, in nats."""
        made = (_decoded(forward, code) for code in (forward.code, _drawn(forward)))
        reconstructed, generated = (nn.softplus(-forward.model.critic.judge(x, fixed=True)) for x in made)
        return (reconstructed + generated) / 2


@configurable
class FeatureReconstruction(Term):
    """Measures half the squared distance of the reconstruction from its target, in the features that a critic finds.

    It is -log N(f(x); f(x'), I) without its constant: Larsen et al. 2016, equations 6 and 7. It trains encoder and
    decoder, beside or in the place of `Reconstruction`.
    """

    needs = (traits.EXAMPLE_CRITIC, traits.CRITIC_LOSS)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the value of each example, in nats."""
        made = forward.likelihood.mean(forward.raw, forward.batch)
        found, asked = (forward.model.critic.features(x, fixed=True) for x in (made, forward.batch.target))
        return jnp.sum(jnp.square(found - asked), axis=1) / 2


def _drawn(forward: Forward) -> Float[Array, "batch latent"]:
    """Returns as many draws from the prior as there are codes."""
    return forward.model.sample_prior(forward.model.make_rng("latent"), len(forward.code))


def _decoded(forward: Forward, code: Float[Array, "batch latent"]) -> Float[Array, "batch *shape"]:
    """Returns what the decoder makes of codes, through which no gradient goes to what they came from."""
    raw = forward.model.decode(jax.lax.stop_gradient(code), forward.given, forward.train)
    return forward.likelihood.mean(raw, forward.batch)
