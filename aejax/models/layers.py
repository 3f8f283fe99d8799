"""Defines what encoders and decoders share: activations, initialisation, normalisation, dropout, dense stacks."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, mapped_batch_axis

Activation = Literal["linear", "relu", "leaky_relu", "sigmoid", "tanh", "elu", "gelu", "silu", "softplus"]
"""The names of the activations; `linear` leaves values as they are, `leaky_relu` a fifth of those below zero."""

Hidden = Literal[Activation, "glu"]
"""The names of a hidden layer's activations, which include the gated `glu`.

A gated layer computes twice as many values, and multiplies the first half by the sigmoid of the second.
Dauphin et al. 2017, equation 1.
"""

Norm = Literal["none", "batch", "layer"]
"""The names of the normalisations that may follow a layer."""

ParamPath = tuple[str, ...]
"""The type of a place in a tree of parameters: the keys that lead there."""

glorot = nn.initializers.glorot_uniform()
"""Initialises kernels as Glorot & Bengio 2010, equation 16: Keras' default, and so that of the published examples."""


def activation(name: Hidden) -> Callable[[Float[Array, "*shape"]], Float[Array, "*out"]]:
    """Returns the activation of that name."""
    own = {"linear": lambda x: x, "leaky_relu": functools.partial(nn.leaky_relu, negative_slope=0.2)}
    return own[name] if name in own else getattr(nn, name)


def product(a: Float[Array, "rows inner"], b: Float[Array, "inner columns"]) -> Float[Array, "rows columns"]:
    """Multiplies matrices in the precision of the first one, and adds up in float32."""
    return jnp.dot(a, b.astype(a.dtype), preferred_element_type=jnp.float32)


def parameters_at(params: Mapping[str, Any], path: ParamPath) -> dict[str, Array]:
    """Returns the parameters of the layer at a path."""
    return dict(functools.reduce(operator.getitem, path, params))


class Finish(nn.Module):
    """Applies what follows a layer: normalisation, activation and dropout.

    Batch normalisation is Ioffe & Szegedy 2015, algorithms 1 and 2, over all devices that share the batch; evaluation
    uses running averages, which are kept in the state's collections. Layer normalisation, over the last axis, is Ba
    et al. 2016, equation 4. Dropout is Srivastava et al. 2014, scaled up in training so that evaluation needs nothing.
    """

    activation: Hidden = "relu"
    norm: Norm = "none"
    """The normalisation, by name."""
    dropout: float = 0.0
    """Share of the values that are set to zero in training."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch *out"]:
        """Returns values of the same shape, or of half the last axis for `glu`.

        Raises `InputError` where the share dropped is not in [0, 1).
        """
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}: give a share of at least 0 and below 1")
        if self.norm == "batch":
            x = nn.BatchNorm(use_running_average=not train, axis_name=mapped_batch_axis())(x)
        elif self.norm == "layer":
            x = nn.LayerNorm()(x)
        return nn.Dropout(self.dropout, deterministic=not train)(activation(self.activation)(x))


class Stack(nn.Module):
    """Applies dense layers in turn, each with its `Finish`: `[*batch, features]` to `[*batch, sizes[-1]]`."""

    sizes: tuple[int, ...]
    """Width of each layer."""
    activation: Hidden = "relu"
    norm: Norm = "none"
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "*batch features"], train: bool = False) -> Float[Array, "*batch out"]:
        """Returns the output of the last layer."""
        doubled = 2 if self.activation == "glu" else 1
        for size in self.sizes:
            dense = nn.Dense(doubled * size, kernel_init=glorot)
            x = Finish(self.activation, self.norm, self.dropout)(dense(x), train)
        return x


def stacked(sizes: tuple[int, ...]) -> tuple[ParamPath, ...]:
    """Returns the paths, in the parameters of a `Stack` of these sizes, of its dense layers."""
    return tuple((f"Dense_{number}",) for number in range(len(sizes)))
