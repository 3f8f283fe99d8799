"""One convolution for encoders and decoders, whose gradients XLA's CPU compiler runs fast inside a loop.

Its passes bring the layouts of convolutions into the one form that has a fast kernel, but not those
inside the body of a loop, which is where an epoch's are. So the two gradients are written out here
in that form: `[batch, height, width, channels]` and kernels `[height, width, in, out]`.
"""

from functools import partial

import flax.linen as nn
import jax
from jax import lax
from jaxtyping import Array, Float

from aejax.models.layers import glorot

Padding = tuple[tuple[int, int], ...]

Image = Float[Array, "_ _ _ _"]
"""`[batch, height, width, channels]`."""

Kernel = Float[Array, "_ _ _ _"]
"""`[height, width, in, out]`."""


class Convolution(nn.Module):
    """A convolution to an image of the given size, padded with zeros on all sides as evenly as it goes."""

    channels: int
    size: tuple[int, ...]
    kernel: int = 3
    stride: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, x: Image) -> Image:
        """`[batch, *size, channels]`: smaller by the stride, or larger by the dilation."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.channels)
        kernel = self.param("kernel", glorot, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,))
        padding = []
        for old, new in zip(x.shape[1:3], self.size, strict=True):
            total = (new - 1) * self.stride + self.kernel - ((old - 1) * self.dilation + 1)
            padding.append((total // 2, total - total // 2))
        return convolve(x, kernel, self.stride, tuple(padding), self.dilation) + bias[None, None, None]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(x: Image, kernel: Kernel, stride: int, padding: Padding, dilation: int) -> Image:
    """Correlates `x`, with `dilation - 1` zeros put between its pixels, with `kernel`.

    With a stride it shrinks the image; with a dilation it enlarges it (a transposed convolution).
    """
    return _convolve(x, kernel, stride, padding, dilation)


def _convolve(
    x: Image, kernel: Kernel, stride: int, padding: Padding, dilation: int, kernel_dilation: int = 1
) -> Image:
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        lhs_dilation=(dilation, dilation),
        rhs_dilation=(kernel_dilation, kernel_dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _forward(
    x: Image, kernel: Kernel, stride: int, padding: Padding, dilation: int
) -> tuple[Image, tuple[Image, Kernel]]:
    return convolve(x, kernel, stride, padding, dilation), (x, kernel)


def _backward(
    stride: int, padding: Padding, dilation: int, saved: tuple[Image, Kernel], gradient: Image
) -> tuple[Image, Kernel]:
    """Both gradients are convolutions too: stride and dilation change places, batch and channels do."""
    x, kernel = saved
    to_x, to_kernel = [], []
    for axis, (before, _) in enumerate(padding, start=1):
        dilated = (x.shape[axis] - 1) * dilation + 1
        covered = (gradient.shape[axis] - 1) * stride
        size = kernel.shape[axis - 1]
        to_x.append((size - 1 - before, dilated - 1 - covered + before))
        to_kernel.append((before, size + covered - dilated - before))
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    for_x = _convolve(gradient, flipped, dilation, tuple(to_x), stride)
    swapped = _convolve(
        x.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3), 1, tuple(to_kernel), dilation, kernel_dilation=stride
    )
    return for_x, swapped.transpose(1, 2, 0, 3)


convolve.defvjp(_forward, _backward)
