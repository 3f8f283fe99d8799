"""Defines a transformer's encoder and decoder for images, which are cut into square patches: a token for each."""

import math
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import InputError, known
from aejax.models.attention import TransformerBlock
from aejax.models.autoencoder import Decoder, Encoder
from aejax.models.conv import require_image
from aejax.models.layers import glorot

Tokens = Float[Array, "batch tokens width"]


def grid(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Returns the rows and columns of patches in an image of a shape.

    Raises `InputError` for what is no image, or cannot be cut into patches of that side.
    """
    require_image(shape)
    if side < 1 or shape[0] % side or shape[1] % side:
        raise InputError(
            f"images of {shape[0]} x {shape[1]} pixels cannot be cut into patches of {side} x {side}: give "
            "--model.encoder.patch and --model.decoder.patch a length that divides both sides"
        )
    return shape[0] // side, shape[1] // side


def to_patches(x: Float[Array, "batch height width *rest"], side: int) -> Float[Array, "batch patches side side *rest"]:
    """Cuts images into patches, row by row from the top left."""
    rows, columns = grid((*x.shape[1:], 1), side)
    cut = x.reshape(x.shape[0], rows, side, columns, side, *x.shape[3:])
    return jnp.swapaxes(cut, 2, 3).reshape(x.shape[0], rows * columns, side, side, *x.shape[3:])


def from_patches(
    patches: Float[Array, "batch patches side side *rest"], shape: tuple[int, ...]
) -> Float[Array, "batch height width *rest"]:
    """Joins the patches of images of a shape, which `to_patches` cut."""
    batch, _, side = patches.shape[:3]
    rows, columns = grid(shape, side)
    return jnp.swapaxes(patches.reshape(batch, rows, columns, side, side, *shape[2:]), 2, 3).reshape(batch, *shape)


def positions(rows: int, columns: int, width: int) -> Float[Array, "patches width"]:
    """Returns a vector for each place of a grid: half of it sines and cosines of its row, half of its column.

    Vaswani et al. 2017, section 3.5, in two dimensions as He et al. 2022 have it. Raises `InputError` for a width that
    is no multiple of four.
    """
    if width % 4:
        raise InputError(f"a width of {width} cannot hold sines and cosines of two axes: give a multiple of 4")
    rate = 1e4 ** (-np.arange(width // 4) / (width // 4))
    waves = [np.arange(length)[:, None] * rate[None] for length in (rows, columns)]
    down, across = (np.concatenate([np.sin(wave), np.cos(wave)], axis=1) for wave in waves)
    both = np.concatenate([np.repeat(down, columns, axis=0), np.tile(across, (rows, 1))], axis=1)
    return jnp.asarray(both, jnp.float32)


@known
class PatchEncoder(Encoder):
    """Applies a transformer to the patches of an image. Dosovitskiy et al. 2021 (Vision Transformer)."""

    of_images: ClassVar[bool] = True
    patch: int = 4
    """Height and width of a patch in pixels."""
    width: int = 128
    """Number of values of a token."""
    depth: int = 4
    """Number of transformer blocks."""
    heads: int = 4
    """Number of attention's heads in each block."""

    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch features"]:
        """Returns the mean of the tokens, `[batch, width]`. Raises `InputError` where images cannot be cut."""
        return jnp.mean(self.tokens(x), axis=1)

    @nn.compact
    def tokens(self, x: Float[Array, "batch *shape"], seen: Int[Array, "batch seen"] | None = None) -> Tokens:
        """Returns a token for each patch that is seen; what lies in the others takes no part in the computation.

        Args:
            x: the images.
            seen: the numbers of the patches of each image that are seen; None: all of them, in order.
        """
        rows, columns = grid(x.shape[1:], self.patch)
        patches = to_patches(x, self.patch).reshape(x.shape[0], rows * columns, -1)
        places = positions(rows, columns, self.width).astype(x.dtype)[None]
        if seen is not None:
            patches = jnp.take_along_axis(patches, seen[..., None], axis=1)
            places = places[0][seen]
        z = nn.Dense(self.width, kernel_init=glorot, name="patch")(patches) + places
        for _ in range(self.depth):
            z = TransformerBlock(self.heads)(z)
        return nn.LayerNorm(name="last")(z)


@known
class PatchDecoder(Decoder):
    """Applies a transformer to a token for each patch of the output, and makes the patch of it by a dense layer."""

    of_images: ClassVar[bool] = True
    patch: int = 4
    """Height and width of a patch in pixels."""
    width: int = 64
    """Number of values of a token."""
    depth: int = 1
    """Number of transformer blocks."""
    heads: int = 4
    """Number of attention's heads in each block."""

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "batch *tokens values"],
        shape: tuple[int, ...],
        train: bool = False,
        order: Int[Array, "batch patches"] | None = None,
    ) -> Float[Array, "batch *shape"]:
        """Returns the raw parameters of the likelihood, `[batch, *shape]`.

        Args:
            z: the codes, of each of which every patch is made; or with an order the tokens of the first patches.
            shape: the shape of the output for one example.
            train: whether the model is being trained.
            order: the numbers of all patches of each image, those first that tokens are given of. The others begin as
                one token that is learned.

        Raises:
            InputError: where the output cannot be cut into patches.
        """
        rows, columns = grid(shape, self.patch)
        size = (z.shape[0], rows * columns, self.width)
        x = nn.Dense(self.width, kernel_init=glorot, name="token")(z)
        if order is None:
            x = jnp.broadcast_to(x[:, None], size)
        else:
            hidden = self.param("hidden", nn.initializers.normal(0.02), (self.width,)).astype(x.dtype)
            hidden = jnp.broadcast_to(hidden[None, None], (size[0], size[1] - x.shape[1], size[2]))
            x = jnp.take_along_axis(jnp.concatenate([x, hidden], axis=1), jnp.argsort(order)[..., None], axis=1)
        x = x + positions(rows, columns, self.width).astype(x.dtype)[None]
        for _ in range(self.depth):
            x = TransformerBlock(self.heads)(x)
        out = nn.Dense(self.patch**2 * math.prod(shape[2:]), kernel_init=glorot, name="out")
        patches = out(nn.LayerNorm(name="last")(x))
        return from_patches(patches.reshape(*size[:2], self.patch, self.patch, *shape[2:]), shape)
