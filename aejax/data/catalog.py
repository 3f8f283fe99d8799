"""Finds data sets by name or path, and loads, prepares and packs them."""

import dataclasses
import functools
import logging
from collections.abc import Callable
from pathlib import Path

from aejax.core import Examples, InputError, first_line, nearest
from aejax.data import _embedded, _mnist, _packed, _tfds, cache, files, sprites, synthetic, synthetic_counts
from aejax.data.arrays import ARRAYS
from aejax.data.dataset import PARTS, UNKNOWN, Dataset, Parts, Schema
from aejax.data.packing import Batches, PackedType, pack_batches, pack_parts
from aejax.data.precision import settled
from aejax.data.settings import PLAIN, Data, Reading
from aejax.data.split import cut, split_off

_log = logging.getLogger("aejax")

_TFDS = "tfds:"

_ABOUT = {
    "mnist-5k": "5,000 digits of MNIST, 28x28 grey, split 4,000/500/500; comes with aejax",
    "sprites": "46,080 squares, ellipses and hearts, 32x32 grey, split 33,280/2,560/10,240; drawn here, factors known",
    "synthetic-dictionary": "151,552 sums of 512 known features, 64 values, split 131,072/4,096/16,384; drawn here",
    "synthetic-dictionary-16k": "151,552 sums of 16,384 known features, 768 values, as SynthSAEBench; drawn in long",
    "synthetic-counts": "5,632 x 100 counts of six kinds, of known distributions, split 4,096/512/1,024; drawn here",
    "wbc": "378 cases of breast tissue, 30 values, split 226/152; 21 outliers; comes with the package scikit-learn",
    "mnist": "60,000 + 10,000 handwritten digits, 28x28 grey; through TFDS or your own files",
    "fashion_mnist": "60,000 + 10,000 pieces of clothing, 28x28 grey; through TFDS or your own files",
    "kmnist": "60,000 + 10,000 Japanese characters, 28x28 grey; through TFDS or your own files",
}

_EMBEDDED: dict[str, Callable[[], dict[str, Examples]]] = {
    "mnist-5k": _embedded.digits,
    "sprites": sprites.read,
    "synthetic-counts": synthetic_counts.read,
    "wbc": _embedded.wbc,
    **{name: functools.partial(synthetic.read, name) for name in synthetic.SOURCES},
}


def load(data: Data, *, again: bool = False, known: Schema = UNKNOWN) -> Dataset:
    """Loads a data set as stored, into the host's memory; `data.preprocess` is left for the device to apply.

    Images are `[n, h, w, c]` and vectors `[n, d]`, uint8 or float32; those of a packed folder stay on disk. A data
    set without a test part gives a tenth of its examples to one, by the same fixed seed as validation.

    Args:
        data: which one, and how it is read.
        again: whether a run was trained on it before, so that what is taken for granted has been said.
        known: what that run has learned of it.

    Raises:
        InputError: where the data set is not known, not available, or too small to be split.
    """
    if not 0 <= data.validation < 1:
        raise InputError(f"validation is {data.validation}: give a fraction of at least 0 and below 1")
    if not is_name(data.name):
        path = Path(data.name).expanduser()
        files.require_used(path, data)
        found = files.read(path, data, known)
        return settled(split_off(data.name, found, data.validation, data, again), data.preprocess)
    _require_plain(data)
    found = _parts(data.name)
    dataset = dataclasses.replace(cut(data.name, found.parts, data.validation), classes=found.schema.classes)
    return settled(dataset, data.preprocess)


def names() -> dict[str, str]:
    """Returns every data set that has a name of its own, with one line about it."""
    state = {True: "prepared", False: "not prepared yet"}
    return {name: f"{about} ({state[cache.path(name).exists()]})" for name, about in _ABOUT.items()}


def prepare(name: str, source: Path | None = None) -> Path:
    """Puts a data set into the cache, from the folder `source` or from its own source, and returns the cached file.

    Raises `InputError` where the data are not available or the cache cannot be written.
    """
    if source is not None and not source.expanduser().is_dir():
        raise InputError(f"there is no folder {source}: give the one that holds the files of {name}")
    if not is_name(name):
        raise InputError(f"{name} is read where it is and needs no preparing: give it as --data {name}")
    _check_name(name)
    if source is not None or cache.read(name) is None:
        found = _make(name, source and source.expanduser())
        try:
            cache.write(name, found)
        except OSError as error:
            raise InputError(
                f"the cache folder {cache.cache_folder()} cannot be written ({first_line(error)}): set AEJAX_CACHE to "
                "another"
            ) from error
    return cache.path(name)


