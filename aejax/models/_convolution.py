"""Defines the convolution of encoders and decoders, which makes images of a given size."""

import flax.linen as nn
from jax import lax
from jaxtyping import Array, Float

from aejax.models.layers import glorot

Image = Float[Array, "_ _ _ _"]
"""The type of images, `[batch, height, width, channels]`."""


class Convolution(nn.Module):
    """Convolves images to the given size, padded with zeros as evenly on both sides as possible."""

    channels: int
    """Number of channels of the output."""
    size: tuple[int, ...]
    """Height and width of the output."""
    kernel: int = 3
    """Height and width of the kernel."""
    stride: int = 1
    """Pixels between two places of the kernel: the output is smaller by this factor."""
    dilation: int = 1
    """Pixels between two values of the input after zeros are put between them: the output is larger by this factor."""
    kernel_init: nn.initializers.Initializer = glorot
    """What the kernel begins as."""

    @nn.compact
    def __call__(self, x: Image) -> Image:
        """Returns images `[batch, *size, channels]`."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.channels)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        padding = []
        for old, new in zip(x.shape[1:3], self.size, strict=True):
            total = (new - 1) * self.stride + self.kernel - ((old - 1) * self.dilation + 1)
            padding.append((total // 2, total - total // 2))
        y = lax.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            padding,
            lhs_dilation=(self.dilation, self.dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y + bias[None, None, None]
