"""Trees of arrays: the bytes that they take, and the names of their leaves."""

import math
from typing import Any

import jax


def nbytes(tree: Any) -> int:
    """Of all arrays in a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """The leaves of a tree with the names of their places."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]
