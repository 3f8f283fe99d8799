"""What encoders and decoders share: activations by name, initialisation, what follows a layer, a stack of them."""

from collections.abc import Callable
from typing import Literal

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.core import InputError, mapped_batch_axis

Activation = Literal["linear", "relu", "sigmoid", "tanh", "elu", "gelu", "silu", "softplus"]

Hidden = Literal[Activation, "glu"]
"""A hidden layer may also be gated: the first half of twice as many values, times the sigmoid of the second.
Dauphin et al. 2017, equation 1."""

Norm = Literal["none", "batch", "layer"]

glorot = nn.initializers.glorot_uniform()
"""Glorot & Bengio 2010, equation 16: Keras' default, and so that of the published examples."""


def activation(name: Hidden) -> Callable[[Float[Array, "*shape"]], Float[Array, "*out"]]:
    """The function of that name."""
    return (lambda x: x) if name == "linear" else getattr(nn, name)


class Finish(nn.Module):
    """What follows a layer: normalisation over the last axis, activation, dropout.

    Batch: Ioffe & Szegedy 2015, algorithms 1 and 2, over all devices that share the batch; running
    averages, kept in the state's collections, take its place in evaluation. Layer: Ba et al. 2016,
    equation 4. Dropout: Srivastava et al. 2014, scaled up in training so that evaluation needs nothing.
    """

    activation: Hidden = "relu"
    norm: Norm = "none"
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch *out"]:
        """The same shape, or gated half of the last axis. Raises `InputError` for a share dropped outside [0, 1)."""
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}: give a share of at least 0 and below 1")
        if self.norm == "batch":
            x = nn.BatchNorm(use_running_average=not train, axis_name=mapped_batch_axis())(x)
        elif self.norm == "layer":
            x = nn.LayerNorm()(x)
        return nn.Dropout(self.dropout, deterministic=not train)(activation(self.activation)(x))


class Stack(nn.Module):
    """A stack of dense layers, each with its finish: `[batch, features]` to `[batch, sizes[-1]]`."""

    sizes: tuple[int, ...]
    activation: Hidden = "relu"
    norm: Norm = "none"
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "batch features"], train: bool = False) -> Float[Array, "batch out"]:
        """Applies the layers in turn."""
        doubled = 2 if self.activation == "glu" else 1
        for size in self.sizes:
            dense = nn.Dense(doubled * size, kernel_init=glorot)
            x = Finish(self.activation, self.norm, self.dropout)(dense(x), train)
        return x
