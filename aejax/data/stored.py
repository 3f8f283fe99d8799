"""Keeps examples on disk: an array in a .npy file, of which only the rows that are asked for are read."""

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import jax
import numpy as np

from aejax.core import BUFFER, Examples, InputError

_log = logging.getLogger("aejax")

_CHUNK = 2**22  # bytes in memory at once during a pass over a whole part


@dataclass(frozen=True, eq=False)
class Rows:
    """Stands for rows of a .npy file, which are read when they are indexed; in all else it is like an array.

    Each row is read by a call of its own. A mapped file would be no faster when it has more rows than fit in memory,
    its pages would count as memory of the process, and it would end the process if it were cut short meanwhile.
    """

    path: Path
    start: int
    """The number of bytes before the first row."""
    dtype: np.dtype
    row_shape: tuple[int, ...]
    low: float
    """A bound below which no value lies."""
    high: float
    """A bound above which no value lies."""
    index: np.ndarray
    """The numbers of the rows in the file, in the order in which they stand here."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape of an array of all rows."""
        return (len(self.index), *self.row_shape)

    @property
    def nbytes(self) -> int:
        """Returns how many bytes an array of all rows takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.index)

    def __getitem__(self, which: int | slice | np.ndarray) -> np.ndarray:
        """Reads the given rows. Raises `InputError` where the file has become shorter or cannot be read."""
        index = np.asarray(self.index[which])
        size = math.prod(self.row_shape) * self.dtype.itemsize
        try:
            with self.path.open("rb", buffering=0) as file:
                places = (self.start + size * index.reshape(-1)).tolist()
                content = bytearray().join([os.pread(file.fileno(), size, place) for place in places])
        except OSError as error:
            raise InputError(f"{self.path} cannot be read any more ({error.strerror}): pack the data again") from error
        if len(content) != size * index.size:
            raise InputError(f"{self.path} has become shorter while it was read: pack the data again")
        return np.frombuffer(content, self.dtype).reshape(*index.shape, *self.row_shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads all rows into an array."""
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def take(self, index: np.ndarray, axis: Literal[0] = 0) -> Self:
        """Returns the given rows, still on disk."""
        return replace(self, index=self.index[index])

    def min(self) -> float:
        """Returns a bound below which no value of the file lies."""
        return self.low

    def max(self) -> float:
        """Returns a bound above which no value of the file lies."""
        return self.high


@dataclass(frozen=True)
class Stored(Examples):
    """Holds a part on disk. What is taken of it stays there; its labels, four bytes for each example, are in memory."""

    x: Rows

    def take(self, index: Any) -> "Stored":
        """Returns the examples at `index`, in that order, still on disk."""
        return Stored(**jax.tree.map(lambda rows: rows.take(index, axis=0), vars(self)))

    def read(self) -> Examples:
        """Reads all examples into memory."""
        return Examples(**jax.tree.map(np.asarray, vars(self)))

    def within(self, gigabytes: float = BUFFER) -> Examples:
        """Reads the examples into memory; if they take more than so many gigabytes, as many as fit, spread evenly."""
        fitting = len(self) if self.x.nbytes <= 1e9 * gigabytes else int(len(self) * 1e9 * gigabytes / self.x.nbytes)
        if fitting < len(self):
            _log.warning("of the %d examples in %s, %d that fit in memory are used", len(self), self.x.path, fitting)
        return self.at_most(fitting).read()


def chunk_slices(x: np.ndarray | Rows) -> Iterator[slice]:
    """Yields slices of a few megabytes each, which together cover all examples in order."""
    size = max(1, _CHUNK * len(x) // max(x.nbytes, 1))
    return (slice(start, min(start + size, len(x))) for start in range(0, len(x), size))


def chunks(x: np.ndarray | Rows) -> Iterator[np.ndarray]:
    """Yields all examples, a few megabytes at a time."""
    return (x[few] for few in chunk_slices(x))
