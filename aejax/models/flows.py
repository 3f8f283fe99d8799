"""Defines normalizing flows: vectors are changed one to one, by steps whose change of volume is known.

The density of what comes out is that of what went in, over the change of volume: Rezende & Mohamed 2015, equation 5.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from aejax.models.distributions import normal_log_density
from aejax.models.layers import Activation, Stack, glorot
from aejax.models.made import MADE

LOG_SCALE_BOUND = 3.0
"""Bound on the absolute value of a scale's logarithm in one step of a flow that is a prior."""

TINY = 1e-12
"""The least squared length of a planar step's direction that is divided by."""

LOG_E_MINUS_1 = 0.5413248546129181
"""Where softplus is 1."""

Context = Float[Array, "*examples context"] | None
"""The type of what a step is given beside a vector; its axes but the last are the last ones of the vectors' but one."""


class Bijection(nn.Module):
    """Changes vectors `[*batch, size]` one to one."""

    def __call__(
        self, x: Float[Array, "*batch size"], context: Context = None
    ) -> tuple[Float[Array, "*batch size"], Float[Array, "*batch"]]:
        """Returns what a vector becomes, and the logarithm of the absolute determinant of the Jacobian.

        Args:
            x: the vectors.
            context: what the change depends on beside the vector: see `MADE`.
        """
        raise NotImplementedError

    def inverse(self, y: Float[Array, "*batch size"], context: Context = None) -> Float[Array, "*batch size"]:
        """Returns the vector that becomes `y`.

        Args:
            y: the vectors that were changed.
            context: what the change depends on beside the vector.
        """
        raise NotImplementedError


class Autoregressive(Bijection):
    """Multiplies and moves each dimension by numbers that a `MADE` gives of the dimensions before it.

    The inverse finds one dimension after the other, in as many passes as there are dimensions.
    """

    hidden: tuple[int, ...] = (64,)
    activation: Activation = "relu"
    order: Literal["natural", "reversed"] = "natural"
    gated: bool = False
    """Whether the scale s is a sigmoid, and the vector m is mixed with what is there: s z + (1 - s) m, which is stable
    (Kingma et al. 2016, equations 13 and 14). Else scale and shift start at 1 and 0.
    """

    def setup(self) -> None:
        """Makes the network."""
        start = glorot if self.gated else nn.initializers.zeros
        self.network = MADE(2, self.hidden, self.activation, self.order, start)

    def __call__(
        self, x: Float[Array, "*batch size"], context: Context = None
    ) -> tuple[Float[Array, "*batch size"], Float[Array, "*batch"]]:
        """Returns what a vector becomes, and the logarithm of the Jacobian's determinant: see `Bijection`."""
        log_scale, shift = self._affine(self.network(x[..., None], context))
        return x * jnp.exp(log_scale) + shift, jnp.sum(log_scale, axis=-1)

    def inverse(self, y: Float[Array, "*batch size"], context: Context = None) -> Float[Array, "*batch size"]:
        """Returns the vector that becomes `y`: see `Bijection`."""

        def choose(network: MADE, values: Array, place: Int[Array, ""]) -> Array:
            log_scale, shift = self._affine(network(values[..., None], context)[..., place, :])
            return (y[..., place] - shift) * jnp.exp(-log_scale)

        return self.network.fill(jnp.zeros_like(y), choose)

    def _affine(self, raw: Float[Array, "*shape 2"]) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
        shift, scale = raw[..., 0], raw[..., 1]
        if self.gated:
            return nn.log_sigmoid(scale + 2), nn.sigmoid(-scale - 2) * shift
        return _bounded(scale), shift


class Coupling(Bijection):
    """Multiplies and moves every second dimension by numbers that a network gives of the others.

    Dinh et al. 2017 (Density estimation using Real NVP), equations 7 and 8, with the logarithm of the scale bounded. It
    starts as the identity.
    """

    moved: int = 0
    """0: the even dimensions are moved, 1: the odd ones."""
    hidden: tuple[int, ...] = (64,)
    activation: Activation = "relu"

    def __call__(
        self, x: Float[Array, "*batch size"], context: Context = None
    ) -> tuple[Float[Array, "*batch size"], Float[Array, "*batch"]]:
        """Returns what a vector becomes, and the logarithm of the Jacobian's determinant: see `Bijection`."""
        log_scale, shift = self._affine(x)
        return x * jnp.exp(log_scale) + shift, jnp.sum(log_scale, axis=-1)

    def inverse(self, y: Float[Array, "*batch size"], context: Context = None) -> Float[Array, "*batch size"]:
        """Returns the vector that becomes `y`: see `Bijection`."""
        log_scale, shift = self._affine(y)
        return (y - shift) * jnp.exp(-log_scale)

    @nn.compact
    def _affine(
        self, x: Float[Array, "*batch size"]
    ) -> tuple[Float[Array, "*batch size"], Float[Array, "*batch size"]]:
        """Returns the logarithm of the scale and the shift of each dimension, zero for those that stay."""
        size = x.shape[-1]
        moves = jnp.broadcast_to(jnp.arange(size) % 2 == self.moved, x.shape)
        seen = Stack(self.hidden, self.activation)(jnp.where(moves, 0, x))
        raw = nn.Dense(2 * size, kernel_init=nn.initializers.zeros, name="out")(seen)
        return jnp.where(moves, _bounded(raw[..., :size]), 0), jnp.where(moves, raw[..., size:], 0)


