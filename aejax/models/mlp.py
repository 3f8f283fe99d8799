"""Fully connected encoders and decoders."""

import math

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.core import known
from aejax.models.autoencoder import Decoder, Encoder
from aejax.models.layers import Hidden, Norm, Stack, glorot


@known
class MLPEncoder(Encoder):
    """Flattens the example and applies the hidden layers; without any, the features are the values themselves."""

    hidden: tuple[int, ...] = ()
    activation: Hidden = "relu"
    norm: Norm = "none"
    """What each hidden layer's values are normalised over."""
    dropout: float = 0.0
    """Share of each hidden layer's values that are dropped in training."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch features"]:
        """The last hidden layer, `[batch, hidden[-1]]`."""
        return Stack(self.hidden, self.activation, self.norm, self.dropout)(x.reshape(x.shape[0], -1), train)


@known
class MLPDecoder(Decoder):
    """The hidden layers, then a linear layer as wide as the output."""

    hidden: tuple[int, ...] = ()
    activation: Hidden = "relu"
    norm: Norm = "none"
    """What each hidden layer's values are normalised over."""
    dropout: float = 0.0
    """Share of each hidden layer's values that are dropped in training."""
    bias: float = 0.0
    """Where every bias of the output starts: logits learn faster from the log-odds of the data's mean value."""

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Raw parameters of the likelihood, `[batch, *shape]`."""
        features = Stack(self.hidden, self.activation, self.norm, self.dropout)(z, train)
        bias = nn.initializers.constant(self.bias)
        out = nn.Dense(math.prod(shape), kernel_init=glorot, bias_init=bias, name="out")
        return out(features).reshape(-1, *shape)
