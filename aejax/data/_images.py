"""A folder of images as one array."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aejax.core import Examples, InputError

_SUFFIXES = {".png", ".jpg", ".jpeg"}

_WIDE_MODES = {"I", "F"}  # more than 8 bits a value

_CHUNK = 256  # images that are in memory at once where not all of them are to be


def read_folder(folder: Path) -> Examples:
    """The .png and .jpg images of a folder, by sorted name: uint8 `[n, h, w, c]`, c 1 (grey) or 3 (colour).

    Where it has subfolders with images, each is a label, numbered by sorted name. Transparency is
    dropped. Raises `InputError` where there is no image, where images lie both beside and below,
    and, naming the first, where a file is damaged or is not like the first in size and colour.
    """
    files, labels = _listed(folder)
    return Examples(_stack(files), labels)


def folder_chunks(folder: Path) -> Iterator[Examples]:
    """The same, a few images at a time."""
    files, labels = _listed(folder)
    for start in range(0, len(files), _CHUNK):
        few = slice(start, start + _CHUNK)
        yield Examples(_stack(files[few]), None if labels is None else labels[few])


def _listed(folder: Path) -> tuple[list[Path], np.ndarray | None]:
    """The files of a folder's images, and their labels where it has subfolders."""
    here = _images(folder)
    below = [found for sub in sorted(folder.iterdir()) if sub.is_dir() and (found := _images(sub))]
    if here and below:
        raise InputError(f"{folder} holds images both beside and in subfolders: move {here[0].name} to one of them")
    files = here or [file for found in below for file in found]
    if not files:
        raise InputError(f"{folder} holds no .png or .jpg images: give a folder that does, or one of such folders")
    return files, np.repeat(np.arange(len(below), dtype=np.int32), [len(found) for found in below]) if below else None


def _images(folder: Path) -> list[Path]:
    """The images right in a folder, hidden ones left out."""
    found = (file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
    return sorted(file for file in found if not file.name.startswith("."))


def _stack(files: list[Path]) -> np.ndarray:
    """Images of one size and one number of channels in one array."""
    first = _pixels(files[0])
    stack = np.empty((len(files), *first.shape), np.uint8)
    for i, file in enumerate(files):
        pixels = _pixels(file)
        if pixels.shape != first.shape:
            raise InputError(
                f"{file} has shape {pixels.shape} where {files[0].name} has {first.shape}: "
                "make all images one size, and all of them grey or all colour"
            )
        stack[i] = pixels
    return stack


def _pixels(file: Path) -> np.ndarray:
    """One image as uint8 `[h, w, c]`."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            if image.mode.split(";")[0] in _WIDE_MODES:
                raise InputError(f"{file} has more than 8 bits a value (mode {image.mode}): save it with 8, or as .npy")
            grey = image.mode in ("1", "L", "LA")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except InputError:
        raise
    except Exception as error:  # a damaged or far too large image can fail in any way at all
        raise InputError(f"{file} cannot be read as an image ({error}): replace or remove it") from error
    return pixels[..., None] if grey else pixels
