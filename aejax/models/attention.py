"""Defines attention, and blocks of a transformer made of it, for sequences of tokens `[batch, tokens, width]`."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError
from aejax.models.layers import glorot


def attend(
    query: Float[Array, "*batch asking depth"],
    key: Float[Array, "*batch asked depth"],
    value: Float[Array, "*batch asked _"],
) -> Float[Array, "*batch asking _"]:
    """Returns means of the values, weighed by how like each key is to the query: scaled dot-product attention.

    Vaswani et al. 2017, equation 1. Weights are computed in float32, whatever the precision of what is given.
    """
    likeness = jnp.einsum("...id,...jd->...ij", query, key, preferred_element_type=jnp.float32)
    weight = jax.nn.softmax(likeness / math.sqrt(query.shape[-1]), axis=-1)
    return jnp.einsum("...ij,...jd->...id", weight.astype(value.dtype), value)


class TransformerBlock(nn.Module):
    """Adds attention over all tokens, then two dense layers of each, both behind layer normalisation.

    Dosovitskiy et al. 2021, equations 2 and 3.
    """

    heads: int = 4
    """Number of parts of the width that attend by themselves, which divides it."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        """Returns tokens of the same shape. Raises `InputError` where the heads do not divide the width."""
        *shape, width = x.shape
        if self.heads < 1 or width % self.heads:
            raise InputError(f"{self.heads} heads cannot share a width of {width}: give a number that divides it")
        given = nn.Dense(3 * width, kernel_init=glorot, name="given")(nn.LayerNorm(name="before")(x))
        parts = given.reshape(*shape, 3, self.heads, -1)
        query, key, value = (jnp.swapaxes(parts[:, :, part], 1, 2) for part in range(3))
        mixed = jnp.swapaxes(attend(query, key, value), 1, 2).reshape(x.shape)
        x = x + nn.Dense(width, kernel_init=glorot, name="mixed")(mixed)
        wide = nn.gelu(nn.Dense(4 * width, kernel_init=glorot, name="wide")(nn.LayerNorm(name="between")(x)))
        return x + nn.Dense(width, kernel_init=glorot, name="narrow")(wide)
