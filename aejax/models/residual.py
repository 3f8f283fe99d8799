"""Defines encoders and decoders of residual blocks for images `[batch, height, width, channels]` of any size."""

import math
from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, known
from aejax.models import traits
from aejax.models._convolution import Convolution, Image
from aejax.models.attention import attend
from aejax.models.autoencoder import Decoder, Encoder
from aejax.models.conv import require_image
from aejax.models.layers import Activation, Finish, activation, glorot
from aejax.models.traits import Trait

_LEAST = 4
"""Number of channels that a group has at least, where there are so many: one value by itself would become zero."""


class GroupNorm(nn.Module):
    """Normalises groups of channels of each image by their mean and variance. Wu & He 2018, equations 1, 2 and 7."""

    most: int = 8
    """Largest number of groups. There are as many as divide the channels and leave four or more to each."""

    @nn.compact
    def __call__(self, x: Image) -> Image:
        """Returns images of the same shape."""
        channels = x.shape[-1]
        fitting = (groups for groups in range(self.most, 1, -1) if channels % groups == 0)
        groups = next((groups for groups in fitting if channels // groups >= _LEAST), 1)
        return nn.GroupNorm(groups, use_fast_variance=False)(x)


class ResidualBlock(nn.Module):
    """Adds to images what two convolutions make of them. He et al. 2016 (Identity mappings), figure 4e.

    The second kernel begins at zero, and so the block as the identity: Zhang et al. 2019 (Fixup initialization),
    section 3. The channels stay as many as they are.
    """

    kernel: int = 3
    """Height and width of both kernels."""
    activation: Activation = "silu"
    """The function before each convolution, by name."""
    dropout: float = 0.0
    """Share of the values before the second convolution that are set to zero in training."""

    @nn.compact
    def __call__(self, x: Image, train: bool = False) -> Image:
        """Returns images of the same shape."""
        channels, size = x.shape[-1], x.shape[1:3]
        y = activation(self.activation)(GroupNorm()(x))
        y = Convolution(channels, size, self.kernel)(y)
        y = Finish(self.activation, dropout=self.dropout)(GroupNorm()(y), train)
        return x + Convolution(channels, size, self.kernel, kernel_init=nn.initializers.zeros)(y)


class SelfAttention(nn.Module):
    """Adds to each pixel a mean of values of all pixels, which it weighs by their keys: Ho et al. 2020, appendix B.

    It is attention with one head. The last kernel begins at zero, and so this layer as the identity.
    """

    @nn.compact
    def __call__(self, x: Image) -> Image:
        """Returns images of the same shape."""
        channels = x.shape[-1]
        pixels = GroupNorm()(x).reshape(x.shape[0], -1, channels)
        query, key, value = jnp.split(nn.Dense(3 * channels, kernel_init=glorot, name="given")(pixels), 3, axis=-1)
        mixed = attend(query, key, value)
        return x + nn.Dense(channels, kernel_init=nn.initializers.zeros, name="out")(mixed).reshape(x.shape)


class Stage(nn.Module):
    """Applies residual blocks to images of one size, each followed by attention where it is asked for."""

    blocks: int
    """Number of residual blocks."""
    kernel: int
    """Height and width of the blocks' kernels."""
    activation: Activation
    """The blocks' activation, by name."""
    dropout: float
    """Share of values that the blocks set to zero in training."""
    attention: bool
    """Whether self-attention follows each block."""
    remat: bool
    """Whether the gradient computes each block again instead of keeping its activations."""

    @nn.compact
    def __call__(self, x: Image, train: bool) -> Image:
        """Returns images of the same shape."""
        for _ in range(self.blocks):
            block = ResidualBlock(self.kernel, self.activation, self.dropout)
            x = self._once(lambda block, x: block(x, train), block, x)
            if self.attention:
                x = self._once(lambda layer, x: layer(x), SelfAttention(), x)
        return x

    def _once(self, function: Callable[[nn.Module, Image], Image], layer: nn.Module, x: Image) -> Image:
        return (nn.remat(function) if self.remat and not self.is_initializing() else function)(layer, x)


@known
class ResidualEncoder(Encoder):
    """Applies strided convolutions, each followed by residual blocks, and flattens the result.

    Nothing but the blocks is not linear, and they begin as the identity: training begins with a linear function, from
    which the principal components are not far. The maps are flattened place after place, so that a latent with slots
    may have one for each place.
    """

    of_images: ClassVar[bool] = True
    channels: tuple[int, ...] = (32, 64, 64)
    """Number of channels of each stage, the finest first."""
    strides: tuple[int, ...] = ()
    """By how much each stage divides height and width, rounded up; empty: by 2 each."""
    blocks: int = 1
    """Number of residual blocks of each stage."""
    attention: int = 0
    """Height of the maps of the stage whose blocks are each followed by self-attention; 0: of none."""
    kernel: int = 3
    """Height and width of the kernels, but for those of strided convolutions, which are at least the stride."""
    activation: Activation = "silu"
    """The function before each convolution, by name."""
    dropout: float = 0.0
    """Share of each block's values that are set to zero in training."""
    remat: bool = False
    """Whether the gradient computes each block again instead of keeping its activations: less memory, more time."""
    pyramid: bool = False
    """Whether the maps of all stages are returned, side by side with the finest first, not those of the last alone."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """Maps of all sizes, where they are returned."""
        return (traits.PYRAMID,) if self.pyramid else ()

    @nn.nowrap
    def maps(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Returns height, width and channels of the maps of each stage, the finest first.

        `shape` is the shape of an image. Raises `InputError` for no image, and for settings that do not fit each other
        or the image.
        """
        sizes = stage_sizes(shape, self.channels, self.strides, self.attention)
        return [(*size, channels) for size, channels in zip(sizes[1:], self.channels, strict=True)]

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch features"]:
        """Returns the flattened maps. Raises `InputError` as `maps` does."""
        found, strides = [], self.strides or (2,) * len(self.channels)
        maps = self.maps(x.shape[1:])
        x = x.reshape(*x.shape[:3], -1)
        for (*size, channels), stride in zip(maps, strides, strict=True):
            x = Convolution(channels, tuple(size), max(self.kernel, stride), stride)(x)
            x = _stage(self, tuple(size))(x, train)
            found.append(x.reshape(x.shape[0], -1))
        return jnp.concatenate(found, axis=1) if self.pyramid else found[-1]


@known
class ResidualDecoder(Decoder):
    """Turns codes into small images, and applies residual blocks, each stage of them followed by an enlargement.

    The sizes are those that a `ResidualEncoder` of the same strides, in reverse, goes through, in reverse. An image is
    enlarged by repeating its pixels, before a convolution: Odena et al. 2016 (Deconvolution and checkerboard
    artifacts). As that encoder, it begins as a linear function.
    """

    of_images: ClassVar[bool] = True
    channels: tuple[int, ...] = (64, 64, 32)
    """Number of channels of each stage, the coarsest first."""
    strides: tuple[int, ...] = ()
    """By how much each stage multiplies height and width at its end; empty: by 2 each."""
    blocks: int = 1
    """Number of residual blocks of each stage."""
    attention: int = 0
    """Height of the maps of the stage whose blocks are each followed by self-attention; 0: of none."""
    spatial: bool = False
    """Whether a code is a small image itself, place after place, as that of a latent with a slot for each place;
    otherwise a dense layer makes the image of the whole code.
    """
    kernel: int = 3
    """Height and width of the kernels."""
    activation: Activation = "silu"
    """The function before each convolution, by name."""
    dropout: float = 0.0
    """Share of each block's values that are set to zero in training."""
    remat: bool = False
    """Whether the gradient computes each block again instead of keeping its activations: less memory, more time."""

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Returns the raw parameters of the likelihood, `[batch, *shape]`.

        Args:
            z: the codes.
            shape: the shape of the output for one example.
            train: whether the model is being trained.

        Raises:
            InputError: where the output is not an image, and for settings that do not fit each other, the image or the
                code.
        """
        sizes = stage_sizes(shape, self.channels, self.strides[::-1], self.attention)[::-1]
        strides = self.strides or (2,) * len(self.channels)
        x = self._begin(z, sizes[0])
        for number, size in enumerate(sizes[1:-1]):
            x = _stage(self, sizes[number])(x, train)
            x = Convolution(self.channels[number + 1], size, self.kernel)(enlarged(x, size, strides[number]))
        x = enlarged(_stage(self, sizes[-2])(x, train), sizes[-1], strides[-1])
        return Convolution(math.prod(shape[2:]), sizes[-1], self.kernel)(x).reshape(-1, *shape)

    def _begin(self, z: Float[Array, "batch latent"], size: tuple[int, ...]) -> Image:
        """Returns the small image that a code stands for."""
        places = math.prod(size)
        if not self.spatial:
            return nn.Dense(places * self.channels[0], kernel_init=glorot)(z).reshape(-1, *size, self.channels[0])
        if z.shape[1] % places:
            raise InputError(
                f"ResidualDecoder.spatial takes a code as an image of {size[0]} x {size[1]} places, which "
                f"{z.shape[1]} values are not: give the latent a multiple of {places} of them, or leave spatial out"
            )
        return Convolution(self.channels[0], size, 1)(z.reshape(-1, *size, z.shape[1] // places))


def _stage(part: ResidualEncoder | ResidualDecoder, size: tuple[int, ...]) -> Stage:
    """Returns the blocks of a part at one size of its maps, as the part's own fields say."""
    attention = part.attention == size[0]
    return Stage(part.blocks, part.kernel, part.activation, part.dropout, attention, part.remat)


def stage_sizes(
    shape: tuple[int, ...], channels: tuple[int, ...], strides: tuple[int, ...], attention: int
) -> list[tuple[int, ...]]:
    """Returns height and width of an image and of the maps of each stage.

    Args:
        shape: the shape of the image.
        channels: the number of channels of each stage.
        strides: by how much each stage, from the image on, divides height and width; empty: by 2 each.
        attention: the height of the maps that have self-attention; 0: there are none.

    Raises:
        InputError: for no image, and for settings that do not fit each other or the image.
    """
    require_image(shape)
    strides = strides or (2,) * len(channels)
    if not channels or len(strides) != len(channels) or min(*channels, *strides) < 1:
        raise InputError(
            f"channels is {channels} and strides is {strides}: give as many of one as of the other, at least one, and "
            "each of at least 1"
        )
    sizes = [shape[:2]]
    for stride in strides:
        sizes.append(tuple(-(-length // stride) for length in sizes[-1]))
    heights = [height for height, _ in sizes[1:]]
    if attention and attention not in heights:
        raise InputError(
            f"attention is {attention}, but the maps of images of {shape[0]} x {shape[1]} have the heights "
            f"{', '.join(map(str, heights))}: give one of these, or 0"
        )
    return sizes


def enlarged(x: Image, size: tuple[int, ...], stride: int) -> Image:
    """Returns images whose pixels are repeated along both sides, cut to a size."""
    return jnp.repeat(jnp.repeat(x, stride, axis=1), stride, axis=2)[:, : size[0], : size[1]]
