"""Defines the convolution of encoders and decoders, whose gradients XLA's CPU compiler runs fast inside a loop.

On a CPU, XLA's passes bring the layouts of convolutions into the one form that has a fast kernel, but not inside the
body of a loop, where the steps of an epoch are. So the two gradients are written here in that form: images `[batch,
height, width, channels]` and kernels `[height, width, in, out]`. Accelerators get JAX's own gradients, in which their
compilers look for the gradients of a convolution.
"""

from functools import partial

import flax.linen as nn
import jax
from jax import lax
from jaxtyping import Array, Float

from aejax.models.layers import glorot

Padding = tuple[tuple[int, int], ...]
"""The zeros before and after each of the two axes of an image."""

Image = Float[Array, "_ _ _ _"]
"""The type of images, `[batch, height, width, channels]`."""

Kernel = Float[Array, "_ _ _ _"]
"""The type of kernels, `[height, width, in, out]`."""


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

    @nn.compact
    def __call__(self, x: Image) -> Image:
        """Returns images `[batch, *size, channels]`."""
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
    """Correlates images, with `dilation - 1` zeros put between their pixels, with a kernel.

    A stride makes the image smaller; a dilation makes it larger (a transposed convolution).
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
    """Returns the gradients with respect to images and kernel, in the form that suits the platform."""
    one_form, own = (partial(gradients, stride, padding, dilation) for gradients in (_in_one_form, _own))
    return lax.platform_dependent(*saved, gradient, cpu=one_form, default=own)


def _own(
    stride: int, padding: Padding, dilation: int, x: Image, kernel: Kernel, gradient: Image
) -> tuple[Image, Kernel]:
    """Returns the gradients that JAX derives."""
    _, pull = jax.vjp(lambda x, kernel: _convolve(x, kernel, stride, padding, dilation), x, kernel)
    return pull(gradient)


def _in_one_form(
    stride: int, padding: Padding, dilation: int, x: Image, kernel: Kernel, gradient: Image
) -> tuple[Image, Kernel]:
    """Returns the gradients as convolutions in the form of the forward one.

    For both, stride and dilation change places; for the kernel's, so do the axes of batch and channels.
    """
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