class Planar(Bijection):
    """Moves a vector, several times, along a direction u by the tanh of its place along another, w.

    A dense layer of the context gives every step's u, w and offset b (Rezende & Mohamed 2015, equation 10); u is moved
    along w so that their product is above -1, which keeps the step one to one (appendix A.1). There is no inverse in
    closed form.
    """

    steps: int = 1
    """Number of steps."""
    shared: bool = False
    """Whether all vectors share the steps, whose u, w and b are then parameters; they start as the identity."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch size"], context: Context = None
    ) -> tuple[Float[Array, "*batch size"], Float[Array, "*batch"]]:
        """Returns what a vector becomes, and the logarithm of the Jacobian's determinant: see `Bijection`.

        Raises `ValueError` without a context, where steps are not shared.
        """
        size = x.shape[-1]
        if self.shared:
            u = self.param("u", nn.initializers.zeros, (self.steps, size))
            w = self.param("w", nn.initializers.normal(0.1), (self.steps, size))
            offset = self.param("offset", nn.initializers.zeros, (self.steps,))
        elif context is None:
            raise ValueError("a planar flow takes its directions from a context")
        else:
            layer = nn.Dense(
                self.steps * (2 * size + 1),
                kernel_init=glorot,
                bias_init=nn.initializers.normal(0.1),
                name="directions",
            )
            given = layer(context).reshape(*context.shape[:-1], self.steps, 2 * size + 1)
            u, w, offset = given[..., :size], given[..., size:-1], given[..., -1]
        u, stretch = _one_to_one(u, w, LOG_E_MINUS_1 if self.shared else 0.0)
        places = []
        for number in range(self.steps):
            along = jnp.sum(x * jnp.broadcast_to(w[..., number, :], x.shape), axis=-1)
            places.append(jnp.tanh(along + jnp.broadcast_to(offset[..., number], along.shape)))
            x = x + places[-1][..., None] * jnp.broadcast_to(u[..., number, :], x.shape)
        flat = jnp.square(jnp.stack(places, axis=-1))
        return x, jnp.sum(jnp.log(flat + (1 - flat) * jnp.broadcast_to(stretch, flat.shape)), axis=-1)


def _one_to_one(
    u: Float[Array, "*steps size"], w: Float[Array, "*steps size"], shift: float
) -> tuple[Float[Array, "*steps size"], Float[Array, "*steps"]]:
    """Moves u along w so that u w = softplus(u w + shift) - 1 > -1, and returns it with 1 + u w.

    With a shift of log(e - 1) a u of zeros stays as it is, however short w is.
    """
    along, squared = jnp.sum(u * w, axis=-1), jnp.sum(jnp.square(w), axis=-1)
    # Of a w of zeros the whole step is a constant: the floor keeps what is multiplied by w finite there.
    floored = jnp.maximum(squared, TINY)
    share = squared / floored
    moved = nn.softplus(along + shift)
    u = u + ((moved - 1 - along) / floored)[..., None] * w
    return u, share * moved + (1 - share) * (1 + along)


class Flow(nn.Module):
    """Takes several steps in turn; as a density, what comes out is standard normal."""

    steps: tuple[Bijection, ...]
    """The steps."""

    def __call__(
        self, x: Float[Array, "*batch size"], context: Context = None
    ) -> tuple[Float[Array, "*batch size"], Float[Array, "*batch"]]:
        """Returns what a vector becomes, and the logarithm of the Jacobian's determinant: see `Bijection`."""
        total = jnp.zeros(x.shape[:-1])
        for step in self.steps:
            x, log_det = step(x, context)
            total = total + log_det
        return x, total

    def inverse(self, y: Float[Array, "*batch size"], context: Context = None) -> Float[Array, "*batch size"]:
        """Returns the vector that becomes `y`: see `Bijection`."""
        for step in reversed(self.steps):
            y = step.inverse(y, context)
        return y

    def log_prob(self, x: Float[Array, "*batch size"]) -> Float[Array, "*batch"]:
        """Returns the log-density of each vector in nats."""
        noise, log_det = self(x)
        return jnp.sum(normal_log_density(noise, jnp.zeros_like(noise), jnp.ones_like(noise)), axis=-1) + log_det

    def sample(self, key: Key[Array, ""], shape: tuple[int, int]) -> Float[Array, "n size"]:
        """Draws vectors from the density of which `log_prob` is.

        Args:
            key: the key of the draw.
            shape: the number of vectors and their size.
        """
        return self.inverse(jax.random.normal(key, shape))


def real_nvp(layers: int, hidden: tuple[int, ...], activation: Activation = "relu") -> Flow:
    """Makes a flow of coupling layers, which move the even and the odd dimensions in turn. Dinh et al. 2017.

    Args:
        layers: the number of coupling layers.
        hidden: the width of each hidden layer of their networks.
        activation: the function after each hidden layer, by name.
    """
    return Flow(tuple(Coupling(number % 2, hidden, activation) for number in range(layers)))


def masked_autoregressive(
    blocks: int, hidden: tuple[int, ...], activation: Activation = "relu", gated: bool = False
) -> Flow:
    """Makes a flow of autoregressive steps in natural and reversed order in turn.

    As a density of data it is the MAF of Papamakarios et al. 2017, sections 3.1 and 3.2, of which a draw takes as many
    passes as there are dimensions. From noise to codes it is the IAF of Kingma et al. 2016.

    Args:
        blocks: the number of steps.
        hidden: the width of each hidden layer of their networks.
        activation: the function after each hidden layer, by name.
        gated: see `Autoregressive`.
    """
    orders: tuple[Literal["natural", "reversed"], ...] = ("natural", "reversed")
    return Flow(tuple(Autoregressive(hidden, activation, orders[number % 2], gated) for number in range(blocks)))


def _bounded(raw: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the logarithm of a scale, kept within its bound."""
    return LOG_SCALE_BOUND * jnp.tanh(raw / LOG_SCALE_BOUND)
