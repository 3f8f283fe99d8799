"""Computes what a density on a sphere needs of modified Bessel functions, in float32, from 2 to hundreds of dimensions.

For a unit vector z that is uniform in so many dimensions, and w = z_1, the cumulant function is
log E exp(kappa (w - 1)) = log(Gamma(v + 1) (2 / kappa)^v I_v(kappa)) - kappa with v = dimensions / 2 - 1, and its slope
is A - 1 with A = I_{v+1}(kappa) / I_v(kappa): log I by itself has neither the digits nor the range.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

STEPS = 24
"""Number of orders above the one that is asked for, from which recurrences come down: Olver's expansion holds there."""


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def cumulant(kappa: Float[Array, "*shape"], dimensions: int) -> Float[Array, "*shape"]:
    """Returns log E exp(kappa (w - 1)), which is 0 at 0 and falls.

    Args:
        kappa: the concentration, above 0.
        dimensions: the number of dimensions of z, at least 2.
    """
    return _recurrences(kappa, dimensions)[0]


@cumulant.defjvp
def _cumulant_jvp(
    dimensions: int, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    value, shortfall = _recurrences(primals[0], dimensions)
    return value, -shortfall * tangents[0]


def shortfall(kappa: Float[Array, "*shape"], dimensions: int) -> Float[Array, "*shape"]:
    """Returns 1 - A, by how much the mean of w under the density exp(kappa w) is short of 1: it keeps its digits.

    Args:
        kappa: the concentration, above 0.
        dimensions: the number of dimensions, at least 2.
    """
    return _recurrences(kappa, dimensions)[1]


def _recurrences(
    kappa: Float[Array, "*shape"], dimensions: int
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Returns the cumulant function and 1 - A.

    Above, r = I_{u+1} / I_u solves r' = 1 - r^2 - (2u + 1) r / kappa with r' of the root without it, and log I_u is by
    two terms of Olver's expansion (DLMF 10.41.3), from which Stirling's series has been taken. Downwards, r_{u-1} =
    1 / (2u / kappa + r_u) (DLMF 10.29.1), and what cancels is written without the cancelling.
    """
    low = dimensions / 2 - 1
    top = low + STEPS
    half = top + 0.5
    root = jnp.hypot(kappa, half)
    start = kappa / (half + root)
    bend = start * half / (2 * jnp.square(root))
    ratio = start - bend
    short = (half + jnp.square(half) / (root + kappa)) / (half + root) + bend
    reach = jnp.hypot(kappa, top)
    excess = jnp.square(kappa) / (reach + top)
    value = _olver(top / reach, top) - top * (kappa + excess) / (kappa + reach)
    value -= top * jnp.log1p(excess / (2 * top)) + jnp.log1p(jnp.square(kappa / top)) / 4
    for order in (low + step for step in reversed(range(1, STEPS + 1))):
        value += jnp.log1p(kappa * ratio / (2 * order))
        ratio = 1 / (2 * order / kappa + ratio)
        short = (2 * order / kappa - short) * ratio
    return value, short


def _olver(t: Float[Array, "*shape"], order: float) -> Float[Array, "*shape"]:
    """Returns the logarithm of Olver's series less its value for an argument of 0, which is Stirling's: t = 1."""
    first, second = (t * (3 - 5 * t**2) / 24, t**2 * (81 - 462 * t**2 + 385 * t**4) / 1152)
    return jnp.log1p(first / order + second / order**2) + 1 / (12 * order)
