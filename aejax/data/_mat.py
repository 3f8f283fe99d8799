"""Reads benchmarks of outlier detection as MATLAB files: the ODDS library's `.mat` (Rayana 2016), with keys X and y.

It reads arrays of numbers from versions 5 to 7 of the format and nothing else; version 7.3 is HDF5. SciPy's reader is
not used, because a single changed byte in a file can make it end the process.
"""

import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aejax.core import Examples, InputError, first_line
from aejax.data._checks import examples, labels
from aejax.data._hdf5 import read_mat as read_hdf5_mat

_HEADER = 128

_HDF5 = b"\x89HDF\r\n\x1a\n"

_ORDERS = {b"IM": "<", b"MI": ">"}

_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}

_MATRIX, _COMPRESSED = 14, 15

_DOUBLE, _UINT64 = 6, 15  # the classes of arrays from 6 to 15 hold numbers; those below are text, cells, objects ...

_COMPLEX = 0x0800


def read_mat(path: Path) -> Examples:
    """Returns the rows of `X` as float32 vectors `[n, d]`, unscaled, and `y` as labels: 1 for an outlier, else 0.

    Without `y` there are no labels. Raises `InputError` for a file that is damaged or no MATLAB file, and where `X` or
    `y` is missing or holds anything else.
    """
    arrays = _load(path)
    if "X" not in arrays:
        raise InputError(f"{path} holds {', '.join(arrays) or 'nothing'}: name the examples X and the outlier flags y")
    values = _numbers(path, arrays, "X")
    # Integers become float32 too, unscaled, as nothing here is a grey level.
    x = examples(values.astype(np.result_type(values, np.float32)), str(path))
    if "y" not in arrays:
        return Examples(x)
    flags = _numbers(path, arrays, "y").reshape(-1)
    if not np.isin(flags, (0, 1)).all():
        raise InputError(f"y in {path} holds {np.unique(flags)[:5]}: expected outlier flags, 0 or 1")
    return Examples(x, labels(flags.astype(np.int32), len(x), str(path)))


def _numbers(path: Path, arrays: dict[str, np.ndarray | None], name: str) -> np.ndarray:
    """Returns the matrix of that name. Raises `InputError` where it is not a matrix of real numbers."""
    values = arrays[name]
    if values is None or values.ndim != 2:
        raise InputError(f"{name} in {path} is no table of real numbers: expected X as [n, d], y as [n]")
    return values


def _load(path: Path) -> dict[str, np.ndarray | None]:
    """Reads every array by name; the value is None for one that does not hold real numbers."""
    content = path.read_bytes()
    if content.startswith((b"MATLAB 7.3", _HDF5)):
        return read_hdf5_mat(path)
    try:
        order = _ORDERS[content[_HEADER - 2 : _HEADER]]
        return dict(_arrays(content[_HEADER:], order))
    except (KeyError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read as a MATLAB file ({first_line(error)}): save it again with -v7"
        ) from error


def _arrays(content: bytes, order: str) -> Iterator[tuple[str, np.ndarray | None]]:
    """Yields the name and the values of each array, those that are compressed included."""
    for kind, element in _elements(content, order):
        if kind == _COMPRESSED:
            # Compressed elements inside are ignored: each level could make the content a thousand times larger.
            inner = _elements(zlib.decompress(element), order)
            yield from (_array(content, order) for kind, content in inner if kind == _MATRIX)
        elif kind == _MATRIX:
            yield _array(element, order)


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yields the type and the content of each data element. Raises `ValueError` where one claims more than there is."""
    at = 0
    while at < len(content):
        kind, size = (int(word) for word in np.frombuffer(content, f"{order}u4", 2, at))
        # An element of up to four bytes has its size and type in one word and its content in the next.
        start, kind, size = (at + 4, kind & 0xFFFF, kind >> 16) if kind >> 16 else (at + 8, kind, size)
        if start + size > len(content) or (start == at + 4 and size > 4):
            raise ValueError("it is cut short, or a size in it is wrong")
        yield kind, content[start : start + size]
        at = max(at + 8, start + size + (0 if kind == _COMPRESSED else -(start + size) % 8))


def _array(content: bytes, order: str) -> tuple[str, np.ndarray | None]:
    """Returns the name and values of a matrix, whose elements are flags, shape, name and real part, in this order."""
    elements = _elements(content, order)
    (_, flags), (_, dims), (_, name) = (next(elements, (0, b"")) for _ in range(3))
    (flag,) = np.frombuffer(flags, f"{order}u4", 1)
    if not _DOUBLE <= flag & 0xFF <= _UINT64 or flag & _COMPLEX:
        return name.decode("latin-1"), None
    kind, values = next(elements, (0, b""))
    shape = np.frombuffer(dims, f"{order}i4").tolist()
    numbers = np.frombuffer(values, f"{order}{_STORED[kind]}")
    if min(shape, default=-1) < 0 or math.prod(shape) != len(numbers):
        raise ValueError(f"its shape {shape} does not go with its {len(numbers)} values")
    return name.decode("latin-1"), numbers.reshape(shape, order="F")
