"""Progress bars, on standard error: of a training run, and of anything else that takes long."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import rich.progress
from rich.console import Console

T = TypeVar("T")


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """The items one after the other, with a bar of how far they are on a terminal, gone when they are done."""
    console = Console(stderr=True)
    yield from rich.progress.track(items, what, console=console, transient=True, disable=not console.is_terminal)
