"""Learned priors: mixtures of Gaussians, with parameters of their own or made of the model's own posteriors."""

import math
from typing import Self

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key

from aejax.core import InputError, known
from aejax.models.distributions import Normal
from aejax.models.latents import positive_scale
from aejax.models.variational import EncodeInputs, Prior


@known
class MixturePrior(Prior):
    """A mixture of diagonal Gaussians whose weights, means and scales are learned."""

    components: int = 10

    @nn.compact
    def mixture(self, latent: int) -> tuple[Float[Array, " components"], Normal]:
        """The logarithms of the weights, and a row of the normal for each component."""
        shape = (_positive(self.components), latent)
        logits = self.param("logits", nn.initializers.zeros, shape[:1])
        mean = self.param("mean", nn.initializers.normal(1.0), shape)
        return jax.nn.log_softmax(logits), Normal(mean, positive_scale(self.param("scale", nn.zeros_init(), shape)))

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """The log of the weighted sum of densities."""
        log_weights, components = self.mixture(z.shape[1])
        return jax.nn.logsumexp(components.log_prob_each(z) + log_weights[None], axis=1)

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Each code from a component of its own, chosen by the weights."""
        log_weights, components = self.mixture(shape[1])
        choice, noise = jax.random.split(key)
        chosen = jax.random.categorical(choice, log_weights, shape=shape[:1])
        return jax.tree.map(lambda leaf: leaf[chosen], components).sample(noise)


@known
class VampPrior(Prior):
    """The mean of the posteriors of learned examples, the pseudo-inputs: Tomczak & Welling 2018, equation 9.

    A sigmoid keeps the pseudo-inputs in [0, 1]: it is for data that lies there. They pass the encoder as
    examples do in evaluation, in training too: by running averages, and without dropout.
    """

    components: int = 500
    """Pseudo-inputs."""
    shape: tuple[int, ...] = ()
    """Of one example; taken from the data when training starts."""

    @nn.nowrap
    def for_data(self, shape: tuple[int, ...]) -> Self:
        """With pseudo-inputs of that shape."""
        return self.clone(shape=shape)

    @nn.compact
    def pseudo_inputs(self) -> Float[Array, "components *shape"]:
        """The learned examples. They start dark and unlike each other, as most images are."""

        def start(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "components *shape"]:
            return 2 * jax.random.normal(key, shape) - 2

        return jax.nn.sigmoid(self.param("pseudo_inputs", start, (_positive(self.components), *self.shape)))

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """The log of the mean of densities."""
        return jax.nn.logsumexp(self._posteriors(encode).log_prob_each(z), axis=1) - math.log(self.components)

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Each code from the posterior of a pseudo-input of its own."""
        choice, noise = jax.random.split(key)
        chosen = jax.random.randint(choice, shape[:1], 0, self.components)
        return jax.tree.map(lambda leaf: leaf[chosen], self._posteriors(encode)).sample(noise)

    def _posteriors(self, encode: EncodeInputs) -> Normal:
        posteriors = encode(self.pseudo_inputs())
        if not isinstance(posteriors, Normal):
            raise InputError(
                f"VampPrior mixes normal posteriors, and this model's are of {type(posteriors).__name__}: "
                "use GaussianLatent"
            )
        return posteriors


def _positive(components: int) -> int:
    if components < 1:
        raise InputError(f"a mixture of {components} components is no prior: give it at least 1")
    return components
