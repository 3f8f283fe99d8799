"""Corruptions: what a denoising autoencoder's input goes through, fresh at every use; its target never does.

Levels are traced. With `up_to`, each example draws its own level, evenly between `level` and `up_to`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import Number, configurable


@configurable
class Corruption:
    """x to a corrupted x of the same shape."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Corrupts a batch."""
        raise NotImplementedError


@configurable
class Clean(Corruption):
    """No corruption."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """x."""
        return x


@configurable
class GaussianNoise(Corruption):
    """Adds level * N(0, 1) to every value."""

    level: float = 0.5
    """Standard deviation of the noise."""
    up_to: float | None = None
    """The highest level, where every example draws its own."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """x plus noise, not clipped: see `Clip`."""
        level_key, key = jax.random.split(key)
        return x + _levels(self.level, self.up_to, x, level_key) * jax.random.normal(key, x.shape)


@configurable
class Masking(Corruption):
    """Sets each value to zero with probability level. Vincent et al. 2010, section 3.3."""

    level: float = 0.25
    """Share of the values that are lost."""
    up_to: float | None = None
    """The highest level, where every example draws its own."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """x with holes."""
        level_key, key = jax.random.split(key)
        lost = jax.random.uniform(key, x.shape) < _levels(self.level, self.up_to, x, level_key)
        return jnp.where(lost, 0.0, x)


@configurable
class SaltAndPepper(Corruption):
    """Sets each value to 0 or 1, evenly, with probability level. Vincent et al. 2010, section 3.3."""

    level: float = 0.25
    """Share of the values that are replaced."""
    up_to: float | None = None
    """The highest level, where every example draws its own."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """x with black and white dots."""
        level_key, key = jax.random.split(key)
        uniform = jax.random.uniform(key, x.shape)
        level = _levels(self.level, self.up_to, x, level_key)
        return jnp.where(uniform < level, (uniform < level / 2).astype(x.dtype), x)


@configurable
class Clip(Corruption):
    """Cuts values off at the ends of an interval: what a camera does to noise."""

    low: float = 0.0
    """Lower end."""
    high: float = 1.0
    """Upper end."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """x within the interval."""
        return jnp.clip(x, self.low, self.high)


@configurable
class Composed(Corruption):
    """Several corruptions, one after the other."""

    parts: tuple[Corruption, ...] = (GaussianNoise(), Clip())
    """In the order in which they are applied."""

    def __call__(self, x: Float[Array, "batch *shape"], key: Key[Array, ""]) -> Float[Array, "batch *shape"]:
        """Each part with a key of its own."""
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
