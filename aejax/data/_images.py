"""Reads folders of images: all in one, a subfolder for each class, or either of these for train and test apart."""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import InputError, first_line
from aejax.data import cache
from aejax.data._source import PARTS, Raw, Source
from aejax.data.dataset import UNKNOWN, Schema
from aejax.data.settings import PLAIN, Data

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")

_TOOLS = {"__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini", "@eaDir"}
"""Names that tools leave in folders; those that begin with a point count as well."""

_KEPT = range(2_000, 1_000_000)
"""Numbers of files whose decoded pixels are kept in the cache: for fewer it gains nothing."""

_KEPT_BYTES = 4e9

_ORIENTATION = 274  # the tag of EXIF


def read_folder(folder: Path, data: Data, known: Schema) -> Source:
    """Finds the images of a folder, sorted by name, and their classes; they are decoded when they are used.

    Images lie in `D`, in `D/class`, in `D/train`, or in `D/train/class`, with validation (or val, valid) and test
    beside train; classes are numbered in the order of their sorted names. Hidden files and what tools leave behind are
    skipped. Raises `InputError` where there are no images, and where they lie in more than one of these ways.
    """
    skipped: list[str] = []
    below = _folders(folder, skipped)
    if any(sub.name.lower() in PARTS for sub in below):
        files = _parts(folder, below, skipped)
    else:
        files = {"train": _classes(folder, skipped)}
    if not any(paths for paths, _ in files.values()):
        raise InputError(
            f"{folder} holds no images ({', '.join(SUFFIXES)}), arrays or tables: give a folder that does, or one of "
            "such folders"
        )
    how = partial(pixels, size=data.size, channels=data.channels)
    parts = {part: Raw(Images(tuple(paths), how), labels) for part, (paths, labels) in files.items()}
    return Source(parts, notes=(f"skipped: {_named(skipped)}",) if skipped else ())


def read_image(path: Path, data: Data, known: Schema) -> Source:
    """Returns one image as the only example, which a model can take: to train on, there must be more."""
    return Source({"train": Raw(Images((path,), partial(pixels, size=data.size, channels=data.channels)))})


def file_names(path: Path) -> dict[str, np.ndarray]:
    """Returns how the image files are called that `read_folder` or `read_image` finds, by the parts that they make.

    The names are seen from the folder: `test/cat/1.png`.
    """
    source = read_folder(path, PLAIN, UNKNOWN) if path.is_dir() else read_image(path, PLAIN, UNKNOWN)
    folder = path if path.is_dir() else path.parent
    return {
        name: np.asarray([item.relative_to(folder).as_posix() for item in part.x.items])
        for name, part in source.parts.items()
    }


def _named(skipped: list[str], most: int = 6) -> str:
    """Returns the names of what is skipped, each once."""
    names = list(dict.fromkeys(skipped))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _parts(folder: Path, below: list[Path], skipped: list[str]) -> dict[str, tuple[list[Path], np.ndarray | None]]:
    """Returns the images of each part, where folders are named after parts."""
    strange = [sub.name for sub in below if sub.name.lower() not in PARTS and holds_images(sub)]
    if strange or (here := images_in(folder, skipped)):
        raise InputError(
            f"{folder} holds parts ({', '.join(sub.name for sub in below if sub.name.lower() in PARTS)}) beside "
            f"{', '.join(strange) or here[0].name}: move that into one of the parts, or elsewhere"
        )
    files: dict[str, tuple[list[Path], np.ndarray | None]] = {}
    for sub in below:
        part = PARTS.get(sub.name.lower())
        if part in files:
            raise InputError(f"{folder} holds two folders for {part}: make them one")
        if part is not None:
            files[part] = _classes(sub, skipped)
    return {part: files[part] for part in ("train", "validation", "test") if part in files}


def _classes(folder: Path, skipped: list[str]) -> tuple[list[Path], np.ndarray | None]:
    """Returns the images in a folder, or in its subfolders with the subfolders' names as labels."""
    here, below = images_in(folder, skipped), []
    for sub in _folders(folder, skipped):
        below.append((sub.name, images_in(sub, skipped)))
        for deeper in _folders(sub, skipped):
            if holds_images(deeper):
                raise InputError(f"{deeper} holds images below the folder of a class: move them to {sub}")
    below = [(name, found) for name, found in below if found]
    if here and below:
        raise InputError(f"{folder} holds images both beside and in subfolders: move {here[0].name} to one of them")
    if here or not below:
        return here, None
    labels = np.repeat(np.array([name for name, _ in below]), [len(found) for _, found in below])
    return [file for _, found in below for file in found], labels


def _folders(folder: Path, skipped: list[str]) -> list[Path]:
    """Returns the subfolders, sorted, without hidden ones and those of tools, which are noted as skipped."""
    found = []
    for sub in sorted(path for path in folder.iterdir() if path.is_dir()):
        if sub.name.startswith(".") or sub.name in _TOOLS:
            skipped.append(sub.name)
        else:
            found.append(sub)
    return found


