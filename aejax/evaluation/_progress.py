"""Shows a progress bar on standard error while a measure takes long."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import rich.progress
from rich.console import Console

T = TypeVar("T")


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Yields the items one after the other, with a progress bar beside the label `what`.

    The bar is shown on a terminal alone, and goes away at the end.
    """
    console = Console(stderr=True)
    yield from rich.progress.track(items, what, console=console, transient=True, disable=not console.is_terminal)
