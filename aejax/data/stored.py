"""Keeps examples on disk: arrays in files of raw rows, of which only those that are asked for are read."""

import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from aejax.core import BUFFER, Examples, InputError

_log = logging.getLogger("aejax")

_CHUNK = 2**22  # bytes in memory at once during a pass over a whole part

_SPAN = 2**21  # the most bytes that one call reads, unless a row has more

_OPEN = 64  # files that are open at once in one reading: a system lets a process have a thousand or so

_ASKED = 2**18  # bytes that the system is asked for at once: of more it may bring only the beginning

_GAP = 2**13  # bytes between two wanted rows that are read and thrown away: another call would take as long

_ALIGNMENT = 64  # bytes; JAX on a CPU takes memory that begins at a multiple of it as it is, and copies all other


class Shard(NamedTuple):
    """Says where consecutive rows lie in a file."""

    path: Path
    start: int
    """The number of bytes before the first row."""
    rows: int
    """The number of rows."""
    stamp: tuple[int, int]
    """The file's size in bytes and the time of its last change, by which a change is noticed while it is read."""

    @classmethod
    def of(cls, path: Path, start: int, rows: int) -> Self:
        """Describes a file as it is now."""
        return cls(path, start, rows, _stamp(path.stat()))


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class Stripes:
    """Numbers rows by arithmetic: the same run of every stripe of a file, in the file's order.

    It is indexed like an array of these numbers, and takes no memory for them.
    """

    first: int
    """The number of the first row."""
    run: int
    """The number of consecutive rows of a stripe that belong here."""
    stride: int
    """The number of rows from the beginning of one run to that of the next."""
    size: int
    """How many rows there are."""

    def __len__(self) -> int:
        """Returns how many rows there are."""
        return self.size

    def __getitem__(self, which: int | slice | np.ndarray) -> Any:
        """Returns the numbers at the given places, as an array would."""
        if isinstance(which, slice):
            place = np.arange(*which.indices(self.size))
        else:
            place = np.asarray(which)
            place = np.where(place < 0, place + self.size, place)
        return self.first + place // self.run * self.stride + place % self.run


