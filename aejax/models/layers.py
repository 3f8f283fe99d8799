"""What encoders and decoders share: activations by name, initialisation, and a stack of dense layers."""

from collections.abc import Callable
from typing import Literal

import flax.linen as nn
from jaxtyping import Array, Float

Activation = Literal["linear", "relu", "sigmoid", "tanh", "elu", "gelu", "silu", "softplus"]

glorot = nn.initializers.glorot_uniform()
"""Glorot & Bengio 2010, equation 16: Keras' default, and so that of the published examples."""


def activation(name: Activation) -> Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]:
    """The function of that name."""
    return (lambda x: x) if name == "linear" else getattr(nn, name)


class Stack(nn.Module):
    """A stack of dense layers, each with its activation: `[batch, features]` to `[batch, sizes[-1]]`."""

    sizes: tuple[int, ...]
    activation: Activation = "relu"

    @nn.compact
    def __call__(self, x: Float[Array, "batch features"]) -> Float[Array, "batch out"]:
        """Applies the layers in turn."""
        for size in self.sizes:
            x = activation(self.activation)(nn.Dense(size, kernel_init=glorot)(x))
        return x
