"""Reads and writes images one by one, each in its own size, as photos are given to a model that is used on them."""

from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float, UInt8

from aejax.core import InputError
from aejax.data import _images


def is_picture(path: Path) -> bool:
    """Tells whether a path is that of an image, by the end of its name."""
    return path.name.lower().endswith(_images.SUFFIXES)


def picture_files(folder: Path) -> list[Path]:
    """Returns the images that lie directly in a folder, sorted by name.

    Raises `InputError` where there are none, and where two differ in the ends of their names alone.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give an image ({', '.join(_images.SUFFIXES)}), or a folder")
    found = _images.images_in(folder, [])
    if not found:
        raise InputError(f"{folder} holds no images ({', '.join(_images.SUFFIXES)}): give a folder that does")
    for one, other in pairwise(found):
        if one.stem == other.stem:
            raise InputError(f"{folder} holds {one.name} and {other.name}, which are told by their ends: rename one")
    return found


def read_picture(path: Path, channels: int) -> UInt8[np.ndarray, "height width channels"]:
    """Reads an image in its own size, as data sets of images are read.

    Args:
        path: the image.
        channels: 1 (grey) or 3 (colour), which it becomes.

    Raises:
        InputError: for an image that is missing, damaged, or has more than 8 bits a value.
    """
    if not path.is_file():
        raise InputError(f"there is no image {path}: check the path")
    return _images.pixels(path, None, "grey" if channels == 1 else "colour")


def write_picture(file: IO[bytes], image: Float[np.ndarray, "height width channels"]) -> None:
    """Writes shares of white as a PNG of 8 bits a value, grey or colour; what lies beyond 0 and 1 is cut off."""
    from PIL import Image

    levels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(file, "PNG")
