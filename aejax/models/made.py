"""Defines MADE, a masked dense network: what it says of each dimension depends on the dimensions before it alone.

Germain et al. 2015 (MADE: masked autoencoder for distribution estimation). What its outputs mean is said by whoever
uses them: logits of the next value, or the shift and scale of a flow.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.linen.initializers import Initializer
from jaxtyping import Array, Float, Int, Num

from aejax.core import InputError
from aejax.models.layers import Activation, activation, glorot


class MaskedDense(nn.Module):
    """Applies a dense layer without the weights that a mask leaves out, and adds a dense layer of a context."""

    size: int
    """Number of outputs."""
    start: Initializer = glorot
    """What the kernels start at; the biases start at zero."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*batch inputs"],
        mask: Float[Array, "inputs outputs"],
        context: Float[Array, "*examples context"] | None = None,
    ) -> Float[Array, "*batch outputs"]:
        """Returns the layer's outputs.

        Args:
            x: the inputs.
            mask: 1 for each weight that is used, 0 for each that is not.
            context: what all outputs may depend on; the axes before its last one are the last ones of `x` before its
                last, so that a context of each example serves several codes of it. None: nothing.
        """
        kernel = self.param("kernel", self.start, mask.shape)
        bias = self.param("bias", nn.initializers.zeros, (self.size,))
        made = jnp.dot(x, kernel * mask.astype(kernel.dtype))
        if context is not None:
            added = nn.Dense(self.size, use_bias=False, kernel_init=self.start, name="context")(context)
            made = made + jnp.broadcast_to(added, made.shape)
        return made + jnp.broadcast_to(bias, made.shape)


class MADE(nn.Module):
    """Computes several outputs for each dimension from the dimensions that come before it, and from a context.

    The first dimension's outputs depend on the context alone. Every hidden unit has a degree, the number of dimensions
    that it may see, and passes on only to units of its own degree and above (equations 8 to 13); degrees are spread
    evenly over a layer, so that they need no draw. Without hidden layers it is a masked linear map.
    """

    outputs: int = 1
    """Number of outputs for each dimension."""
    hidden: tuple[int, ...] = (64,)
    """Width of each hidden layer."""
    activation: Activation = "relu"
    """The function after each hidden layer, by name."""
    order: tuple[int, ...] | Literal["natural", "reversed"] = "natural"
    """The dimensions in the order in which each is given those before it: numbers from 0, or by name from the first to
    the last one or from the last to the first.
    """
    start: Initializer = glorot
    """What the kernels of the last layer start at."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch size features"], context: Float[Array, "*examples context"] | None = None
    ) -> Float[Array, "*batch size outputs"]:
        """Returns the outputs of every dimension.

        Args:
            x: the dimensions, each by one feature or several, as a number, a one-hot code or an embedding.
            context: what all outputs may depend on; the axes before its last one are the last ones of `x` before its
                last two. None: nothing.

        Raises:
            InputError: where `order` does not name every dimension once.
        """
        *batch, size, features = x.shape
        *below, last = self.masks(size, features, context is not None)
        seen = x.reshape(*batch, size * features)
        for width, mask in zip(self.hidden, below, strict=True):
            seen = activation(self.activation)(MaskedDense(width)(seen, mask, context))
        made = MaskedDense(size * self.outputs, self.start, name="out")(seen, last, context)
        return made.reshape(*batch, size, self.outputs)

    @nn.nowrap
    def masks(self, size: int, features: int, conditional: bool = False) -> list[Float[Array, "inputs outputs"]]:
        """Returns the mask of each layer, the outputs' last.

        Args:
            size: the number of dimensions.
            features: the number of features of each.
            conditional: whether there is a context, so that hidden units may see no dimension.

        Raises:
            InputError: where `order` does not name every dimension once.
        """
        before = np.empty(size, int)
        before[list(self.turns(size))] = np.arange(size)
        degrees = [np.repeat(before + 1, features)]
        least = 0 if conditional or size == 1 else 1
        degrees += [np.round(np.linspace(least, size - 1, width)).astype(int) for width in self.hidden]
        above = [*degrees[1:], np.repeat(before, self.outputs)]
        return [_mask(low, high) for low, high in zip(degrees, above, strict=True)]

    @nn.nowrap
    def layers(self, params: Mapping[str, Any], size: int, features: int) -> list[tuple[Array, Array]]:
        """Returns the masked kernel and the bias of each layer of a network without a context, the outputs' last.

        Args:
            params: the network's parameters.
            size: the number of dimensions.
            features: the number of features of each.
        """
        held = [params[name] for name in (*(f"MaskedDense_{number}" for number in range(len(self.hidden))), "out")]
        masks = self.masks(size, features)
        return [(layer["kernel"] * mask, layer["bias"]) for layer, mask in zip(held, masks, strict=True)]

    @nn.nowrap
    def turns(self, size: int) -> tuple[int, ...]:
        """Returns the dimensions in their order. Raises `InputError` where it does not name every dimension once."""
        if isinstance(self.order, str):
            return tuple(range(size)) if self.order == "natural" else tuple(reversed(range(size)))
        if sorted(self.order) != list(range(size)):
            raise InputError(
                f"the order {self.order} does not name each of {size} dimensions once: give 0 to {size - 1}"
            )
        return self.order

    def fill(
        self,
        start: Num[Array, "*batch size"],
        choose: Callable[["MADE", Array, Int[Array, ""]], Num[Array, "*batch"]],
    ) -> Num[Array, "*batch size"]:
        """Sets the dimensions one after the other, each given those before it, as a draw needs it.

        Args:
            start: values of all dimensions, of which none is kept.
            choose: gives the values of one dimension, called with the network, the values so far and the dimension's
                number; it asks the network for outputs, of which those of this dimension are final.
        """

        def set_next(network: "MADE", values: Array, place: Int[Array, ""]) -> tuple[Array, None]:
            return values.at[..., place].set(choose(network, values, place)), None

        scan = nn.scan(set_next, variable_broadcast="params", split_rngs={"params": False})
        return scan(self, start, jnp.asarray(self.turns(start.shape[-1])))[0]


def _mask(below: Int[np.ndarray, " inputs"], above: Int[np.ndarray, " outputs"]) -> Float[Array, "inputs outputs"]:
    """Returns 1 where a unit may see one of the layer below: where its degree is at least as high."""
    return jnp.asarray(above[None] >= below[:, None], jnp.float32)
