"""Defines what a reader returns: the arrays of each part as its file holds them, and what it says of them.

A reader knows one kind of file. Types, shapes, labels and missing values are checked in one place for all of them,
`aejax.data._checks`.
"""

import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from aejax.core import InputError


class Rows(Protocol):
    """Is like an array of examples, of which a slice can be read; `numpy.asarray` reads all."""

    shape: tuple[int, ...]
    dtype: Any

    def __getitem__(self, which: slice) -> np.ndarray: ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray: ...


@dataclass(frozen=True)
class Raw:
    """Holds one part as a file has it."""

    x: Any
    """The examples: an array, or `Rows` that are read in slices."""
    label: np.ndarray | None = None
    """The labels, numbers or text, with NaN or None for one that is missing."""


@dataclass(frozen=True)
class Source:
    """Holds what one file or folder has."""

    parts: dict[str, Raw]
    columns: tuple[str, ...] = ()
    """The names of the values of an example."""
    classes: tuple[str, ...] = ()
    """The names that the file itself gives to the labels 0, 1, ..."""
    notes: tuple[str, ...] = ()
    """What was taken for granted or left out, a sentence each."""


PARTS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
"""The words that name a part, in files and folders."""

LABELS = ("y", "label", "labels", "target", "targets", "class")
"""The names by which labels are known."""


def row_bytes(x: Any) -> int:
    """Returns how many bytes one example takes in memory once it is read: floats of any width become float32."""
    values = int(np.prod(x.shape[1:], dtype=np.int64))
    return max(1, values * (1 if x.dtype in (np.uint8, np.bool_) else 4))


def whole(x: Any, where: str) -> np.ndarray:
    """Reads all examples. Raises `InputError` where they would take more than this machine's memory."""
    size = len(x) * row_bytes(x) if getattr(x, "shape", ()) else 0
    if size > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise InputError(
            f"{where} takes {size / 1e9:,.1f} GB in memory, more than this machine has: run `aejax data pack {where} "
            "DIR` and train on --data DIR, which stays on disk"
        )
    return np.asarray(x)
