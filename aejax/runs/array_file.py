"""Writes arrays with names to one file, whole or not at all, and reads it back only where every byte is as written.

    8 bytes   length of the header, little-endian
    header    JSON: `__metadata__`, and for each array its dtype, shape and place; spaces up to a multiple of 8 bytes
    rest      the arrays, little-endian, without gaps, the widest numbers first so that all are aligned

This is the safetensors format, which many other libraries read. `__metadata__` begins with the CRC-32 of all bytes of
the file, its own eight digits taken as zeros, and says which arrays are keys of `jax.random`.
"""

import errno
import json
import math
import mmap
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aejax.core import InputError, json_text, named_leaves
from aejax.runs.files import write_atomically

_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype(np.uint16),
    "I16": np.dtype(np.int16),
    "U32": np.dtype(np.uint32),
    "I32": np.dtype(np.int32),
    "U64": np.dtype(np.uint64),
    "I64": np.dtype(np.int64),
    "F8_E4M3": np.dtype(jnp.float8_e4m3fn),
    "F8_E5M2": np.dtype(jnp.float8_e5m2),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(jnp.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "C64": np.dtype(np.complex64),
}

_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

_BEFORE_CHECKSUM = b'{"__metadata__":{"crc32":"'

_LONGEST_HEADER = 100_000_000
"""Largest number of bytes of a header, by the format; JSON takes several times as much memory."""

_MOST_AXES = 32

_MARGIN = 2**16
"""Bytes of the disk that stay free."""


