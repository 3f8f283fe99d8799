"""Structures of two classes are never equal, whatever their fields."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from aejax.core import pytree, static
from aejax.core.settings import _KNOWN
from aejax.losses import Term


@pytree
@dataclasses.dataclass(frozen=True)
class Left:
    x: float
    way: str = static("a")


@pytree
@dataclasses.dataclass(frozen=True)
class Right:
    x: float
    way: str = static("a")


def test_structures_of_two_classes_with_the_same_fields_differ():
    """Those of `jax.tree_util.register_dataclass` do not: their hashes alone keep a program for one from the other."""
    left, right = jax.tree.structure(Left(1.0)), jax.tree.structure(Right(1.0))
    assert left == jax.tree.structure(Left(2.0))
    assert left != right
    assert jax.tree.structure({"a": Left(1.0)}) != jax.tree.structure({"a": Right(1.0)})
    assert left != jax.tree.structure(Left(1.0, "b"))


def test_no_two_settings_and_terms_have_equal_structures():
    made = []
    for cls in _KNOWN.values():
        try:
            made.append(jax.tree.structure(cls()))
        except TypeError:
            continue  # a field without a default
    assert len(made) > 40
    names = [cls for cls in _KNOWN.values() if issubclass(cls, Term)]
    assert len(names) > 10
    leaves = [tree for tree in made if tree.num_nodes > 1]
    assert not [pair for pair in itertools.combinations(leaves, 2) if pair[0] == pair[1]]


def test_it_comes_back_and_its_leaves_are_named():
    value = Left(np.float32(3.0), "b")
    leaves, structure = jax.tree.flatten(value)
    assert leaves == [3.0]
    assert jax.tree.unflatten(structure, leaves) == value
    ((path, _),) = jax.tree_util.tree_leaves_with_path(value)
    assert jax.tree_util.keystr(path) == ".x"


def test_a_class_is_registered_once():
    with pytest.raises(ValueError, match="Duplicate custom PyTreeDef type registration"):
        pytree(Left)
