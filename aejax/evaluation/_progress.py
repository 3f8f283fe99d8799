"""Shows progress while a measure takes long."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from aejax.core import Progress

T = TypeVar("T")


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Yields the items one after the other, with a progress bar beside the label `what`.

    The bar is shown on a terminal and in a notebook alone, and goes away at the end.
    """
    with Progress(what, len(items), stays=False) as bar:
        for done, item in enumerate(items, 1):
            yield item
            bar.update(done)
