"""Initialises and applies functions of a Linen module, and names the axis over which a batch may be mapped."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import _convolutions  # noqa: F401 - a model's convolutions run fast inside a loop from here on
from aejax.core.examples import Examples, blank_example

T = TypeVar("T")


class Trainable(nn.Module):
    """Is a module that may change its parameters otherwise than by gradient: before training, and after each update.

    By default it hands both on to the modules among its fields, whose parameters bear the names of the fields.
    """

    @property
    def primes(self) -> bool:
        """Whether `prime` looks at examples: only then are they read."""
        return any(part.primes for part in self._inner.values())

    @nn.nowrap
    def prime(self, params: Any, examples: Examples, loss: Any) -> Any:
        """Returns the initial parameters, changed by what training examples say; it is called once, before step 0.

        Args:
            params: the module's own parameters, freshly initialised.
            examples: a sample of training examples, preprocessed as in training; the same one for every seed.
            loss: the loss that will be minimised; its likelihood says which raw output stands for which values.
        """
        return self._handed(params, lambda part, own: part.prime(own, examples, loss))

    @nn.nowrap
    def project(self, params: Any) -> Any:
        """Returns the module's own parameters, brought to where they must lie: at first, and after each update."""
        return self._handed(params, lambda part, own: part.project(own))

    @nn.nowrap
    def blank(self, shape: tuple[int, ...]) -> Examples:
        """Returns one example of zeros, enough to create a fresh state.

        `shape` is the shape of one example.
        """
        return blank_example(shape)

    @property
    def _inner(self) -> dict[str, "Trainable"]:
        held = {field.name: getattr(self, field.name, None) for field in dataclasses.fields(self)}
        held.pop("parent")
        return {name: part for name, part in held.items() if isinstance(part, Trainable)}

    @nn.nowrap
    def _handed(self, params: Any, change: Callable[["Trainable", Any], Any]) -> Any:
        inner = {name: part for name, part in self._inner.items() if name in params}
        return {**params, **{name: change(part, params[name]) for name, part in inner.items()}} if inner else params


Model = Trainable
"""The type of what is trained: any such module that its loss knows how to use."""

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


def batch_sum(tree: T) -> T:
    """Adds up arrays `[batch, ...]` over all examples of the batch, those of other devices among them.

    Whatever a part of a model or a loss keeps of a batch in a collection is made of such sums and means: then every
    device keeps the same.
    """
    return jax.tree.map(lambda leaf: _over_devices(jax.lax.psum, jnp.sum(leaf, axis=0)), tree)


def batch_mean(tree: T) -> T:
    """Takes the mean of arrays `[batch, ...]` over all examples of the batch, those of other devices among them."""
    return jax.tree.map(lambda leaf: _over_devices(jax.lax.pmean, jnp.mean(leaf, axis=0)), tree)


def batch_rows(rows: Float[Array, "n *shape"]) -> Float[Array, "n *shape"]:
    """Takes rows that each device drew from its share of the batch in turn from one device and the next.

    Then every device keeps the same rows, and they are of the whole batch.
    """
    axis = mapped_batch_axis()
    if axis is None:
        return rows
    turn = jnp.arange(len(rows)) % jax.lax.axis_size(axis) == jax.lax.axis_index(axis)
    return jax.lax.psum(jnp.where(turn.reshape(-1, *(1,) * (rows.ndim - 1)), rows, 0), axis)


def _over_devices(reduce: Callable[[Array, str], Array], array: Array) -> Array:
    axis = mapped_batch_axis()
    return array if axis is None else reduce(array, axis)
