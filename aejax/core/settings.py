"""Defines settings as values: frozen dataclasses whose numbers are traced and whose structure is static."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp

from aejax.core.errors import InputError
from aejax.core.pytrees import pytree

T = TypeVar("T")

Number = float | jax.Array
"""The type of a number in a setting: a float outside a compiled program, a traced scalar inside it."""

_KNOWN: dict[str, type] = {}


def static(default: Any = dataclasses.MISSING, **kwargs: Any) -> Any:
    """Declares a field that shapes the computation: changing it recompiles, and its value must be hashable."""
    return dataclasses.field(default=default, metadata={"static": True}, **kwargs)


def positive(default: Any = dataclasses.MISSING, below: float = math.inf, **kwargs: Any) -> Any:
    """Declares a number that must be above zero and less than `below`; `Experiment.resolve` refuses any other."""
    return dataclasses.field(default=default, metadata={"positive": True, "below": below}, **kwargs)


@dataclass_transform(frozen_default=True, field_specifiers=(static, positive, dataclasses.field))
def configurable(cls: type[T]) -> type[T]:
    """Makes a class a frozen dataclass and a pytree, and registers its name for experiments' JSON.

    Every field is a leaf (a traced number) or a pytree of leaves, unless it is marked `static`.
    Linen modules are frozen dataclasses already and wholly static: they only need `known`.
    """
    if not dataclasses.is_dataclass(cls) or "__dataclass_fields__" not in cls.__dict__:
        cls = dataclasses.dataclass(frozen=True)(cls)
    return known(pytree(cls))


def known(cls: type[T]) -> type[T]:
    """Registers a class under its own name, which experiments' JSON and the command line may then use.

    Raises `ValueError` where another class has the name.
    """
    other = _KNOWN.get(cls.__name__)
    if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"two classes are named {cls.__name__}, that of {cls.__module__} and that of {other.__module__}, and files "
            "tell classes by their names: give one of them another"
        )
    _KNOWN[cls.__name__] = cls
    return cls


def is_known(name: Any) -> bool:
    """Tells whether a class is registered under that name."""
    return isinstance(name, str) and name in _KNOWN


def known_class(name: str) -> type:
    """Returns the class of that name. Raises `InputError` for a name that is not registered; imports nothing."""
    if not is_known(name):
        raise InputError(
            f"the class {name!r} is not one that aejax knows: import the module that defines it (and marks it with "
            "aejax.configurable or aejax.known) first, on the command line with --import MODULE or --import FILE.py"
        )
    return _KNOWN[name]


def known_subclasses(base: type) -> list[type]:
    """Returns the registered subclasses of `base`, in order of their names and without `base` itself."""
    return [cls for _, cls in sorted(_KNOWN.items()) if issubclass(cls, base) and cls is not base]


def parts_within(value: Any) -> Iterator[Any]:
    """Yields every module and every group of settings in a tree of them: in dataclasses, dictionaries and sequences."""
    if dataclasses.is_dataclass(value):
        yield value
        inside: Iterable[Any] = [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    elif isinstance(value, dict):
        inside = value.values()
    else:
        inside = value if isinstance(value, tuple | list) else ()
    for item in inside:
        yield from parts_within(item)


def as_arrays(tree: T) -> T:
    """Turns every number in a tree into a strongly typed float32 array, so that a new value never causes a retrace."""
    convert: Callable[[Any], jax.Array] = lambda leaf: jnp.asarray(leaf, jnp.float32)  # noqa: E731
    return jax.tree.map(convert, tree)
