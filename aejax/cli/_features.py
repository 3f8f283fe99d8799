"""Holds `aejax features`: the page of what the units of a sparse code stand for."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from aejax.cli._common import Split, check_out, examples, load_run
from aejax.core import InputError


@dataclass(frozen=True)
class FeaturesCommand:
    """Makes a page of what the units of a sparse code stand for: when they are active, and for which examples most."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    out: Path
    """The page to write, .html: one file, which needs no server."""
    data: str | None = None
    """A data set's name or a path, read as the run's own data; by default those data."""
    split: Split | None = None
    """The part to take, of data that have parts or that the run was trained on; by default test, and all of a file
    without parts."""
    tokens: Path | None = None
    """Where examples are activations of a text: a .npy of the number of each one's token, [n] or [contexts, length]."""
    vocabulary: Path | None = None
    """The word of each of these numbers: a text file with one a line, the first that of 0."""
    units: tuple[int, ...] = ()
    """The units to show; by default some of those that are active, from rare ones to frequent ones."""
    most: int = 100
    """The largest number of units to show where none are named; the table has all of them."""

    def __call__(self) -> None:
        """Writes the page, and prints its path and how many units it shows."""
        from aejax.evaluation import Text, features_page
        from aejax.runs import write_atomically

        check_out(self.out, (".html", ".htm"))
        if (self.tokens is None) != (self.vocabulary is None):
            raise InputError("--tokens are numbers that --vocabulary has the words of: give both, or neither")
        trained = load_run(self.run)
        given = examples(trained, self.data, self.split)
        text = None
        if self.tokens is not None and self.vocabulary is not None:
            text = Text.read(self.tokens, self.vocabulary, len(given.examples))
        page = features_page(trained, given.examples, given.called, text, self.units, self.most)
        write_atomically(self.out, page)
        print(f"{self.out}: {len(page) / 1e6:.1f} MB, open it in a browser")
