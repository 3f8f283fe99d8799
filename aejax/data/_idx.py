"""Reads IDX, the file format of MNIST and similar sets: a magic number, the dimensions, then the bytes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from aejax.core import InputError

_UNSIGNED_BYTE = 0x08

_DEFLATE_LIMIT = 1032  # unpacking multiplies the size of a gzip file by at most this


def read_idx(path: Path, rank: int) -> np.ndarray:
    """Returns the uint8 array in a gzip-compressed IDX file.

    Raises `InputError` where the file is not gzip or IDX, is cut short, is too long, or does not have `rank` axes.
    """
    try:
        with gzip.open(path, "rb") as file:
            shape = _shape(path, file.read(4), file.read(4 * rank), rank)
            size = math.prod(shape)
            if size > _DEFLATE_LIMIT * path.stat().st_size:
                raise _unusable(path, f"its header claims {size} bytes, more than the file can hold")
            values = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _unusable(path, str(error)) from error
    if len(values) != size:
        found = len(values) if len(values) < size else "more"
        raise _unusable(path, f"its header promises {size} bytes and it holds {found}")
    return np.frombuffer(values, np.uint8).reshape(shape).copy()


def _shape(path: Path, magic: bytes, dims: bytes, rank: int) -> tuple[int, ...]:
    """Returns the dimensions in an IDX header. Raises `InputError` for a header that is wrong or cut short."""
    expected = bytes([0, 0, _UNSIGNED_BYTE, rank])
    if magic != expected:
        raise _unusable(path, f"it begins with {magic.hex()} where {expected.hex()} was expected")
    if len(dims) != 4 * rank:
        raise _unusable(path, "its header is cut short")
    return tuple(int(n) for n in np.frombuffer(dims, ">u4"))


def _unusable(path: Path, why: str) -> InputError:
    """Makes the error for a file that cannot be used."""
    return InputError(f"{path} cannot be read as an IDX .gz file ({why}): fetch it again")
