"""Defines steps and jumps whose thresholds are trained by the gradient of a rectangle about them.

Rajamanoharan et al. 2024 (Jumping ahead: JumpReLU sparse autoencoders), equations 11 and 12.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def jump(
    z: Float[Array, "batch units"], threshold: Float[Array, " units"], width: float
) -> Float[Array, "batch units"]:
    """Returns z where it is above the threshold, else 0.

    The gradient of z is that of the values that are kept; the threshold's is minus the threshold over the width, for
    each z that is nearer to it than half the width.

    Args:
        z: the pre-activations.
        threshold: the threshold of each unit.
        width: the width of the rectangle.
    """
    return jnp.where(z > threshold[None], z, 0)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def step(
    z: Float[Array, "batch units"], threshold: Float[Array, " units"], width: float
) -> Float[Array, "batch units"]:
    """Returns 1 where z is above the threshold, else 0.

    z has no gradient; the threshold's is minus one over the width, for each z that is nearer to it than half the width.

    Args:
        z: the pre-activations.
        threshold: the threshold of each unit.
        width: the width of the rectangle.
    """
    return (z > threshold[None]).astype(z.dtype)


def _near(z: Array, threshold: Array, width: float) -> Array:
    """Returns one over the width where z lies within the rectangle about the threshold, else 0."""
    return (jnp.abs(z - threshold[None]) < width / 2).astype(z.dtype) / width


def _jump_back(width: float, saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    z, threshold = saved
    moved = -threshold * jnp.sum(_near(z, threshold, width) * gradient, axis=0)
    return jnp.where(z > threshold[None], gradient, 0), moved


def _step_back(width: float, saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    z, threshold = saved
    return jnp.zeros_like(z), -jnp.sum(_near(z, threshold, width) * gradient, axis=0)


jump.defvjp(lambda z, threshold, width: (jump(z, threshold, width), (z, threshold)), _jump_back)
step.defvjp(lambda z, threshold, width: (step(z, threshold, width), (z, threshold)), _step_back)
