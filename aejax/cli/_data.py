"""Holds the commands on data sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from aejax.cli._common import print_names


@dataclass(frozen=True)
class DataCommand:
    """Lists, prepares and packs data sets: see `aejax data --help`."""


@dataclass(frozen=True)
class DataListCommand:
    """Lists the data sets that have a name."""

    def __call__(self) -> None:
        """Prints a line for each data set, and what else can be given as one."""
        from aejax.data import names

        print_names(
            names()
            | {
                "tfds:NAME": "any TFDS data set of images or vectors",
                "PATH": ".npy, .npz, .mat, a folder of images or one that `aejax data pack` made",
            }
        )


@dataclass(frozen=True)
class DataPrepareCommand:
    """Puts a data set into the cache, once."""

    name: Positional[str]
    """A name that `aejax data list` shows."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A folder with the data set's original files; by default they are downloaded."""

    def __call__(self) -> None:
        """Prepares the data set, and prints where it is."""
        from aejax.data import prepare

        print(prepare(self.name, self.source))


@dataclass(frozen=True)
class DataPackCommand:
    """Writes a data set in the form that is streamed from disk in training: for data that does not fit in memory."""

    source: Positional[str]
    """A data set's name, a path that any command reads, or a folder of .npy files that together are one data set."""
    out: Positional[Path]
    """The folder to make; give it as --data."""

    def __call__(self) -> None:
        """Packs the data set, and prints how many examples each part has."""
        from aejax.data import pack

        sizes = pack(self.source, self.out)
        print(f"{self.out}: {', '.join(f'{size:,} {name}' for name, size in sizes.items())}")
