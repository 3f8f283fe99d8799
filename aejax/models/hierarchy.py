"""Defines codes with several stochastic layers: q(z1 | x) q(z2 | z1) ... and p(zL) ... p(z1 | z2) p(x | z1).

To all other modules such a code is one vector, its layers side by side with the lowest first. Only three modules
know of the layers: the latent, the prior, and a decoder that reads the lowest layer.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import InputError, Variables, known
from aejax.models import traits
from aejax.models.autoencoder import Decoder, EncodeInputs, Latent, Prior
from aejax.models.distributions import Normal
from aejax.models.latents import GaussianLatent
from aejax.models.layers import Activation, Stack
from aejax.models.mlp import MLPDecoder
from aejax.models.traits import Trait


class Ladder(nn.Module):
    """Computes the distribution of each layer given the one before, by hidden layers and a Gaussian for every pair."""

    sizes: tuple[int, ...]
    """Sizes of the stochastic layers, in the order in which each is given to the next."""
    hidden: tuple[int, ...]
    """Sizes of the deterministic layers between two stochastic ones."""
    activation: Activation
    """The function after each deterministic layer, by name."""

    def setup(self) -> None:
        """Makes the layers."""
        self.stacks = [Stack(self.hidden, self.activation) for _ in self.sizes[1:]]
        self.gaussians = [GaussianLatent(size) for size in self.sizes[1:]]

    def __call__(self, number: int, z: Float[Array, "batch _"]) -> Normal:
        """Returns the distribution of layer `number`, of 1 and above, given a draw of the layer before."""
        return self.gaussians[number - 1](self.stacks[number - 1](z))


@dataclass(frozen=True)
class Chain:
    """Chains layers: the first is normal, and each following one is normal given the one before it.

    A ladder that is bound to the variables of a model is used where it was made, so that a chain is no pytree: no
    transformation may take it elsewhere.
    """

    first: Normal
    ladder: Ladder
    """What gives the distribution of each following layer."""
    variables: Variables | None = None
    """The ladder's variables; None where it is bound to a model's."""

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """Returns each layer's mean, given the mean of the layer before."""
        return self._walk(lambda number, layer: layer.mean)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Draws every layer, reparameterised, given the draw of the layer before."""
        return self._walk(lambda number, layer: layer.sample(jax.random.fold_in(key, number)))

    def sample_and_log_prob(
        self, key: Key[Array, ""], samples: int | None = None
    ) -> tuple[Float[Array, "*samples batch latent"], Float[Array, "*samples batch"]]:
        """Draws every layer given the draw of the layer before, with the log-density of all together, in nats.

        Args:
            key: the key of the draw.
            samples: the number of codes for each example, which have an axis of their own; None: one, without it.
        """
        part, total = self.first.sample_and_log_prob(jax.random.fold_in(key, 0), samples)
        parts = [part]
        for number in range(1, len(self.ladder.sizes)):
            layer = self._following(number, parts[-1].reshape(-1, parts[-1].shape[-1]))
            part, own = layer.sample_and_log_prob(jax.random.fold_in(key, number))
            parts.append(part.reshape(*total.shape, -1))
            total = total + own.reshape(total.shape)
        return jnp.concatenate(parts, axis=-1), total

    def kl(self, prior: Any) -> None:
        """Returns None: no closed form is known."""

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the log-density of all layers together, in nats."""
        ends = list(itertools.accumulate(self.ladder.sizes))[:-1]
        parts = jnp.split(z, ends, axis=1)
        total = self.first.log_prob(parts[0])
        for number, (below, part) in enumerate(itertools.pairwise(parts), 1):
            total = total + self._following(number, below).log_prob(part)
        return total

    def fixed(self) -> "Chain":
        """Returns the same distribution without a gradient of its parameters; that of a code goes through all layers.

        Raises `ValueError` for a chain whose ladder is not bound.
        """
        ladder, variables = self.ladder.unbind()
        return Chain(self.first.fixed(), ladder, jax.lax.stop_gradient(variables))

    def _walk(self, choose: Callable[[int, Normal], Float[Array, "batch _"]]) -> Float[Array, "batch latent"]:
        parts = [choose(0, self.first)]
        for number in range(1, len(self.ladder.sizes)):
            parts.append(choose(number, self._following(number, parts[-1])))
        return jnp.concatenate(parts, axis=1)

    def _following(self, number: int, z: Float[Array, "batch _"]) -> Normal:
        if self.variables is None:
            return self.ladder(number, z)
        return cast(Normal, self.ladder.apply(self.variables, number, z))