def pack(
    source: str | Path | Batches,
    folder: str | Path,
    data: Data = PLAIN,
    *,
    dtype: PackedType | None = None,
    part: str = "train",
) -> dict[str, int]:
    """Writes examples to a folder, in a form that can be trained on without being in memory.

    They are written shard by shard. Where an earlier call was stopped, the same call goes on after the last whole one.
    Only a few examples are in memory at once where they come from batches, TFDS, .npy files or images.

    Args:
        source: a data set's name or path, as anywhere, or a folder of .npy files, which are parts where their names say
            so and else together are one; or an iterable of batches, each an array or a dictionary of arrays x, and y,
            label and key beside it. A function from the number of examples that are there to the batches that are left
            goes on without making the others.
        folder: the folder.
        data: how the data at a path are read.
        dtype: the type in which examples are kept, in which they also go to the device; None: their own.
        part: the part that batches are: train, validation or test.

    Returns:
        The number of examples in each part.

    Raises:
        InputError: where the data cannot be read or kept, and where the folder cannot be written or is another's.
    """
    folder = Path(folder).expanduser()
    named = isinstance(source, str | Path)
    going_on = _packed.is_packed(folder) and not (named and _packed.is_whole(folder))
    if (folder.exists() and not going_on) or not folder.parent.is_dir():  # known before the source is read
        raise InputError(f"{folder} cannot be made: name a folder that is not there yet, in one that is")
    if part not in PARTS:
        raise InputError(f"the part is {part!r}: give {', '.join(PARTS)}")
    if not isinstance(source, str | Path):
        return pack_batches(source, folder, part, dtype)
    source = str(source)
    if source.startswith(_TFDS):
        splits = _tfds.splits(source.removeprefix(_TFDS))
        parts = {name: split.chunks() for name, split in splits.items()}
        return pack_parts(parts, folder, source, _tfds.schema_of(splits), dtype)
    if not is_name(source):
        files.require_used(Path(source).expanduser(), data)
        parts, schema = files.read_chunks(Path(source), data)
        return pack_parts(parts, folder, str(Path(source).expanduser().resolve()), schema, dtype)
    found = _parts(source)
    whole = {name: files.part_chunks(part) for name, part in found.parts.items()}
    return pack_parts(whole, folder, source, found.schema, dtype)


def read_examples(spec: str, split: str = "test", like: Data = PLAIN, known: Schema = UNKNOWN) -> Examples:
    """Returns the examples of a data set by its name or path: the only part, or the one called `split`.

    A named data set always has the parts train, validation and test.

    Args:
        spec: the name or path.
        split: the part.
        like: how a run reads its own data; a path is read alike, as far as that has a meaning for it.
        known: what that run has learned of its own data.

    Raises:
        InputError: as `load` does, and where there is no such part.
    """
    parts = read_all_parts(spec, like.keeping_rows(), known)
    return next(iter(parts.values())) if len(parts) == 1 else pick(spec, parts, split)


def read_all_parts(spec: str, like: Data = PLAIN, known: Schema = UNKNOWN) -> dict[str, Examples]:
    """Returns the parts at a path, or all three of a named data set, divided as `like` says where it has no own.

    Args:
        spec: the name or path.
        like: how a run reads its own data; a path is read alike, as far as that has a meaning for it.
        known: what that run has learned of its own data.

    Raises:
        InputError: as `load` does.
    """
    if not is_name(spec):
        return files.read(Path(spec), like, known).parts
    dataset = load(Data(spec, like.validation, like.preprocess))
    return {part: dataset.part(part) for part in PARTS}


def pick(spec: str, parts: dict[str, Examples], split: str) -> Examples:
    """Returns one of several parts. Raises `InputError` where there is none of that name, or it is empty."""
    if split not in parts:
        raise InputError(f"{spec} has no part named {split!r}: its parts are {', '.join(parts)}")
    if not len(parts[split]):
        raise InputError(
            f"no {split} part of {spec} is held out: give another --split, or train with --data.validation 0.1"
        )
    return parts[split]


def _require_plain(data: Data) -> None:
    """Raises `InputError` for a setting that says how files are read, as a data set with a name needs none."""
    plain = PLAIN
    for name in (field.name for field in dataclasses.fields(Reading)):
        if getattr(data, name) != getattr(plain, name):
            raise InputError(f"--data.{name} has no meaning for {data.name}, which has a name: leave it out")


def is_known(name: str) -> bool:
    """Returns whether a text is the name of a data set that can be loaded."""
    return name in _ABOUT or name.startswith(_TFDS)


def is_name(spec: str) -> bool:
    """Returns whether the text is a name and not a path; a folder called like a data set does not hide it."""
    return is_known(spec) or not files.is_path(spec)


def of_arrays(name: str, remedy: str) -> InputError:
    """Returns the error that the data of a run were arrays, which lie nowhere; `remedy` says what to do."""
    return InputError(
        f"{name!r} was trained on arrays given in Python: save them as a .npz file with x_train, x_validation and "
        f"x_test, and {remedy}"
    )


def _check_name(name: str) -> None:
    """Raises `InputError` for a name of no data set."""
    if name == ARRAYS:
        raise of_arrays(name, "give its path by --data")
    if not is_known(name):
        otherwise = "`aejax data list` shows all, or give a path to a file or a folder of images"
        guess = " ".join(filter(None, (nearest(name, _ABOUT), otherwise)))
        raise InputError(f"there is no data set named {name!r}: {guess}")


def _parts(name: str) -> Parts:
    """Returns the parts that a data set has of its own, from the cache if they are there, and else puts them there."""
    _check_name(name)
    found = cache.read(name)
    if found is None:
        found = _make(name, None)
        try:
            cache.write(name, found)
        except OSError as error:
            _log.warning("%s could not be kept in %s: %s", name, cache.cache_folder(), error)
    return found


def _make(name: str, source: Path | None) -> Parts:
    """Makes the parts of a named data set from its source."""
    if name.startswith(_TFDS):
        return _tfds.read(name.removeprefix(_TFDS), source)
    if name not in _EMBEDDED:
        return Parts(_mnist.read(name, source))
    if source is not None:
        raise InputError(f"{name} comes with aejax and needs no files: prepare it without --from")
    return Parts(_EMBEDDED[name]())