def images_in(folder: Path, skipped: list[str]) -> list[Path]:
    """Returns the image files directly in a folder, sorted; every other file is noted as skipped."""
    found = []
    with os.scandir(folder) as entries:  # far quicker than asking of each path whether it is a file
        files = sorted(entry.name for entry in entries if entry.is_file())
    for name in files:
        if name.lower().endswith(SUFFIXES) and not name.startswith("."):
            found.append(folder / name)
        else:
            skipped.append(name)
    return found


def holds_images(folder: Path) -> bool:
    """Tells whether an image lies anywhere below a folder."""
    return any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))


@dataclass(frozen=True)
class Images:
    """Stands for images of one size and one number of channels, decoded when a slice is read: uint8 `[n, h, w, c]`."""

    items: Sequence[Any]
    """The images: files, or the bytes of files."""
    decode: Any
    """Decodes one item: `pixels` with its settings."""

    @property
    def dtype(self) -> Any:
        """Returns the type of the values."""
        return np.dtype(np.uint8)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape of all images, by the first one."""
        return (len(self.items), *self.decode(self.items[0]).shape)

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.items)

    def __getitem__(self, which: slice) -> np.ndarray:
        """Decodes images on all processors. Raises `InputError` where one is damaged or unlike the first."""
        items = self.items[which]
        stack = np.empty((len(items), *self.shape[1:]), np.uint8)

        def put(few: range) -> None:
            for i in few:
                image = self.decode(items[i])
                if image.shape != self.shape[1:]:
                    raise _unlike(items[i], image.shape, self.items[0], self.shape[1:])
                stack[i] = image

        # Pillow decodes without Python's lock. A task of many images costs less than one each.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(put, (range(len(items))[start : start + 64] for start in range(0, len(items), 64))):
                pass
        return stack

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Decodes all images, or takes them from the cache if none of the files has changed since."""
        worth = len(self.items) in _KEPT and isinstance(self.items[0], Path)
        if not worth or len(self.items) * np.prod(self.shape[1:]) > _KEPT_BYTES:
            return self[:]
        name, state = f"images-{_digest(str(self.items[0].resolve()))}", self._state()
        kept = cache.read_array(name, state)
        if kept is None:
            kept = self[:]
            cache.write_array(name, state, kept)
        return kept

    def _state(self) -> str:
        """Returns a digest of the files' names, sizes and times, and of how they are decoded."""
        stats = (item.stat() for item in self.items)
        lines = [f"{item} {stat.st_size} {stat.st_mtime_ns}" for item, stat in zip(self.items, stats, strict=True)]
        return _digest("\n".join([repr(sorted(self.decode.keywords.items())), *lines]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _unlike(item: Any, shape: tuple[int, ...], first: Any, expected: tuple[int, ...]) -> InputError:
    """Makes the error for an image that differs from the first one in size or in channels."""
    said = f"{_name(item)} has shape {shape} where {_name(first).split('/')[-1]} has {expected}"
    if shape[:2] != expected[:2]:
        return InputError(f"{said}: give --data.size {expected[0]} {expected[1]}, or another, to resize all images")
    return InputError(f"{said}: give --data.channels colour or grey to make all images alike")


def _name(item: Any) -> str:
    return str(item) if isinstance(item, Path) else "an image"


def pixels(item: Any, size: tuple[int, int] | None, channels: str | None) -> np.ndarray:
    """Reads one image as uint8 `[h, w, c]`, c 1 (grey) or 3 (colour), turned as its EXIF orientation says.

    Transparency is dropped, and of several frames the first is read. Raises `InputError` for an image that is damaged
    or has more than 8 bits a value.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(item if isinstance(item, Path) else io.BytesIO(item)) as image:
            if image.mode.split(";")[0] in ("I", "F") or _has_16_bits(image):
                raise InputError(
                    f"{_name(item)} has more than 8 bits a value (mode {image.mode}), which would be cut: save it with "
                    "8, or all images as one .npy of float32"
                )
            grey = image.mode in ("1", "L", "LA", "La") if channels is None else channels == "grey"
            said = "exif" in image.info or image.format == "TIFF"  # to parse EXIF costs as much as to decode
            turned = said and image.getexif().get(_ORIENTATION, 1) != 1
            picture = (ImageOps.exif_transpose(image) if turned else image).convert("L" if grey else "RGB")
            if size is not None and size != (picture.height, picture.width):
                picture = _resized(picture, *size)
            values = np.asarray(picture)
    except InputError:
        raise
    except Exception as error:  # a damaged or far too large image can raise any exception
        raise InputError(
            f"{_name(item)} cannot be read as an image ({first_line(error)}): replace or remove it"
        ) from error
    return values[..., None] if grey else values


def _has_16_bits(image: Any) -> bool:
    """Tells whether an image is stored with 16 bits a value where Pillow has only 8, as for colour."""
    modes = (tile[3][0] if isinstance(tile[3], tuple) else tile[3] for tile in image.tile if tile[3])
    return any(isinstance(mode, str) and ";16" in mode for mode in modes)


def _resized(picture: Any, height: int, width: int) -> Any:
    """Resizes an image so that its shorter side fits, and keeps the centre."""
    from PIL import Image

    scale = min(picture.width / width, picture.height / height)
    left, top = (picture.width - scale * width) / 2, (picture.height - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    return picture.resize((width, height), Image.Resampling.BICUBIC, box, reducing_gap=3.0)
