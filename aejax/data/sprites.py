"""Draws sprites: a square, an ellipse or a heart of any size, rotation and place, after dSprites (2017)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.core import Examples
from aejax.data.factors import FACTORS
from aejax.data.split import in_turn, permutation

SIDE = 32
"""Width and height of an image in pixels."""

_FINER = 4  # points along each side of a pixel, whose grey level is the share of points that are covered

_PARTS = {"train": 33_280, "validation": 2_560, "test": 10_240}


def read() -> dict[str, Examples]:
    """Draws every combination of the factors once: 46,080 uint8 images `[n, 32, 32, 1]` in a fixed random split.

    Scales run from a half to 1. Rotations are ten steps of 9 degrees, so that no two images are the same: a square
    repeats itself after a quarter turn. Centres lie in the middle half of each axis, so that no sprite is cut off.
    """
    label = permutation(len(FACTORS["sprites"])).astype(np.int32)
    whole = Examples(drawn(label), label)
    return in_turn(whole, _PARTS)


def drawn(label: np.ndarray) -> np.ndarray:
    """Draws the sprites of the combinations of factors that labels number: uint8 `[n, 32, 32, 1]`, from ints `[n]`."""
    factors = FACTORS["sprites"]
    shape, scale, rotation, x, y = factors.values(label).T
    steps = {name: size - 1 for name, size in factors.sizes.items()}
    return render(
        shape,
        0.5 + 0.5 * scale / steps["scale"],
        np.pi / 2 * rotation / factors.sizes["rotation"],
        x / steps["x"] - 0.5,
        y / steps["y"] - 0.5,
    )


def render(shape: np.ndarray, scale: np.ndarray, rotation: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Draws white sprites on black: uint8 `[n, 32, 32, 1]`, from arrays `[n]`.

    Args:
        shape: 0 for a square, 1 for an ellipse, 2 for a heart.
        scale: the size; at 1 the sprite fits a circle of half the image's width.
        rotation: the angle in radians, counter-clockwise.
        x: the centre, to the right, in an image that reaches from -1 to 1.
        y: the centre, upwards, in the same units.
    """
    arrays = [jnp.asarray(shape), *(jnp.asarray(values, jnp.float32) for values in (scale, rotation, x, y))]
    return np.asarray(_render(arrays))


@jax.jit
def _render(factors: list[Array]) -> Array:
    return jax.lax.map(lambda one: _image(*one), factors, batch_size=256)


def _image(shape: Array, scale: Array, rotation: Array, x: Array, y: Array) -> Array:
    points = (jnp.arange(SIDE * _FINER) + 0.5) / (SIDE * _FINER) * 2 - 1
    right, up = jnp.meshgrid(points - x, -points - y)
    sine, cosine = jnp.sin(rotation), jnp.cos(rotation)
    u, v = (cosine * right + sine * up) / scale * 2, (cosine * up - sine * right) / scale * 2
    covered = jnp.select([shape == 0, shape == 1], [_square(u, v), _ellipse(u, v)], _heart(u, v))
    share = covered.reshape(SIDE, _FINER, SIDE, _FINER).mean(axis=(1, 3))
    return jnp.round(255 * share).astype(jnp.uint8)[..., None]


def _square(u: Float[Array, "h w"], v: Float[Array, "h w"]) -> Array:
    """Returns where a square lies whose corners are on the unit circle."""
    return jnp.maximum(jnp.abs(u), jnp.abs(v)) < 0.5**0.5


def _ellipse(u: Float[Array, "h w"], v: Float[Array, "h w"]) -> Array:
    """Returns where an ellipse lies that is as wide as the unit circle, and half as high."""
    return u**2 + (2 * v) ** 2 < 1


def _heart(u: Float[Array, "h w"], v: Float[Array, "h w"]) -> Array:
    """Returns where a heart lies: the sextic (a^2 + b^2 - 1)^3 < a^2 b^3, about its centre of gravity at b = 0.29."""
    a, b = 1.3 * u, 1.3 * v + 0.29
    return (a**2 + b**2 - 1) ** 3 < a**2 * b**3
