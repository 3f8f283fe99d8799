"""How a function of a Linen module is initialised and applied, and the axis over which a batch may be mapped."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

Model = nn.Module
"""What is trained: any Linen module that its loss knows how to use."""

Variables = Mapping[str, Any]
"""Linen's variables: `params`, and the mutable collections by name."""


def init_variables(
    function: Callable[..., Any], model: nn.Module, keys: Mapping[str, jax.Array], *args: Any
) -> Variables:
    """Creates the variables that `function(model, *args)` touches, from a `params` key and the streams'."""
    return nn.init(function, model)(dict(keys), *args)


def apply(
    function: Callable[..., Any],
    model: nn.Module,
    variables: Variables,
    keys: Mapping[str, jax.Array],
    *args: Any,
    mutable: bool = False,
) -> tuple[Any, Variables]:
    """`function(model, *args)` with these variables bound, and the collections as it left them."""
    collections = {name: value for name, value in variables.items() if name != "params"}
    if not mutable:
        return nn.apply(function, model)(variables, *args, rngs=dict(keys)), collections
    return nn.apply(function, model, mutable=list(collections))(variables, *args, rngs=dict(keys))


BATCH_AXIS = "batch"
"""The name of the axis over which a batch is mapped, where it is: each share of it is another device's."""


def mapped_batch_axis() -> str | None:
    """The axis to take statistics of the whole batch over, where it is mapped."""
    try:
        jax.lax.axis_size(BATCH_AXIS)
    except NameError:
        return None
    return BATCH_AXIS
