"""Several stochastic layers: z1 given x, z2 given z1 and so on, and downwards p(zL) ... p(z1 | z2) p(x | z1).

To everything else such a code is one vector, its layers side by side, the lowest first. Only three
modules know of the layers: the latent, the prior, and a decoder that reads the lowest.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import InputError, known
from aejax.models.autoencoder import Decoder, Latent
from aejax.models.distributions import Normal
from aejax.models.latents import GaussianLatent
from aejax.models.layers import Activation, Stack
from aejax.models.mlp import MLPDecoder
from aejax.models.variational import EncodeInputs, Prior

Conditional = Callable[[Float[Array, "batch _"]], Normal]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Chain:
    """A normal layer, and each following layer normal given the one before it."""

    first: Normal
    following: tuple[Conditional, ...] = field(metadata={"static": True})

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """Each layer's mean, given the mean of the one before."""
        return self._walk(lambda number, layer: layer.mean)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """A draw of every layer, reparameterised, given the draw of the one before."""
        return self._walk(lambda number, layer: layer.sample(jax.random.fold_in(key, number)))

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """The log-density of the layers together, in nats."""
        total, layer, start = jnp.zeros(len(z)), self.first, 0
        for following in (*self.following, None):
            part = z[:, start : start + layer.mean.shape[1]]
            total, start = total + layer.log_prob(part), start + part.shape[1]
            if following is not None:
                layer = following(part)
        return total

    def _walk(self, choose: Callable[[int, Normal], Float[Array, "batch _"]]) -> Float[Array, "batch latent"]:
        parts = [choose(0, self.first)]
        for number, following in enumerate(self.following, 1):
            parts.append(choose(number, following(parts[-1])))
        return jnp.concatenate(parts, axis=1)


class Ladder(nn.Module):
    """For each pair of neighbouring layers, hidden layers and a Gaussian: the next given the one before."""

    sizes: tuple[int, ...]
    hidden: tuple[int, ...]
    activation: Activation

    def setup(self) -> None:
        """Makes the layers."""
        self.stacks = [Stack(self.hidden, self.activation) for _ in self.sizes[1:]]
        self.gaussians = [GaussianLatent(size) for size in self.sizes[1:]]

    def __call__(self, number: int, z: Float[Array, "batch _"]) -> Normal:
        """Layer `number + 1` given layer `number`."""
        return self.gaussians[number](self.stacks[number](z))

    def following(self) -> tuple[Conditional, ...]:
        """What follows the first layer."""
        return tuple(partial(self, number) for number in range(len(self.sizes) - 1))


@known
class HierarchicalLatent(Latent):
    """q(z1 | x) q(z2 | z1) ...: Burda et al. 2016, equation 5 and section 5.1."""

    sizes: tuple[int, ...] = (100, 50)
    """Of the layers, the lowest first."""
    hidden: tuple[int, ...] = (100, 100)
    """Deterministic layers between two stochastic ones."""
    activation: Activation = "tanh"

    @property
    def size(self) -> int:
        """Of the whole code."""
        return sum(self.sizes)

    def setup(self) -> None:
        """Makes the layers."""
        self.first = GaussianLatent(self.sizes[0])
        self.ladder = Ladder(self.sizes, self.hidden, self.activation)

    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Chain:
        """The posterior over codes of `size`."""
        return Chain(self.first(features), self.ladder.following())


@known
class HierarchicalPrior(Prior):
    """p(zL) ... p(z1 | z2), the highest layer standard normal. Burda et al. 2016, equation 1."""

    sizes: tuple[int, ...] = (100, 50)
    """Those of the latent, in its order."""
    hidden: tuple[int, ...] = (100, 100)
    """Deterministic layers between two stochastic ones."""
    activation: Activation = "tanh"

    def setup(self) -> None:
        """Makes the layers."""
        self.ladder = Ladder(self.sizes[::-1], self.hidden, self.activation)

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """The log-density of the layers together, in nats."""
        return self._chain(len(z)).log_prob(self._reversed(z, self.sizes))

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Each layer drawn given the one above."""
        return self._reversed(self._chain(shape[0]).sample(key), self.sizes[::-1])

    def _chain(self, rows: int) -> Chain:
        top = jnp.zeros((rows, self.sizes[-1]))
        return Chain(Normal(top, jnp.ones_like(top)), self.ladder.following())

    def _reversed(self, z: Float[Array, "batch latent"], sizes: tuple[int, ...]) -> Float[Array, "batch latent"]:
        if z.shape[1] != sum(sizes):
            raise InputError(f"the prior's layers {self.sizes} do not make a code of {z.shape[1]}: give both the same")
        ends = list(itertools.accumulate(sizes))[:-1]
        return jnp.concatenate(jnp.split(z, ends, axis=1)[::-1], axis=1)


@known
class BottomDecoder(Decoder):
    """Decodes the lowest layer of the code alone: p(x | z1)."""

    decoder: Decoder = MLPDecoder()
    size: int = 100
    """Of the lowest layer."""

    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Raw parameters of the likelihood, `[batch, *shape]`."""
        return self.decoder(z[:, : self.size], shape, train)
