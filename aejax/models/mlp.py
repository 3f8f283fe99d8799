"""Defines fully connected encoders and decoders."""

import math

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.core import known
from aejax.models import traits
from aejax.models._start import BiasedDecoder, Start
from aejax.models.autoencoder import Encoder
from aejax.models.layers import Hidden, Norm, ParamPath, Stack, glorot, stacked
from aejax.models.traits import Trait


@known
class MLPEncoder(Encoder):
    """Flattens examples and applies hidden layers; without any, the features are the values themselves."""

    hidden: tuple[int, ...] = ()
    """Width of each hidden layer."""
    activation: Hidden = "relu"
    """The function after each hidden layer, by name."""
    norm: Norm = "none"
    """Normalisation of each hidden layer: none, over the batch, or over the layer's values of each example."""
    dropout: float = 0.0
    """Share of each hidden layer's values that are set to zero in training."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """Whether the layers are dense ones that are not gated, and whether there are none."""
        stack = () if self.activation == "glu" else (traits.DENSE_STACK,)
        return stack if self.hidden else (*stack, traits.NO_LAYERS)

    @property
    def dense(self) -> tuple[ParamPath, ...]:
        """The paths of the hidden layers."""
        return _hidden(self.hidden)

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch features"]:
        """Returns the values of the last hidden layer, `[batch, hidden[-1]]`."""
        return Stack(self.hidden, self.activation, self.norm, self.dropout)(x.reshape(x.shape[0], -1), train)


@known
class MLPDecoder(BiasedDecoder):
    """Applies hidden layers, then a linear layer as wide as the output."""

    hidden: tuple[int, ...] = ()
    """Width of each hidden layer."""
    activation: Hidden = "relu"
    """The function after each hidden layer, by name."""
    norm: Norm = "none"
    """Normalisation of each hidden layer: none, over the batch, or over the layer's values of each example."""
    dropout: float = 0.0
    """Share of each hidden layer's values that are set to zero in training."""
    bias: float = 0.0
    """Initial value of every output bias: logits learn faster from the log-odds of the data's mean value."""
    start: Start = "constant"
    """What the output biases start at: `bias`, or the raw output for the mean or the geometric median of the data."""

    @property
    def dense(self) -> tuple[ParamPath, ...]:
        """The paths of the hidden layers and of the output's."""
        return (*_hidden(self.hidden), ("out",))

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Returns the raw parameters of the likelihood, `[batch, *shape]`.

        Args:
            z: the codes.
            shape: the shape of the output for one example.
            train: whether the model is being trained.
        """
        features = Stack(self.hidden, self.activation, self.norm, self.dropout)(z, train)
        bias = nn.initializers.constant(self.bias)
        out = nn.Dense(math.prod(shape), kernel_init=glorot, bias_init=bias, name="out")
        return out(features).reshape(-1, *shape)


def _hidden(sizes: tuple[int, ...]) -> tuple[ParamPath, ...]:
    return tuple(("Stack_0", *path) for path in stacked(sizes))
