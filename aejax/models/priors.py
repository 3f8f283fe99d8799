"""Defines learned priors: mixtures of Gaussians, of their own or made of the model's posteriors, and flows."""

import math
from typing import Self, cast

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key

from aejax.core import Examples, InputError, known, positive
from aejax.models import traits
from aejax.models.autoencoder import EncodeInputs, Prior
from aejax.models.distributions import Normal
from aejax.models.flows import Flow, masked_autoregressive, real_nvp
from aejax.models.latents import positive_scale
from aejax.models.layers import Activation


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


class FlowPrior(Prior):
    """Models codes as normal noise that a flow has changed; it starts as standard normal. Its subclasses say how."""

    def setup(self) -> None:
        """Makes the flow."""
        self.flow = self.made()

    @nn.nowrap
    def made(self) -> Flow:
        """Returns the flow from codes to noise."""
        raise NotImplementedError

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """Returns log p(z) of each code in nats, that of its noise and of the change of volume."""
        return self.flow.log_prob(z)

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws normal noise, and returns the codes that become it.

        Args:
            key: the key of the draw.
            shape: the number of codes and their size, (n, latent).
            encode: not used.
        """
        return self.flow.sample(key, shape)


@known
class RealNVPPrior(FlowPrior):
    """Models codes by coupling layers, which give densities and draws in one pass. Dinh et al. 2017."""

    layers: int = positive(default=6)
    """Number of coupling layers, which move the even and the odd dimensions in turn."""
    hidden: tuple[int, ...] = (128, 128)
    """Width of each hidden layer of the layers' networks."""
    activation: Activation = "relu"
    """The function after each hidden layer, by name."""

    @nn.nowrap
    def made(self) -> Flow:
        """Returns the coupling layers."""
        return real_nvp(self.layers, self.hidden, self.activation)


@known
class MAFPrior(FlowPrior):
    """Models codes by masked autoregressive steps, in natural and reversed order in turn. Papamakarios et al. 2017.

    A density takes one pass, a draw as many as a code has dimensions.
    """

    blocks: int = positive(default=4)
    """Number of autoregressive steps."""
    hidden: tuple[int, ...] = (128,)
    """Width of each hidden layer of the steps' networks."""
    activation: Activation = "relu"
    """The function after each hidden layer, by name."""

    @nn.nowrap
    def made(self) -> Flow:
        """Returns the autoregressive steps."""
        return masked_autoregressive(self.blocks, self.hidden, self.activation)


def _positive(components: int) -> int:
    if components < 1:
        raise InputError(f"a mixture of {components} components is no prior: give it at least 1")
    return components
