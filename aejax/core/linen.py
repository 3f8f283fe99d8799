"""Initialises and applies functions of a Linen module, and names the axis over which a batch may be mapped."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

from aejax.core import _convolutions  # noqa: F401 - a model's convolutions run fast inside a loop from here on

Model = nn.Module
"""The type of what is trained: any Linen module that its loss knows how to use."""

Variables = Mapping[str, Any]
"""The type of Linen's variables: `params`, and the mutable collections by name."""


def init_variables(
    function: Callable[..., Any], model: nn.Module, keys: Mapping[str, jax.Array], *args: Any
) -> Variables:
    """Creates the variables that `function(model, *args)` uses.

    Args:
        function: called with the module, bound, and `args`.
        model: the module.
        keys: a key named `params`, and the keys of the streams that the function draws from.
        args: the function's other arguments.
    """
    return nn.init(function, model)(dict(keys), *args)


def apply(
    function: Callable[..., Any],
    model: nn.Module,
    variables: Variables,
    keys: Mapping[str, jax.Array],
    *args: Any,
    mutable: bool = False,
) -> tuple[Any, Variables]:
    """Calls `function(model, *args)` with the model bound to its variables.

    Args:
        function: called with the bound module and `args`.
        model: the module.
        variables: the module's variables.
        keys: the keys of the streams that the function draws from, by name.
        args: the function's other arguments.
        mutable: whether the function may change the collections other than `params`.

    Returns:
        The function's result, and the collections as the function left them.
    """
    collections = {name: value for name, value in variables.items() if name != "params"}
    if not mutable:
        return nn.apply(function, model)(variables, *args, rngs=dict(keys)), collections
    return nn.apply(function, model, mutable=list(collections))(variables, *args, rngs=dict(keys))


BATCH_AXIS = "batch"
"""Name of the axis over which a batch is mapped when several devices share it, each with its own examples."""


def mapped_batch_axis() -> str | None:
    """Returns the name of the axis over which the batch is mapped, or None where it is not mapped.

    Statistics of the whole batch are taken over this axis too.
    """
    try:
        jax.lax.axis_size(BATCH_AXIS)
    except NameError:
        return None
    return BATCH_AXIS
