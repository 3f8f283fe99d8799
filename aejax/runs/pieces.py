"""Writes arrays that processes hold in pieces, each process its own, and joins the pieces on any number of them.

A piece is an array in the file of one process. Its name has the axis along which the whole is divided, and where on it
the piece begins: `state.params.decoder.out.kernel[1:256]`. The first process writes what all of them have whole, too.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aejax.core import named_leaves
from aejax.runs.array_file import named_arrays, read_arrays


def in_pieces(tree: Any) -> bool:
    """Tells whether there is an array in a tree of which this process has no more than a part."""
    leaves = (leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array))
    return not all(leaf.is_fully_addressable or leaf.is_fully_replicated for leaf in leaves)


def named_pieces(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Copies to the host what this process is to write of named parts, by the names of arrays and of pieces."""
    whole, divided = dict[str, Any](), dict[str, jax.Array]()
    for name, leaf in named_leaves(dict(parts)):
        (divided if in_pieces(leaf) else whole)[name] = leaf
    arrays = named_arrays(whole) if jax.process_index() == 0 else {}
    for name, leaf in divided.items():
        for shard in leaf.addressable_shards:
            if shard.replica_id == 0:
                axis = next(axis for axis, size in enumerate(shard.data.shape) if size < leaf.shape[axis])
                arrays[f"{name}[{axis}:{shard.index[axis].start or 0}]"] = np.asarray(shard.data)
    return arrays


@dataclass(frozen=True)
class Joined:
    """Reads as an array that lies in several parts along an axis, and takes memory for what is read alone."""

    parts: tuple[np.ndarray, ...]
    starts: tuple[int, ...]
    """Where each part begins on the axis."""
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole array."""
        last = self.parts[-1].shape
        return (*last[: self.axis], self.starts[-1] + last[self.axis], *last[self.axis + 1 :])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers."""
        return self.parts[0].dtype

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        """Copies what lies at an index of one slice for each axis."""
        first, stop, _ = index[self.axis].indices(self.shape[self.axis])
        along = (slice(max(first - start, 0), max(stop - start, 0)) for start in self.starts)
        before, after = index[: self.axis], index[self.axis + 1 :]
        cuts = [part[*before, here, *after] for part, here in zip(self.parts, along, strict=True)]
        return np.concatenate(cuts, self.axis)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Copies the whole array."""
        return np.concatenate(self.parts, self.axis)


def join_pieces(paths: Iterable[Path]) -> dict[str, Any]:
    """Reads the files of several processes, which are mapped, and returns the arrays by their names.

    Raises `ValueError` where a file is damaged, or a piece is missing.
    """
    arrays, pieces = dict[str, Any](), defaultdict[tuple[str, int], dict[int, np.ndarray]](dict)
    for path in paths:
        for key, array in read_arrays(path, mapped=True)[0].items():
            name, _, place = key.partition("[")
            if place:
                axis, start = map(int, place.removesuffix("]").split(":"))
                pieces[name, axis][start] = array
            else:
                arrays[name] = np.array(array)  # no view of a file that may be removed
    for (name, axis), found in pieces.items():
        starts, parts = zip(*sorted(found.items()), strict=True)
        ends = accumulate(part.shape[axis] for part in parts)
        if [*starts] != [0, *ends][:-1] or name in arrays:
            raise ValueError(f"pieces of {name:.60} are missing")
        arrays[name] = Joined(parts, starts, axis)
    return arrays
