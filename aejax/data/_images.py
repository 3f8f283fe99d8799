"""Reads a folder of images as one array."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aejax.core import Examples, InputError

_SUFFIXES = {".png", ".jpg", ".jpeg"}

_WIDE_MODES = {"I", "F"}  # Pillow's modes with more than 8 bits for each value

_CHUNK = 256  # images in memory at once when a folder is read in chunks


def read_folder(folder: Path) -> Examples:
    """Reads the .png and .jpg images of a folder, sorted by name: uint8 `[n, h, w, c]`, c 1 (grey) or 3 (colour).

    If the folder has subfolders with images, each of these is a label, numbered in the order of the sorted names.
    Transparency is dropped. Raises `InputError` where there is no image, where images lie both in the folder and
    in a subfolder, and, with the name of the first such file, where a file is damaged or differs from the first
    one in size or colour.
    """
    files, labels = _listed(folder)
    return Examples(_stack(files), labels)


def folder_chunks(folder: Path) -> Iterator[Examples]:
    """Yields the examples that `read_folder` returns, 256 images at a time."""
    files, labels = _listed(folder)
    for start in range(0, len(files), _CHUNK):
        few = slice(start, start + _CHUNK)
        yield Examples(_stack(files[few]), None if labels is None else labels[few])


def _listed(folder: Path) -> tuple[list[Path], np.ndarray | None]:
    """Returns the image files of a folder, and their labels if they lie in subfolders."""
    here = _images(folder)
    below = [found for sub in sorted(folder.iterdir()) if sub.is_dir() and (found := _images(sub))]
    if here and below:
        raise InputError(f"{folder} holds images both beside and in subfolders: move {here[0].name} to one of them")
    files = here or [file for found in below for file in found]
    if not files:
        raise InputError(f"{folder} holds no .png or .jpg images: give a folder that does, or one of such folders")
    return files, np.repeat(np.arange(len(below), dtype=np.int32), [len(found) for found in below]) if below else None


def _images(folder: Path) -> list[Path]:
    """Returns the image files directly in a folder, sorted, without hidden ones."""
    found = (file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
    return sorted(file for file in found if not file.name.startswith("."))


def _stack(files: list[Path]) -> np.ndarray:
    """Reads images of one size and one number of channels into one array."""
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
    """Reads one image as uint8 `[h, w, c]`."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            if image.mode.split(";")[0] in _WIDE_MODES:
                raise InputError(f"{file} has more than 8 bits a value (mode {image.mode}): save it with 8, or as .npy")
            grey = image.mode in ("1", "L", "LA")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except InputError:
        raise
    except Exception as error:  # a damaged or far too large image can raise any exception
        raise InputError(f"{file} cannot be read as an image ({error}): replace or remove it") from error
    return pixels[..., None] if grey else pixels
