"""Defines distributions on the unit sphere that are symmetric around a direction, one for each example.

Both are exponential families over the uniform distribution: with x = |z - mu|^2 / 4, the squared sine of half the angle
theta between code and direction, log q(z) = kappa T(x) - L(kappa) - log area, where L is the cumulant function of T
under the uniform distribution. The divergence from it is then kappa L'(kappa) - L(kappa). Half an angle has all its
digits where the cosine of the angle has none left.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from aejax.core import pytree
from aejax.models import traits
from aejax.models._bessel import cumulant, shortfall

PROPOSALS = 16
"""Number of proposals, of which the first that is accepted is the draw; 0.65 of them are or more, so that not one in
ten million draws finds none, and is the last."""

_NODES, _DECAY = 32, 25.0  # of the quadrature below; it ends where the integrand has fallen by e^-25
_FURTHEST = 1 - 2.0**-24  # the largest x below 1, where the logarithm of 1 - x is finite
_SMALLEST = 1e-6  # the smallest sine that is divided by


@dataclass(frozen=True)
class Spherical:
    """Is the base of both; `mean`, the direction, is the code that stands for an example."""

    mean: Float[Array, "batch latent"]
    """mu, the direction of each example, of length 1."""
    concentration: Float[Array, " batch"]
    """kappa, above 0: the larger, the nearer to the direction."""

    def statistic(self, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Returns T of the squared sine of half the angle: at most 0, which it is at the direction itself."""
        raise NotImplementedError

    def cumulant(self, concentration: Float[Array, " batch"]) -> Float[Array, " batch"]:
        """Returns L(kappa), the logarithm of the mean of exp(kappa T) over the whole sphere."""
        raise NotImplementedError

    def angle(self, key: Key[Array, ""], concentration: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Draws the angle between code and direction, with its gradient in the concentration."""
        raise NotImplementedError

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Draws a code for each example, reparameterised."""
        return self.sample_and_log_prob(key)[0]

    def sample_and_log_prob(
        self, key: Key[Array, ""], samples: int | None = None
    ) -> tuple[Float[Array, "*samples batch latent"], Float[Array, "*samples batch"]]:
        """Draws codes of each example, with their log-densities over the sphere's area in nats.

        Args:
            key: the key of the draw.
            samples: the number of codes for each example, which have an axis of their own; None: one, without it.
        """
        shape = self.concentration.shape if samples is None else (samples, *self.concentration.shape)
        of_angle, of_side = jax.random.split(key)
        angle = self.angle(of_angle, jnp.broadcast_to(self._over(self.concentration, shape), shape))
        mean = self.mean.reshape((1,) * (len(shape) - 1) + self.mean.shape)
        side = _beside(of_side, mean, (*shape, self.mean.shape[1]))
        code = jnp.cos(angle)[..., None] * mean + jnp.sin(angle)[..., None] * side
        return code, self._log_density(jnp.square(jnp.sin(angle / 2)))

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the log-density over the sphere's area of one code of length 1 for each example, in nats."""
        return self._log_density(jnp.sum(jnp.square(z - self.mean), axis=-1) / 4)

    def kl(self, prior: Any) -> Float[Array, " batch"] | None:
        """Returns KL(self || prior) of each example in nats for a uniform prior on the sphere, None for any other."""
        if traits.UNIFORM_SPHERE not in prior.meets:
            return None
        kappa = self.concentration
        value, slope = jax.jvp(self.cumulant, (kappa,), (jnp.ones_like(kappa),))
        return kappa * slope - value

    def fixed(self) -> Self:
        """Returns the same distribution without a gradient of its parameters."""
        return jax.lax.stop_gradient(self)

    def _log_density(self, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        base = -self.cumulant(self.concentration) - log_area(self.mean.shape[1])
        return self._over(self.concentration, x.shape) * self.statistic(x) + self._over(base, x.shape)

    def _over(self, values: Float[Array, " batch"], shape: tuple[int, ...]) -> Float[Array, "*_ batch"]:
        return values.reshape((1,) * (len(shape) - 1) + values.shape)


@pytree
@dataclass(frozen=True)
class VonMisesFisher(Spherical):
    """Represents a von Mises-Fisher distribution, whose density is proportional to exp(kappa mu . z).

    Draws are by rejection (Wood 1994; Ulrich 1984): Davidson et al. 2018, algorithm 1. The gradient through an angle is
    that of the quantile function, which is exact: a draw that is accepted moves with kappa also because other
    proposals are accepted, which the gradient through the proposal alone leaves out.
    """

    def statistic(self, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Returns mu . z - 1."""
        return -2 * x

    def cumulant(self, concentration: Float[Array, " batch"]) -> Float[Array, " batch"]:
        """Returns the logarithm of the mean of exp(kappa (mu . z - 1)), by a ratio of Bessel functions."""
        return cumulant(concentration, self.mean.shape[1])

    def angle(self, key: Key[Array, ""], concentration: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Draws angles: of several proposals at once each takes the first that is accepted."""
        kappa, size = jax.lax.stop_gradient(concentration), self.mean.shape[1]
        return _moving(_first_accepted(key, kappa, size), concentration, size)


@pytree
@dataclass(frozen=True)
class PowerSpherical(Spherical):
    """Represents a power spherical distribution, whose density is proportional to (1 + mu . z)^kappa.

    De Cao & Aziz 2020: it is drawn without rejection, and its divergence is that of a beta distribution.
    """

    def statistic(self, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Returns log((1 + mu . z) / 2), which is not finite at the opposite of the direction: the nearest value is."""
        return jnp.log1p(-jnp.minimum(x, _FURTHEST))

    def cumulant(self, concentration: Float[Array, " batch"]) -> Float[Array, " batch"]:
        """Returns the logarithm of the mean of ((1 + mu . z) / 2)^kappa, by the beta function."""
        half = (self.mean.shape[1] - 1) / 2
        beta = jax.scipy.special.betaln
        return beta(half + concentration, half) - beta(half, half)

    def angle(self, key: Key[Array, ""], concentration: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Draws angles, of which the squared cosine of the half is from Beta((m - 1) / 2 + kappa, (m - 1) / 2).

        It is drawn by its odds, a ratio of gamma variables, whose gradients JAX has.
        """
        half, (near, far) = (self.mean.shape[1] - 1) / 2, jax.random.split(key)
        odds = jax.random.loggamma(far, half, concentration.shape) - jax.random.loggamma(near, half + concentration)
        return 2 * jnp.arctan(jnp.exp(odds / 2))


def log_area(size: int) -> float:
    """Returns the logarithm of the area of the unit sphere in so many dimensions."""
    return math.log(2) + size / 2 * math.log(math.pi) - math.lgamma(size / 2)


def on_sphere(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "*batch size"]:
    """Draws points of the unit sphere uniformly, in the dimensions of the last axis."""
    return unit(jax.random.normal(key, shape))


def unit(z: Float[Array, "*batch size"]) -> Float[Array, "*batch size"]:
    """Returns vectors with a length of 1; one of length 0 stays."""
    return z * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(z), axis=-1, keepdims=True), jnp.finfo(z.dtype).tiny))


def _beside(key: Key[Array, ""], mean: Float[Array, "... size"], shape: tuple[int, ...]) -> Float[Array, "*batch size"]:
    """Draws a unit vector at a right angle to each mean, uniformly: one beside the first axis, which is reflected.

    The Householder reflection brings that axis to the mean, or its opposite where it is the nearer one: then nothing
    cancels.
    """
    axis = jax.nn.one_hot(0, shape[-1]).reshape((1,) * (len(shape) - 1) + shape[-1:])
    side = unit((1 - axis) * jax.random.normal(key, shape))
    first = mean[..., :1]
    lean = jnp.sum(mean * side, axis=-1, keepdims=True) / (1 + jnp.abs(first))
    return side - lean * (mean + jnp.where(first < 0, -1.0, 1.0) * axis)


def _first_accepted(key: Key[Array, ""], kappa: Float[Array, "*batch"], size: int) -> Float[Array, "*batch"]:
    """Draws angles of the von Mises-Fisher distribution by rejection.

    A proposal is a uniform point of the sphere whose stereographic projection has shrunk by the square root of b. Its
    first coordinate has a closed form in two uniform numbers.
    """
    n = size - 1
    root = jnp.sqrt(4 * jnp.square(kappa) + n**2)
    a, b = (n + 2 * kappa + root) / 4, n / (2 * kappa + root)
    most = 4 * a * b / (1 + b) - n * math.log(n)
    radius, turn, chance = jax.random.uniform(key, (3, PROPOSALS, *kappa.shape))
    wide = jnp.sqrt(1 - radius ** (2 / (n - 1))) if n > 1 else jnp.ones_like(radius)
    first = wide * jnp.cos(2 * math.pi * turn)
    t = 4 * (a * b)[None] / (2 - (1 - b)[None] * (1 + first))
    accepted = n * jnp.log(t) - t + most[None] >= jnp.log(chance)
    chosen = jnp.where(accepted.any(axis=0), accepted.argmax(axis=0), PROPOSALS - 1)
    first = jnp.take_along_axis(first, chosen[None], axis=0)[0]
    return 2 * jnp.arctan2(jnp.sqrt(b * (1 + first)), jnp.sqrt(1 - first))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _moving(angle: Float[Array, "*batch"], kappa: Float[Array, "*batch"], size: int) -> Float[Array, "*batch"]:
    """Returns an angle that was drawn, with the gradient in kappa of that quantile of its distribution."""
    return angle


@_moving.defjvp
def _moving_jvp(
    size: int, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    angle, kappa = primals
    return angle, tangents[0] + _speed(angle, kappa, size) * tangents[1]


def _speed(angle: Float[Array, "*batch"], kappa: Float[Array, "*batch"], size: int) -> Float[Array, "*batch"]:
    """Returns d angle / d kappa at a fixed value of the cumulative distribution F: -(dF / d kappa) / F'.

    With g = (size - 2) log sin + kappa cos, it is the integral of (cos phi - A) exp(g(phi) - g(angle)) from the angle
    to that end of the range, 0 or pi, on whose way the first factor keeps its sign, and negative: Figurnov et al. 2018,
    equation 4. Gauss and Legendre's nodes lie as far as the second factor counts.
    """
    nodes, weights = (
        jnp.asarray(each, angle.dtype).reshape((_NODES,) + (1,) * angle.ndim)
        for each in np.polynomial.legendre.leggauss(_NODES)
    )
    short, sine = shortfall(kappa, size), jnp.maximum(jnp.sin(angle), _SMALLEST)
    beyond = 2 * jnp.square(jnp.sin(angle / 2)) > short
    away = jnp.where(beyond, 1.0, -1.0)
    slope = away * ((size - 2) * jnp.cos(angle) / sine - kappa * sine)
    bend = jnp.maximum((size - 2) / jnp.square(sine) + kappa * jnp.cos(angle), 0)
    reach = 2 * _DECAY / (jnp.sqrt(jnp.square(slope) + 2 * _DECAY * bend) - slope)
    reach = jnp.minimum(reach, jnp.where(beyond, math.pi - angle, angle))
    step = (away * reach)[None] * (1 + nodes) / 2
    phi = angle[None] + step
    rise = -2 * kappa[None] * jnp.sin(angle[None] + step / 2) * jnp.sin(step / 2)
    if size > 2:
        rise += (size - 2) * jnp.log(jnp.maximum(jnp.sin(phi), _SMALLEST) / sine[None])
    values = (short[None] - 2 * jnp.square(jnp.sin(phi / 2))) * jnp.exp(rise)
    return away * reach * jnp.sum(weights * values, axis=0) / 2
