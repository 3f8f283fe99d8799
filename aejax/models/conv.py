"""Defines convolutional encoders and decoders for images `[batch, height, width, channels]` of any size."""

import math
from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.core import InputError, known
from aejax.models._convolution import Convolution
from aejax.models.autoencoder import Decoder, Encoder
from aejax.models.layers import Activation, Finish, Norm, glorot


@known
class ConvEncoder(Encoder):
    """Applies convolutions of stride 2, each halving height and width (rounded up), and flattens the result."""

    of_images: ClassVar[bool] = True
    channels: tuple[int, ...] = (16, 8, 8)
    """Number of channels after each convolution."""
    kernel: int = 3
    """Height and width of every kernel."""
    activation: Activation = "relu"
    """The function after each convolution, by name."""
    norm: Norm = "none"
    """Normalisation of each hidden image: none, over the batch, or over the channels of each pixel (`layer`)."""
    dropout: float = 0.0
    """Share of each hidden image's values that are set to zero in training."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch features"]:
        """Returns the flattened feature maps. Raises `InputError` where examples are not images."""
        require_image(x.shape[1:])
        for channels in self.channels:
            size = halved(x.shape[1:3])
            x = Convolution(channels, size, self.kernel, stride=2)(x)
            x = Finish(self.activation, self.norm, self.dropout)(x, train)
        return x.reshape(x.shape[0], -1)


@known
class ConvDecoder(Decoder):
    """Applies a dense layer to a small image, then transposed convolutions that each double height and width.

    The sizes are those that a `ConvEncoder` of as many layers goes through, in reverse: 4, 7, 14, 28 for images of
    28 x 28 and three layers.
    """

    of_images: ClassVar[bool] = True
    channels: tuple[int, ...] = (8, 8, 16)
    """Number of channels of the small image, and of every image between it and the output."""
    kernel: int = 3
    """Height and width of every kernel."""
    activation: Activation = "relu"
    """The function before each convolution, by name."""
    norm: Norm = "none"
    """Normalisation of each hidden image: none, over the batch, or over the channels of each pixel (`layer`)."""
    dropout: float = 0.0
    """Share of each hidden image's values that are set to zero in training."""

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
            InputError: where the output is not an image.
        """
        require_image(shape)
        sizes = [shape[:2]]
        for _ in self.channels:
            sizes.insert(0, halved(sizes[0]))
        x = nn.Dense(math.prod(sizes[0]) * self.channels[0], kernel_init=glorot)(z)
        x = x.reshape(-1, *sizes[0], self.channels[0])
        for size, channels in zip(sizes[1:], (*self.channels[1:], math.prod(shape[2:])), strict=True):
            x = Finish(self.activation, self.norm, self.dropout)(x, train)
            x = Convolution(channels, size, self.kernel, dilation=2)(x)
        return x.reshape(-1, *shape)


def halved(size: tuple[int, ...]) -> tuple[int, ...]:
    """Returns half of each length, rounded up."""
    return tuple(-(-length // 2) for length in size)


def require_image(shape: tuple[int, ...]) -> None:
    """Raises `InputError` unless the shape of an example has the axes height, width and channels."""
    if len(shape) < 3:
        raise InputError(
            f"a convolutional model needs images of shape (height, width, channels), but the data's examples "
            f"have shape {shape}: use an MLP model, or image data"
        )
