"""Measures the bytes of trees of arrays, and names their leaves."""

import math
from typing import Any

import jax


def nbytes(tree: Any) -> int:
    """Returns how many bytes all arrays in a tree take."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """Returns the leaves of a tree, each with its path as a name, such as `encoder.kernel`."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(path_name(path), leaf) for path, leaf in leaves]


def path_name(path: Any) -> str:
    """Returns the path of a leaf, as JAX's functions of trees with paths give it, as a name: `encoder.kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")
