"""Commands on data sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from aejax.commands.common import print_names


@dataclass(frozen=True)
class Data:
    """Lists and prepares data sets: see `aejax data --help`."""


@dataclass(frozen=True)
class DataList:
    """Lists the data sets that have a name."""

    def __call__(self) -> None:
        """Prints a line for each, and what else can be named."""
        from aejax.data import names

        print_names(
            names()
            | {
                "tfds:NAME": "any TFDS data set of images or vectors",
                "PATH": ".npy, .npz, .mat or a folder of images",
            }
        )


@dataclass(frozen=True)
class DataPrepare:
    """Puts a data set into the cache, once."""

    name: Positional[str]
    """A name that `aejax data list` shows."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A folder with the data set's original files; by default they are downloaded."""

    def __call__(self) -> None:
        """Prints where it went."""
        from aejax.data import prepare

        print(prepare(self.name, self.source))
