"""Makes dataclasses pytrees, so that two classes are never taken for each other."""

import dataclasses
from typing import Any, TypeVar

import jax
from jax.tree_util import GetAttrKey

T = TypeVar("T")


def pytree(cls: type[T]) -> type[T]:
    """Registers a dataclass as a pytree: each field is a subtree, or part of the structure where it is `static`.

    `jax.tree_util.register_dataclass` would do the same and be quicker, but the structures that it makes (jaxlib
    0.10.2) compare as equal where the classes differ and the fields do not. Their hashes differ, so that a compiled
    function nearly always finds its own program for each; where the few bits agree by which a table of hashes is
    searched, it runs the other class's. The structures of `register_pytree_with_keys` compare their classes too.

    Raises `ValueError` for a class that is registered already.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    structure = tuple(field.name for field in fields if field.init and field.metadata.get("static", False))
    subtrees = tuple(field.name for field in fields if field.init and not field.metadata.get("static", False))
    keys = tuple(map(GetAttrKey, subtrees))

    def flatten(value: T) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(value, name) for name in subtrees), tuple(getattr(value, name) for name in structure)

    def flatten_with_keys(value: T) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        found, static = flatten(value)
        return tuple(zip(keys, found, strict=True)), static

    def unflatten(static: tuple[Any, ...], found: Any) -> T:
        return cls(**dict(zip(structure, static, strict=True)), **dict(zip(subtrees, found, strict=True)))

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
