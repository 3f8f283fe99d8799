"""Defines learned priors: mixtures of Gaussians, with parameters of their own or made of the model's posteriors."""

import math
from typing import Self, cast

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key

from aejax.core import Examples, InputError, known
from aejax.models import traits
from aejax.models.autoencoder import EncodeInputs, Prior
from aejax.models.distributions import Normal
from aejax.models.latents import positive_scale


@known
class MixturePrior(Prior):
    """Mixes diagonal Gaussians, and learns their weights, means and scales."""

    components: int = 10
    """Number of Gaussians."""

    @nn.compact
    def mixture(self, latent: int) -> tuple[Float[Array, " components"], Normal]:
        """Returns the logarithms of the weights, and a `Normal` with one row for each component.

        Raises `InputError` for less than one component.
        """
        shape = (_positive(self.components), latent)
        logits = self.param("logits", nn.initializers.zeros, shape[:1])
        mean = self.param("mean", nn.initializers.normal(1.0), shape)
        return jax.nn.log_softmax(logits), Normal(mean, positive_scale(self.param("scale", nn.zeros_init(), shape)))

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """Returns log p(z) of each code in nats, the logarithm of the weighted sum of densities."""
        log_weights, components = self.mixture(z.shape[1])
        return jax.nn.logsumexp(components.log_prob_each(z) + log_weights[None], axis=1)

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws each code from a component that is chosen at random, by the weights.

        Args:
            key: the key of the draw.
            shape: the number of codes and their size, (n, latent).
            encode: not used.
        """
        log_weights, components = self.mixture(shape[1])
        choice, noise = jax.random.split(key)
        chosen = jax.random.categorical(choice, log_weights, shape=shape[:1])
        return jax.tree.map(lambda leaf: leaf[chosen], components).sample(noise)


@known
class VampPrior(Prior):
    """Takes the mean of the posteriors of learned examples, the pseudo-inputs: Tomczak & Welling 2018, equation 9.

    A sigmoid keeps the pseudo-inputs in [0, 1], so the data must lie there. They pass through the encoder as examples
    do in evaluation, also in training: with running averages, and without dropout.
    """

    needs = (traits.NORMAL, traits.UNLABELLED, traits.RATE)
    domain = (0.0, 1.0)
    components: int = 500
    """Number of pseudo-inputs."""
    shape: tuple[int, ...] = ()
    """Shape of one example; taken from the data when training starts."""

    @nn.nowrap
    def resolve(self, shape: tuple[int, ...]) -> Self:
        """Returns the prior with pseudo-inputs of the given shape."""
        return self.clone(shape=shape)

    @nn.compact
    def pseudo_inputs(self) -> Float[Array, "components *shape"]:
        """Returns the pseudo-inputs. They start dark and different from each other, as most images are."""

        def start(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "components *shape"]:
            return 2 * jax.random.normal(key, shape) - 2

        return jax.nn.sigmoid(self.param("pseudo_inputs", start, (_positive(self.components), *self.shape)))

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """Returns log p(z) of each code in nats, the logarithm of the mean of the posteriors' densities."""
        return jax.nn.logsumexp(self._posteriors(encode).log_prob_each(z), axis=1) - math.log(self.components)

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws each code from the posterior of a pseudo-input that is chosen at random.

        Args:
            key: the key of the draw.
            shape: the number of codes and their size, (n, latent).
            encode: the model's own encoder, from examples to posteriors.
        """
        choice, noise = jax.random.split(key)
        chosen = jax.random.randint(choice, shape[:1], 0, self.components)
        return jax.tree.map(lambda leaf: leaf[chosen], self._posteriors(encode)).sample(noise)

    def _posteriors(self, encode: EncodeInputs) -> Normal:
        return cast(Normal, encode(Examples(self.pseudo_inputs())))


def _positive(components: int) -> int:
    if components < 1:
        raise InputError(f"a mixture of {components} components is no prior: give it at least 1")
    return components