def write_arrays(path: Path, arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Writes arrays to a file, which has them all afterwards or is as it was.

    Args:
        path: the file.
        arrays: the arrays by their names, on the host or on devices of this host; keys of `jax.random` too.
        metadata: texts that are kept beside them; `crc32` and `keys` are names of the file's own.

    Raises:
        OSError: where it cannot be written; before anything is written where the disk has no room for it.
        InputError: for an array of a dtype that the format does not have.
    """
    keys = {name: str(jax.random.key_impl(array)) for name, array in arrays.items() if is_key(array)}
    plain = {name: jax.random.key_data(array) if name in keys else array for name, array in arrays.items()}
    sorted_arrays = sorted(
        ((name, np.asarray(array, order="C")) for name, array in plain.items()), key=lambda item: -item[1].itemsize
    )
    entries, end = {}, 0
    for name, array in sorted_arrays:
        if array.dtype not in _NAMES:
            raise InputError(f"{name} has dtype {array.dtype}, but a file holds {', '.join(_DTYPES)}: keep one of them")
        place = [end, end := end + array.nbytes]
        entries[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": place}
    texts = {"keys": json_text(keys), **(metadata or {})}
    parts = [array.reshape(-1).view(np.uint8).data for _, array in sorted_arrays]
    crc = zlib.crc32(_header(0, texts, entries))
    for part in parts:
        crc = zlib.crc32(part, crc)
    header = _header(crc, texts, entries)
    # A disk that is full halfway would leave room for nothing else until the file is removed.
    if shutil.disk_usage(path.parent).free < len(header) + end + _MARGIN:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    write_atomically(path, lambda file: file.writelines([header, *parts]))


def read_arrays(path: Path, mapped: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """Reads the arrays of a file and its metadata; arrays are views of the bytes that were read, keys are JAX's.

    With `mapped` they are views of the file itself, which takes no memory for what is not used of them.

    Raises `OSError` where it cannot be read, and `ValueError` however it is damaged, before memory is taken for what
    it claims.
    """
    content = _map(path) if mapped else path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    digits = slice(8 + len(_BEFORE_CHECKSUM), 16 + len(_BEFORE_CHECKSUM))
    crc = zlib.crc32(content[: digits.start] + b"0" * 8 + content[digits.stop : end])
    crc = zlib.crc32(memoryview(content)[end:], crc)
    if content[8 : digits.start] != _BEFORE_CHECKSUM or content[digits] != f"{crc:08x}".encode():
        raise ValueError("its checksum does not match")
    if end - 8 > min(_LONGEST_HEADER, len(content) - 8):
        raise ValueError(f"its header claims {end - 8} bytes")
    try:
        header = json.loads(content[8:end])
        metadata = header.pop("__metadata__")
        arrays = _views(header, memoryview(content)[end:])
        for name, kind in json.loads(metadata.pop("keys")).items():
            arrays[name] = jax.random.wrap_key_data(jnp.asarray(arrays[name]), impl=kind)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its header cannot be understood ({type(error).__name__})") from error
    del metadata["crc32"]
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its metadata are no texts")
    return arrays, metadata


def read_safetensors(path: Path) -> dict[str, Any]:
    """Reads the arrays of a safetensors file that any library has written, as views of the bytes that were read.

    Raises `OSError` where it cannot be read, and `ValueError` however it is damaged, before memory is taken for what
    it claims.
    """
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if length > min(_LONGEST_HEADER, len(content) - 8):
        raise ValueError(f"its header claims {length} bytes")
    try:
        header = json.loads(content[8 : 8 + length])
        header.pop("__metadata__", None)
        return _views(header, memoryview(content)[8 + length :])
    except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"its header cannot be understood ({type(error).__name__})") from error


def is_key(array: Any) -> bool:
    """Tells whether an array holds typed keys of `jax.random`, whose numbers only JAX can reach."""
    return jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key)


def named_arrays(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Copies the arrays of named parts, each a tree, to the host; a name is the part's and the path in it."""
    leaves = named_leaves(dict(parts))
    # A key has no form outside JAX. A copy is not the one that a compiled program may take the memory of.
    arrays = {name: leaf.copy() if is_key(leaf) else np.asarray(leaf) for name, leaf in leaves}
    if len(arrays) < len(leaves):
        raise ValueError("two arrays have one name: let no name have a dot in it")
    return arrays


def fill_parts(like: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Puts arrays in the places of the leaves of named parts, by the names that `named_arrays` gives.

    Args:
        like: the parts that are needed, each a tree whose leaves need only shape and dtype.
        arrays: the arrays of these parts, and of any others.

    Raises:
        ValueError: unless the arrays of these parts have the names, shapes and dtypes of its leaves.
    """
    needed = dict(named_leaves(dict(like)))
    found = {name: array for name, array in arrays.items() if name.partition(".")[0] in like}
    if described(found) != described(needed):
        raise ValueError("its arrays are not those of the experiment")
    return jax.tree.unflatten(jax.tree.structure(dict(like)), [found[name] for name in needed])


def described(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the shape and the dtype of each array."""
    return {name: (tuple(array.shape), array.dtype) for name, array in arrays.items()}


def _map(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _header(crc: int, metadata: Mapping[str, str], entries: Mapping[str, Any]) -> bytes:
    content = {"__metadata__": {"crc32": f"{crc:08x}", **metadata}, **entries}
    text = json_text(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _views(header: dict[str, Any], data: memoryview) -> dict[str, Any]:
    """Returns the arrays that lie in the data one after the other. Raises `ValueError` where they do not."""
    arrays, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape, (begin, stop) = _DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
        if len(shape) > _MOST_AXES or not all(type(size) is int and size >= 0 for size in (*shape, begin, stop)):
            raise ValueError(f"the shape or the place of {name:.60} is impossible")
        if begin != end or not stop - begin == math.prod(shape) * dtype.itemsize <= len(data) - begin:
            raise ValueError(f"{name:.60} lies where it cannot")
        if dtype == np.bool_ and np.frombuffer(data[begin:stop], np.uint8).max(initial=0) > 1:
            raise ValueError(f"{name:.60} has values that are no booleans")
        arrays[name], end = np.frombuffer(data[begin:stop], dtype).reshape(shape), stop
    if end != len(data):
        raise ValueError("it holds more than its arrays")
    return arrays