class Spans(NamedTuple):
    """Says which bytes of files hold some rows, and where they go in memory; one call reads each span.

    A span of a file has more bytes than that of memory where other rows lie between its own.
    """

    rows: np.ndarray
    """The numbers of the rows, counted through all shards, in the order in which they go to memory."""
    shard: list[int]
    """The number of the shard that each span lies in."""
    place: list[int]
    """The byte of the file at which each begins."""
    length: list[int]
    """The number of its bytes there."""
    begin: list[int]
    """The first of its bytes in the memory of all rows."""
    end: list[int]
    """The byte there after its last one."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Stands for rows of files, which are read when they are indexed; in all else it is like an array.

    Rows that follow each other in a file, or nearly so, are read by one call. A mapped file would be no faster when it
    has more rows than fit in memory, its pages would count as memory of the process, and it would end the process if it
    were cut short meanwhile.
    """

    shards: tuple[Shard, ...]
    dtype: np.dtype
    row_shape: tuple[int, ...]
    low: float
    """A bound below which no value lies."""
    high: float
    """A bound above which no value lies."""
    index: Stripes | np.ndarray
    """The numbers of the rows, counted through all shards, in the order in which they stand here."""

    @property
    def path(self) -> Path:
        """The folder that the files lie in."""
        return self.shards[0].path.parent

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape of an array of all rows."""
        return (len(self.index), *self.row_shape)

    @property
    def ndim(self) -> int:
        """Returns the number of axes of an array of all rows."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Returns how many bytes an array of all rows takes."""
        return len(self.index) * self._row_bytes

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.index)

    def __getitem__(self, which: int | slice | np.ndarray) -> np.ndarray:
        """Reads the given rows.

        Raises `InputError` where a file has become shorter, has changed since it was opened, or cannot be read.
        """
        index = np.asarray(self.index[which])
        out = blank((*index.shape, *self.row_shape), self.dtype)
        self.read_into(out, self._spans(index.reshape(-1)))
        return out

    def spans(self, which: np.ndarray) -> Spans:
        """Finds out where the given rows lie."""
        return self._spans(self.index[which])

    def expect(self, spans: Spans) -> None:
        """Asks the system to bring rows that will be read soon into its cache, and does not wait for them.

        A disk is at its fastest where it has several requests at once. Some systems cannot be asked.
        """
        if not hasattr(os, "posix_fadvise"):
            return
        with self._files() as file:
            for shard, place, length in zip(spans.shard, spans.place, spans.length, strict=True):
                number = file(shard)
                for begin in range(place, place + length, _ASKED):
                    some = min(_ASKED, place + length - begin)
                    with suppress(OSError):  # it is advice: what cannot be read is said once it is
                        os.posix_fadvise(number, begin, some, os.POSIX_FADV_WILLNEED)

    def read_into(self, out: np.ndarray, spans: Spans) -> None:
        """Reads rows into an array of as many, as indexing does."""
        size, into = self._row_bytes, out.reshape(-1).view(np.uint8)
        memory, around = into.data, np.empty(max(_SPAN, size), np.uint8)
        with self._files() as file:
            for shard, place, length, begin, end in zip(*spans[1:], strict=True):
                number, whole = file(shard), length == end - begin
                try:
                    count = os.preadv(number, (memory[begin:end] if whole else around[:length].data,), place)
                except OSError as error:
                    raise _unreadable(self.path, error) from error
                if count != length:
                    raise InputError(f"{self.path} has become shorter while it was read: pack the data again")
                if not whole:
                    wanted = spans.rows[begin // size : end // size]
                    found = around[:length].reshape(-1, size)
                    take_rows(found, wanted - wanted[0], into[begin:end].reshape(-1, size))

    def _spans(self, rows: np.ndarray) -> Spans:
        """Cuts rows into spans, each of which one call reads."""
        if not len(rows):
            return Spans(rows, [], [], [], [], [])
        size, step = self._row_bytes, np.diff(rows)
        begins = np.append(0, np.flatnonzero((step < 1) | (step > 1 + _GAP // size)) + 1)
        begins = self._cut(rows, begins, max(1, _SPAN // size))
        ends = np.append(begins[1:], len(rows))
        first = rows[begins]
        shard = self._shard(first)
        places, lengths = self._starts[shard] + size * first, size * (rows[ends - 1] + 1 - first)
        return Spans(rows, *(each.tolist() for each in (shard, places, lengths, size * begins, size * ends)))

    def _cut(self, rows: np.ndarray, begins: np.ndarray, most: int) -> np.ndarray:
        """Cuts ascending spans at the ends of files, and such as reach over too many rows of the file.

        Args:
            rows: the numbers of the rows.
            begins: where each span begins among them.
            most: the most rows that a span may reach over.

        Returns:
            Where each of the spans that this makes begins.
        """
        ends = np.append(begins[1:], len(rows))
        first, last = rows[begins], rows[ends - 1]
        shards = self._shard(first), self._shard(last)
        cuts = [begins]
        for span in np.flatnonzero((last - first >= most) | (shards[0] != shards[1])).tolist():
            borders = self._ends[shards[0][span] : shards[1][span]], np.arange(first[span], last[span] + 1, most)
            cuts.append(begins[span] + np.searchsorted(rows[begins[span] : ends[span]], np.concatenate(borders)))
        return np.unique(np.concatenate(cuts)) if len(cuts) > 1 else begins

    def _shard(self, rows: np.ndarray) -> np.ndarray:
        """Returns the number of the shard that each row lies in."""
        return np.searchsorted(self._ends, rows, side="right")

    @contextmanager
    def _files(self) -> Iterator[Callable[[int], int]]:
        """Gives a function from a shard's number to its file, which is opened at its first use; a few stay open."""
        files: dict[int, int] = {}

        def file(number: int) -> int:
            if number not in files:
                if len(files) == _OPEN:
                    os.close(files.pop(next(iter(files))))
                files[number] = _opened(self.shards[number])
            return files[number]

        try:
            yield file
        finally:
            for number in files.values():
                os.close(number)

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.row_shape) * self.dtype.itemsize

    @cached_property
    def _ends(self) -> np.ndarray:
        """The number of the row after the last one of each shard."""
        return np.cumsum([shard.rows for shard in self.shards])

    @cached_property
    def _starts(self) -> np.ndarray:
        """The place in each shard's file at which the first row of all would lie, if it were in it."""
        before = np.append(0, self._ends[:-1])
        return np.array([shard.start for shard in self.shards]) - self._row_bytes * before

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads all rows into an array."""
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def take(self, index: np.ndarray | Stripes, axis: Literal[0] = 0) -> Self:
        """Returns the given rows, still on disk."""
        whole = isinstance(self.index, Stripes) and self.index == Stripes(0, len(self), len(self), len(self))
        return replace(self, index=index if isinstance(index, Stripes) and whole else self.index[index[:]])

    def min(self) -> float:
        """Returns a bound below which no value of the file lies."""
        return self.low

    def max(self) -> float:
        """Returns a bound above which no value of the file lies."""
        return self.high


def blank(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Returns an array whose values are not set, in memory that JAX on a CPU takes as it is."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def take_rows(array: np.ndarray, which: np.ndarray, out: np.ndarray) -> None:
    """Copies the rows of an array at the given places into another one.

    Each is copied as one value, whatever its type, which is twice as fast. Places are not checked.
    """
    row = np.dtype((np.void, array.nbytes // len(array)))
    array, out = (each.reshape(len(each), -1).view(row).reshape(-1) for each in (array, out))
    np.take(array, which, out=out, mode="clip")


def _opened(shard: Shard) -> int:
    """Opens the file of a shard. Raises `InputError` where it is not as it was."""
    try:
        file = os.open(shard.path, os.O_RDONLY)
    except OSError as error:
        raise _unreadable(shard.path, error) from error
    now = _stamp(os.fstat(file))
    if now != shard.stamp:
        os.close(file)
        became = "become shorter" if now[0] < shard.stamp[0] else "changed"
        raise InputError(f"{shard.path} has {became} while it was read: pack the data again")
    return file


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read any more ({error.strerror}): pack the data again")


@dataclass(frozen=True)
class Stored(Examples):
    """Holds a part on disk. What is taken of it stays there; its labels, four bytes for each example, are in memory."""

    x: Rows
    y: Rows | None = None
    key: Rows | None = None
    """A whole number of any width that names each row at its source, as a token's; it stays on the host."""

    def take(self, index: Any) -> "Stored":
        """Returns the examples at `index`, in that order, still on disk."""
        rows = {name: held.take(index) for name, held in vars(self).items() if isinstance(held, Rows)}
        return replace(self, **rows, label=None if self.label is None else self.label[index[:]])

    def read(self) -> Examples:
        """Reads all examples into memory."""
        return Examples(*(None if held is None else np.asarray(held) for held in self._arrays))

    def blank(self, size: int) -> Examples:
        """Returns examples like these, so many, whose values are not set."""
        arrays = (None if held is None else blank((size, *held.shape[1:]), held.dtype) for held in self._arrays)
        return Examples(*arrays)

    def expect(self, which: np.ndarray) -> tuple[Any, ...]:
        """Asks the system to bring examples that will be read soon into its cache, and does not wait for them.

        Returns what `read_into` takes to read them.
        """
        wanted: list[Any] = []
        for held in self._arrays:
            wanted.append(held.spans(which) if isinstance(held, Rows) else which)
            if isinstance(held, Rows):
                held.expect(wanted[-1])
        return tuple(wanted)

    def read_into(self, out: Examples, wanted: tuple[Any, ...]) -> None:
        """Reads examples into arrays in memory, those that `expect` was asked for."""
        for array, held, which in zip((out.x, out.label, out.y), self._arrays, wanted, strict=True):
            if isinstance(held, Rows):
                held.read_into(array, which)
            elif held is not None:
                array[:] = held[which]

    @property
    def _arrays(self) -> tuple[Any, ...]:
        return self.x, self.label, self.y

    @property
    def nbytes(self) -> int:
        """The bytes that all examples and their targets take."""
        return self.x.nbytes + (0 if self.y is None else self.y.nbytes)

    def within(self, gigabytes: float = BUFFER) -> Examples:
        """Reads the examples into memory; if they take more than so many gigabytes, as many as fit, spread evenly."""
        fitting = len(self) if self.nbytes <= 1e9 * gigabytes else int(len(self) * 1e9 * gigabytes / self.nbytes)
        if fitting < len(self):
            _log.warning(
                "of the %d examples in %s, what is measured and drawn takes the %d that fit in the buffer; training "
                "takes all",
                *(len(self), self.x.path, fitting),
            )
        return self.at_most(fitting).read()


def chunk_slices(x: np.ndarray | Rows) -> Iterator[slice]:
    """Yields slices of a few megabytes each, which together cover all examples in order."""
    size = max(1, _CHUNK * len(x) // max(x.nbytes, 1))
    return (slice(start, min(start + size, len(x))) for start in range(0, len(x), size))


def chunks(x: np.ndarray | Rows) -> Iterator[np.ndarray]:
    """Yields all examples, a few megabytes at a time."""
    return (x[few] for few in chunk_slices(x))
