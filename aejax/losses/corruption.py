"""Defines corruptions of a denoising autoencoder's input, drawn anew at every use; the target stays clean.

Levels are traced. With `up_to`, each example draws its own level, uniformly between `level` and `up_to`.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from aejax.core import InputError, Number, configurable, static


@configurable
class Corruption:
    """Turns examples into corrupted examples of the same shape."""

    clean: ClassVar[bool] = False
    """Whether examples stay as they are."""

    @property
    def masks(self) -> bool:
        """Whether it makes values go missing: such a one has `hide`."""
        return False

    def hide(self, x: Float[Array, "batch *shape"], lost: Bool[Array, "batch *lost"]) -> Float[Array, "batch *shape"]:
        """Returns examples in which something else stands in the place of values that are lost, whatever these were.

        Args:
            x: the examples.
            lost: which values are lost, with axes of one where it is said of several values together.
        """
        raise NotImplementedError

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Corrupts a batch."""
        raise NotImplementedError


@configurable
class Clean(Corruption):
    """Leaves examples as they are."""

    clean = True

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Returns the batch itself."""
        return x


@configurable
class GaussianNoise(Corruption):
    """Adds level * N(0, 1) to every value."""

    level: float = 0.5
    """Standard deviation of the noise."""
    up_to: float | None = None
    """The highest level, if every example draws its own; None: all have `level`."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Returns the batch plus noise, not clipped: see `Clip`."""
        level_key, key = jax.random.split(key)
        return x + _levels(self.level, self.up_to, x, level_key) * jax.random.normal(key, x.shape)


@configurable
class Masking(Corruption):
    """Sets each value to zero with probability `level`. Vincent et al. 2010, section 3.3."""

    masks = True
    level: float = 0.25
    """Share of the values that are set to zero."""
    up_to: float | None = None
    """The highest level, if every example draws its own; None: all have `level`."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Returns the batch with zeros."""
        level_key, key = jax.random.split(key)
        return self.hide(x, jax.random.uniform(key, x.shape) < _levels(self.level, self.up_to, x, level_key))

    def hide(self, x: Float[Array, "batch *shape"], lost: Bool[Array, "batch *lost"]) -> Float[Array, "batch *shape"]:
        """Returns the batch with zeros where values are lost."""
        return jnp.where(lost, 0.0, x)


@configurable
class Holes(Corruption):
    """Loses square blocks of an image's pixels, all channels alike: Pathak et al. 2016, section 3.3.

    The mean of a channel's pixels that are left stands for those that are lost. Blocks lie on a grid, which is shifted
    at random for each example, and each is lost with probability `level`.
    """

    level: float = 0.1
    """Share of the blocks, and so of the pixels, that are lost."""
    up_to: float | None = None
    """The highest level, if every example draws its own; None: all have `level`."""
    side: int = static(default=4)
    """Height and width of a block in pixels."""

    masks = True

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Returns images with holes. Raises `InputError` for what are no images, and for blocks of no pixel."""
        if x.ndim != 4 or self.side < 1:
            raise InputError(
                f"Holes of side {self.side} cannot be made in examples of shape {x.shape[1:]}: give a side of 1 or "
                "more and images, or use masking"
            )
        level_key, shift_key, key = jax.random.split(key, 3)
        rows, columns = (-(-length // self.side) + 1 for length in x.shape[1:3])
        blocks = jax.random.uniform(key, (len(x), rows, columns, 1)) < _levels(self.level, self.up_to, x, level_key)
        lost = jnp.repeat(jnp.repeat(blocks, self.side, axis=1), self.side, axis=2)
        shift = jax.random.randint(shift_key, (len(x), 2), 0, self.side)
        cut = jax.vmap(lambda lost, shift: jax.lax.dynamic_slice(lost, (*shift, 0), (*x.shape[1:3], 1)))
        return self.hide(x, cut(lost, shift))

    def hide(self, x: Float[Array, "batch *shape"], lost: Bool[Array, "batch *lost"]) -> Float[Array, "batch *shape"]:
        """Returns images in which a channel's mean over the pixels that are left stands for those that are lost."""
        total = jnp.sum(jnp.where(lost, 0.0, x), axis=(1, 2), keepdims=True)
        left = jnp.sum(~lost, axis=(1, 2), keepdims=True)
        return jnp.where(lost, total / jnp.maximum(left, 1), x)


@configurable
class SaltAndPepper(Corruption):
    """Replaces each value with probability `level`, by 0 or 1 with equal chances. Vincent et al. 2010, section 3.3."""

    level: float = 0.25
    """Share of the values that are replaced."""
    up_to: float | None = None
    """The highest level, if every example draws its own; None: all have `level`."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Returns the batch with black and white dots."""
        level_key, key = jax.random.split(key)
        uniform = jax.random.uniform(key, x.shape)
        level = _levels(self.level, self.up_to, x, level_key)
        return jnp.where(uniform < level, (uniform < level / 2).astype(x.dtype), x)


@configurable
class Clip(Corruption):
    """Cuts values off at the ends of an interval, as a camera does with noise."""

    low: float = 0.0
    """Lower end of the interval."""
    high: float = 1.0
    """Upper end of the interval."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Returns the batch with all values within the interval."""
        return jnp.clip(x, self.low, self.high)


@configurable
class Composed(Corruption):
    """Applies several corruptions, one after the other."""

    parts: tuple[Corruption, ...] = (GaussianNoise(), Clip())
    """The corruptions, in the order in which they are applied."""

    @property
    def masks(self) -> bool:
        """Whether one of them makes values go missing."""
        return any(part.masks for part in self.parts)

    def hide(self, x: Float[Array, "batch *shape"], lost: Bool[Array, "batch *lost"]) -> Float[Array, "batch *shape"]:
        """Returns what the first of them gives that makes values go missing."""
        return next(part for part in self.parts if part.masks).hide(x, lost)

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Returns the batch after all corruptions, each with a key of its own."""
        for number, part in enumerate(self.parts):
            x = part(x, jax.random.fold_in(key, number))
        return x


def _levels(
    level: Number, up_to: Number | None, x: Float[Array, "batch *shape"], key: Key[Array, ""]
) -> Float[Array, "batch *ones"]:
    shape = (len(x), *[1] * (x.ndim - 1))
    if up_to is None:
        return jnp.full(shape, level)
    return level + (up_to - level) * jax.random.uniform(key, shape)
