"""Examples that stay on disk: an array in a .npy file of which only the rows that are asked for are read."""

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from aejax.core import BUFFER, Examples, InputError

_log = logging.getLogger("aejax")

_CHUNK = 2**22  # bytes that a pass over a whole part holds at once


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a .npy file, which are read where they are indexed; in all else like an array.

    Each row is a read of its own. A mapped file is no faster over more rows than memory holds, counts as
    memory of the process page by page, and where it is cut short meanwhile ends the process.
    """

    path: Path
    start: int
    """Bytes before the first row."""
    dtype: np.dtype
    row_shape: tuple[int, ...]
    low: float
    high: float
    """No value is lower, none higher."""
    index: np.ndarray
    """Which rows of the file, in which order."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array's."""
        return (len(self.index), *self.row_shape)

    @property
    def nbytes(self) -> int:
        """That an array of them takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.index)

    def __getitem__(self, which: int | slice | np.ndarray) -> np.ndarray:
        """Those rows in memory. Raises `InputError` where the file has become shorter or cannot be read."""
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
        """All of them in memory."""
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def take(self, index: np.ndarray) -> Self:
        """Those rows, still on disk."""
        return replace(self, index=self.index[index])

    def min(self) -> float:
        """What no value is below."""
        return self.low

    def max(self) -> float:
        """What no value is above."""
        return self.high


@dataclass(frozen=True)
class Stored(Examples):
    """A part on disk. What is taken of it stays there; its labels, four bytes an example, are in memory."""

    x: Rows
    label: np.ndarray | None = None

    def take(self, index: Any) -> "Stored":
        """The examples at `index`, in that order, unread."""
        return Stored(self.x.take(index), None if self.label is None else self.label[index])

    def read(self) -> Examples:
        """The same in memory."""
        return Examples(self.x[:], self.label)

    def within(self, gigabytes: float = BUFFER) -> Examples:
        """In memory; where that takes more gigabytes, as many examples as fit, evenly apart."""
        fitting = len(self) if self.x.nbytes <= 1e9 * gigabytes else int(len(self) * 1e9 * gigabytes / self.x.nbytes)
        if fitting < len(self):
            _log.warning("of the %d examples in %s, %d that fit in memory are used", len(self), self.x.path, fitting)
        return self.take(np.arange(fitting) * len(self) // max(fitting, 1)).read()


def chunk_slices(x: np.ndarray | Rows) -> Iterator[slice]:
    """Slices of examples that take a few megabytes each, and together are all of them."""
    size = max(1, _CHUNK * len(x) // max(x.nbytes, 1))
    return (slice(start, min(start + size, len(x))) for start in range(0, len(x), size))


def chunks(x: np.ndarray | Rows) -> Iterator[np.ndarray]:
    """All examples, a few megabytes at a time."""
    return (x[few] for few in chunk_slices(x))
