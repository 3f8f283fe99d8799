"""Convolutional encoders and decoders for images `[batch, height, width, channels]` of any size."""

import math

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from aejax.errors import InputError
from aejax.models.autoencoder import Decoder, Encoder
from aejax.models.layers import Activation, activation, glorot
from aejax.pytree import known


@known
class ConvEncoder(Encoder):
    """Convolutions of stride 2, each halving height and width (rounded up), then flattened."""

    channels: tuple[int, ...] = (16, 8, 8)
    kernel: int = 3
    activation: Activation = "relu"

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch features"]:
        """The flattened feature maps. Raises `InputError` where examples are not images."""
        require_image(x.shape[1:])
        for channels in self.channels:
            x = nn.Conv(channels, (self.kernel, self.kernel), strides=2, kernel_init=glorot)(x)
            x = activation(self.activation)(x)
        return x.reshape(x.shape[0], -1)


@known
class ConvDecoder(Decoder):
    """A dense layer to a small image, then transposed convolutions that each double height and width.

    `channels` are those of the small image and of every image between it and the output. The sizes
    are the ones that a `ConvEncoder` of as many layers goes through: 28, 14, 7, 4 from the far end.
    """

    channels: tuple[int, ...] = (8, 8, 16)
    kernel: int = 3
    activation: Activation = "relu"

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Raw parameters of the likelihood, `[batch, *shape]`. Raises `InputError` where they are not images."""
        require_image(shape)
        sizes = [shape[:2]]
        for _ in self.channels:
            sizes.insert(0, (-(-sizes[0][0] // 2), -(-sizes[0][1] // 2)))
        x = nn.Dense(math.prod(sizes[0]) * self.channels[0], kernel_init=glorot)(z)
        x = activation(self.activation)(x).reshape(-1, *sizes[0], self.channels[0])
        for (height, width), channels in zip(sizes[1:], (*self.channels[1:], None), strict=True):
            x = self._double(x, channels or math.prod(shape[2:]))[:, :height, :width]
            x = x if channels is None else activation(self.activation)(x)
        return x.reshape(-1, *shape)

    def _double(self, x: jax.Array, channels: int) -> jax.Array:
        return nn.ConvTranspose(channels, (self.kernel, self.kernel), strides=(2, 2), kernel_init=glorot)(x)


def require_image(shape: tuple[int, ...]) -> None:
    """Raises `InputError` unless an example's shape is height, width, channels."""
    if len(shape) < 3:
        raise InputError(
            f"a convolutional model needs images of shape (height, width, channels), but the data's examples "
            f"have shape {shape}: use an MLP model, or image data"
        )