@known
class HierarchicalLatent(Latent):
    """Infers several stochastic layers: q(z1 | x) q(z2 | z1) ...

    Burda et al. 2016, equation 5 and section 5.1.
    """

    meets = (traits.DENSITY, traits.EVALUABLE)
    sizes: tuple[int, ...] = (100, 50)
    """Sizes of the stochastic layers, the lowest first."""
    hidden: tuple[int, ...] = (100, 100)
    """Sizes of the deterministic layers between two stochastic ones."""
    activation: Activation = "tanh"
    """The function after each deterministic layer, by name."""

    @property
    def size(self) -> int:
        """Returns the size of the whole code."""
        return sum(self.sizes)

    def setup(self) -> None:
        """Makes the layers."""
        self.first = GaussianLatent(self.sizes[0])
        self.ladder = Ladder(self.sizes, self.hidden, self.activation)

    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Chain:
        """Returns the posterior over codes of `size`."""
        return Chain(self.first(features), self.ladder)


@known
class HierarchicalPrior(Prior):
    """Models p(zL) ... p(z1 | z2), with the highest layer standard normal. Burda et al. 2016, equation 1."""

    sizes: tuple[int, ...] = (100, 50)
    """Sizes of the stochastic layers as the latent has them, the lowest first."""
    hidden: tuple[int, ...] = (100, 100)
    """Sizes of the deterministic layers between two stochastic ones."""
    activation: Activation = "tanh"
    """The function after each deterministic layer, by name."""

    def setup(self) -> None:
        """Makes the layers."""
        self.ladder = Ladder(self.sizes[::-1], self.hidden, self.activation)

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """Returns the log-density of all layers together, in nats.

        Raises `InputError` where the code's size is not the sum of `sizes`.
        """
        return self._chain(z.shape[0]).log_prob(self._reversed(z, self.sizes))

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws codes from the highest layer down, each layer given the one above.

        Args:
            key: the key of the draw.
            shape: the number of codes and their size, (n, latent).
            encode: not used.

        Raises:
            InputError: where the size is not the sum of `sizes`.
        """
        return self._reversed(self._chain(shape[0]).sample(key), self.sizes[::-1])

    def _chain(self, rows: int) -> Chain:
        top = jnp.zeros((rows, self.sizes[-1]))
        return Chain(Normal(top, jnp.ones_like(top)), self.ladder)

    def _reversed(self, z: Float[Array, "batch latent"], sizes: tuple[int, ...]) -> Float[Array, "batch latent"]:
        if z.shape[1] != sum(sizes):
            raise InputError(f"the prior's layers {self.sizes} do not make a code of {z.shape[1]}: give both the same")
        ends = list(itertools.accumulate(sizes))[:-1]
        return jnp.concatenate(jnp.split(z, ends, axis=1)[::-1], axis=1)


@known
class BottomDecoder(Decoder):
    """Decodes only the lowest layer of the code: p(x | z1)."""

    decoder: Decoder = MLPDecoder()
    """The decoder of the lowest layer."""
    size: int = 100
    """Size of the lowest layer."""

    @property
    def needs(self) -> tuple[Trait, ...]:
        """What the decoder of the lowest layer needs."""
        return self.decoder.needs

    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Returns the raw parameters of the likelihood, `[batch, *shape]`.

        Args:
            z: the codes, all layers side by side.
            shape: the shape of the output for one example.
            train: whether the model is being trained.
        """
        return self.decoder(z[:, : self.size], shape, train)
