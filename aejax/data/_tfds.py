"""Reads any data set of TFDS that holds images or vectors, as arrays."""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from aejax.core import Examples, InputError, nearest, spread
from aejax.data import cache
from aejax.data._remote import quiet, reachable
from aejax.data.dataset import Parts, Schema
from aejax.data.factors import factors_of

_CHUNK = 256  # examples in memory at once when a split is read in chunks


@dataclass(frozen=True)
class Split:
    """Holds a split as TFDS has prepared it, in array_record files; an example is decoded when it is asked for."""

    records: Any
    """The data source of TFDS, which decodes the record at an index."""
    features: Any
    """The features of a record, by their keys."""
    x: str
    """The key of the examples."""
    labels: tuple[str, ...]
    """The keys of the class labels; several labels are combined into one number."""

    @property
    def nbytes(self) -> int:
        """Returns how many bytes all examples take in memory."""
        feature = self.features[self.x]
        return len(self.records) * math.prod(feature.shape) * (1 if feature.np_dtype == np.uint8 else 4)

    def decode(self, which: range) -> Examples:
        """Decodes the given records: uint8 where TFDS says so, else float32; several labels become one number.

        Black and white images, of zeros and ones, become 0 and 255, because uint8 means grey levels everywhere.
        """
        values, numbers = self._values(which)
        values *= self._white
        strides = np.cumprod([1, *(self.features[label].num_classes for label in self.labels[:0:-1])])[::-1]
        return Examples(values, (numbers @ strides).astype(np.int32) if self.labels else None)

    @property
    def classes(self) -> tuple[str, ...]:
        """Returns the names of the labels, where they are of one key and more than numbers."""
        names = self.features[self.labels[0]].names if len(self.labels) == 1 else []
        return () if names == [str(number) for number in range(len(names))] else tuple(names)

    @cached_property
    def _white(self) -> Any:
        """Returns the factor on all values: 255 for images of zeros and ones, else 1; some examples decide."""
        values, _ = self._values(spread(len(self.records), _CHUNK).tolist())
        return np.uint8(255) if values.dtype == np.uint8 and values.max() == 1 else values.dtype.type(1)

    def _values(self, which: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Returns examples as TFDS has them, and their labels, one column for each key."""
        feature = self.features[self.x]
        values = np.empty((len(which), *feature.shape), np.uint8 if feature.np_dtype == np.uint8 else np.float32)
        numbers = np.empty((len(which), len(self.labels)), np.int32)
        for i, number in enumerate(which):
            record = self.records[number]
            values[i] = record[self.x]
            numbers[i] = [record[label] for label in self.labels]
        return values, numbers

    def chunks(self) -> Iterator[Examples]:
        """Yields all examples, 256 at a time."""
        every = range(len(self.records))
        return (self.decode(every[start : start + _CHUNK]) for start in every[::_CHUNK])


def read(name: str, source: Path | None) -> Parts:
    """Reads the parts of the TFDS data set `name` into memory, from where `splits` finds it.

    Raises `InputError` as `splits` does, and where the data set is larger than this machine's memory.
    """
    prepared = splits(name, source)
    size = sum(split.nbytes for split in prepared.values())
    if size > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise InputError(
            f"tfds:{name} takes {size:,} bytes, more than this machine's memory: run `aejax data pack tfds:{name} DIR` "
            "and train on --data DIR, which stays on disk"
        )
    with _explaining(name):
        parts = {part: split.decode(range(len(split.records))) for part, split in prepared.items()}
    return Parts(parts, schema_of(prepared))


def schema_of(prepared: Mapping[str, Split]) -> Schema:
    """Returns the names of the classes of a data set's parts, which are those of each."""
    return Schema(next(iter(prepared.values())).classes)


def splits(name: str, source: Path | None = None) -> dict[str, Split]:
    """Returns the parts of the TFDS data set `name`, with or without a configuration and a version (`emnist/balanced`).

    `source` is the folder that TFDS calls `manual_dir`, or one in which TFDS has prepared the data set. Raises
    `InputError` where TFDS has no such data set or cannot prepare it here, and where it holds neither images of
    one size nor vectors.
    """
    with _explaining(name):
        builder = _builder(name, source)
        x, labels = _fields(name, builder.info)
        _prepare(name, builder, source)
        return {
            part: Split(builder.as_data_source(split=split), builder.info.features, x, labels)
            for part, split in _splits(name, builder.info.splits).items()
        }


@contextmanager
def _explaining(name: str) -> Iterator[None]:
    """Silences TFDS, and turns its errors into `InputError` with one sentence."""
    with quiet():
        try:
            yield
        except InputError:
            raise
        except Exception as error:  # every data set of TFDS raises exceptions of its own
            raise _explained(name, error) from error


def _builder(name: str, source: Path | None) -> Any:
    """Returns TFDS's builder, in the format that can be read without TensorFlow.

    It is that of `source` if the data set is prepared there, else that of the cache folder.
    """
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    base = re.split("[/:]", name)[0]
    if base not in known:
        raise InputError(f"TFDS has no data set named {base!r}: {nearest(base, known) or 'see its catalogue'}")
    folders = [cache.cache_folder() / "tfds"] if source is None else [source, cache.cache_folder() / "tfds"]
    builders = [tfds.builder(name, data_dir=folder, file_format="array_record") for folder in folders]
    return next((builder for builder in builders if builder.is_prepared()), builders[-1])


def _fields(name: str, info: Any) -> tuple[str, tuple[str, ...]]:
    """Returns the keys of the examples and of their class labels; those that TFDS calls supervised come first.

    Of several labels only the first is used, except for data with known factors, whose labels are all kept.
    """
    import tensorflow_datasets as tfds

    def vector(feature: Any) -> bool:
        is_vector = isinstance(feature, tfds.features.Tensor) and len(feature.shape) == 1
        return is_vector and np.issubdtype(feature.np_dtype, np.floating)

    first = {key: info.features[key] for key in info.supervised_keys or () if key in info.features}
    features = first | dict(info.features.items())
    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    inputs = images or [key for key, feature in features.items() if vector(feature)]
    labels = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    if not inputs:
        raise InputError(f"tfds:{name} holds {', '.join(features)}: aejax needs an image or a vector of floats")
    if None in features[inputs[0]].shape:
        raise InputError(
            f"the examples of tfds:{name} differ in size (their shape is {features[inputs[0]].shape}): "
            "make them one size and give them as a .npy file or a folder of images"
        )
    factors = factors_of(f"tfds:{name}")
    return inputs[0], tuple(labels[:1] if factors is None else factors.sizes)


def _prepare(name: str, builder: Any, source: Path | None) -> None:
    """Lets TFDS download and write its files, unless it has them. Raises `InputError` if the server does not answer."""
    import tensorflow_datasets as tfds

    url = next(iter(builder.url_infos or ()), None)
    if source is None and url and not builder.is_prepared() and not reachable(url):
        raise InputError(
            f"tfds:{name} is not on this machine and {urlsplit(url).hostname} does not answer: run "
            f"`aejax data prepare tfds:{name} --from DIR` with the folder that holds the files TFDS asks for"
        )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=source, try_download_gcs=False)
    )


def _splits(name: str, splits: Iterable[str]) -> dict[str, str]:
    """Returns TFDS's name of each part; a single split is train, whatever its name."""
    known = {part: part for part in ("train", "validation", "test") if part in splits}
    if "train" in known:
        return known
    if len(list(splits)) == 1:
        return {"train": next(iter(splits))}
    raise InputError(f"tfds:{name} has the splits {', '.join(splits)}: aejax needs one named train")


def _explained(name: str, error: BaseException) -> InputError:
    """Turns an error of TFDS into one sentence.

    The sentence quotes the error that caused the others, because those quote whole examples.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    lacks_tensorflow = isinstance(error, ImportError) and error.name == "tensorflow"
    if lacks_tensorflow or "No module named 'tensorflow'" in text:
        return InputError(
            f"TFDS needs TensorFlow to prepare {name} (and not to read it afterwards): install it with "
            '`pip install "aejax[tensorflow]"`'
        )
    return InputError(f"TFDS could not prepare {name} ({type(error).__name__}: {text[:200]}): see its catalogue")
