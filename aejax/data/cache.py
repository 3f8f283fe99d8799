"""Keeps prepared data sets on disk: one .npz file each, written wholly or not at all, and checked at every read.

A zip file has a CRC-32 of every array, which NumPy's reader compares; that takes 0.15 s for 47 MB.
"""

import logging
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from aejax.core import Examples
from aejax.data.dataset import PARTS, Parts, Schema

_log = logging.getLogger("aejax")

_FORMAT = "v1"  # in every file's name, so that a later layout never meets an old file

_CLASSES, _KEYS = "classes", "keys"


def cache_folder() -> Path:
    """Returns the folder for prepared data sets: $AEJAX_CACHE, or else the system's folder for caches."""
    given = os.environ.get("AEJAX_CACHE")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("aejax")


def path(name: str) -> Path:
    """Returns the path of the file for the data set of that name, whether or not it exists."""
    return cache_folder() / f"{quote(name, safe='')}-{_FORMAT}.npz"


def read(name: str) -> Parts | None:
    """Returns the parts kept under that name with the names of their classes, or None where there are none.

    A damaged file counts as none, and is logged.
    """
    file = path(name)
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return _unpack({key: arrays[key] for key in arrays.files})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # a damaged zip file can raise any exception, and each means the same
        _log.warning("the prepared copy of %s cannot be used and is made again (%s: %s)", name, file, error)
        return None


def write(name: str, found: Parts) -> None:
    """Keeps parts with the names of their classes under that name, wholly or not at all.

    That holds even where other processes write them too. Raises `OSError` where the file cannot be written.
    """
    _write(path(name), _pack(found))


def _write(file: Path, arrays: dict[str, Any]) -> None:
    """Writes arrays to a file, wholly or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as out:
            np.savez(out, allow_pickle=False, **arrays)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def read_array(name: str, state: str) -> np.ndarray | None:
    """Returns the array kept under that name, or None where there is none, or one of another state."""
    file = path(name)
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return arrays["x"] if str(arrays["state"]) == state else None
    except Exception:  # what is damaged or missing is made again
        return None


def write_array(name: str, state: str, x: np.ndarray) -> None:
    """Keeps an array under that name with what it was made of, in place of an older one; a full disk is no matter."""
    try:
        _write(path(name), {"x": x, "state": np.array(state)})
    except OSError as error:
        _log.warning("the decoded images could not be kept in %s (%s)", cache_folder(), error)


def _pack(found: Parts) -> dict[str, Any]:
    """Returns the parts as named arrays."""
    fields = {f"{name}_{field}": value for name, part in found.parts.items() for field, value in vars(part).items()}
    fields = {name: value for name, value in fields.items() if value is not None}
    fields |= {_CLASSES: np.array(found.schema.classes)} if found.schema.classes else {}
    return {_KEYS: np.array(list(fields)), **fields}  # first, as damage to a zip file's directory hides what follows


def _unpack(arrays: dict[str, np.ndarray]) -> Parts:
    """Returns the parts in named arrays. Raises `KeyError` or `ValueError` where these are not what `_pack` makes."""
    if _KEYS in arrays and set(arrays[_KEYS].tolist()) != arrays.keys() - {_KEYS}:
        raise ValueError("some of its arrays are missing")  # of a file of an older version that is not known
    names = [name for name in PARTS if name == "train" or f"{name}_x" in arrays]
    parts = {
        name: Examples(arrays[f"{name}_x"], arrays.get(f"{name}_label"), arrays.get(f"{name}_y")) for name in names
    }
    for name, part in parts.items():
        labelled = part.label is None or (part.label.dtype == np.int32 and part.label.shape == (len(part),))
        if part.x.dtype not in (np.uint8, np.float32) or part.x.ndim < 2 or not labelled:
            raise ValueError(f"the {name} part is not one that aejax wrote")
    classes = arrays.get(_CLASSES, np.array([], str))  # a file of an older version has no names
    if classes.dtype.kind != "U" or classes.ndim != 1:
        raise ValueError("the names of the classes are not those that aejax wrote")
    return Parts(parts, Schema(tuple(classes.tolist())))
