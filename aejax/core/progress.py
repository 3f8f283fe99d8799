"""Shows how far work has come, on standard error or below a notebook's cell. Whatever shows progress does it here."""

import importlib.util
import warnings
from typing import Any, Protocol, Self

from aejax.core.sessions import is_notebook


class _Bar(Protocol):
    """Draws one bar."""

    def update(self, done: int, status: str) -> None:
        """Shows how much is done, and a few words beside it."""

    def close(self) -> None:
        """Ends the drawing of the bar, and leaves or removes it as was asked for."""


class Progress:
    """Shows what is done of a number of things, some words, and the time left, for the length of a context."""

    def __init__(
        self, what: str, total: int, done: int = 0, *, status: str = "", shown: bool | None = None, stays: bool = True
    ) -> None:
        """Says what is shown; drawing begins with the context.

        Args:
            what: what the work is called.
            total: the number of things to do.
            done: the number that is done already.
            status: the words at the beginning.
            shown: whether anything is drawn; None: on a terminal and in a notebook.
            stays: whether it stays there at the end.
        """
        self.what, self.total, self.done, self.status, self.stays = what, total, done, status, stays
        self.shown, self._bar = shown, list[_Bar]()

    def __enter__(self) -> Self:
        """Starts to draw the bar, where it is shown."""
        if self.shown is not False:
            notebook = is_notebook() and importlib.util.find_spec("tqdm") is not None
            self._bar = [_NotebookBar(self) if notebook else _TerminalBar(self)]
        return self

    def __exit__(self, *error: object) -> None:
        """Stops to draw the bar, whether or not there was an error."""
        for bar in self._bar:
            bar.close()

    def update(self, done: int, status: str = "") -> None:
        """Shows how much is done, and a few words beside it."""
        for bar in self._bar:
            bar.update(done, status)


class _TerminalBar:
    """Draws a bar with Rich."""

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self.bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=16 if console.width >= 100 else 8),  # so that 80 columns hold a training's line
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=not progress.stays,
            disable=progress.shown is None and not console.is_terminal,
        )
        self.task = self.bar.add_task(
            progress.what, total=progress.total, completed=progress.done, status=progress.status
        )
        self.bar.start()

    def update(self, done: int, status: str) -> None:
        self.bar.update(self.task, completed=done, status=status)

    def close(self) -> None:
        self.bar.stop()


class _NotebookBar:
    """Draws a bar with tqdm, which is a widget where ipywidgets is installed, and a line of text elsewhere."""

    def __init__(self, progress: Progress) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for ipywidgets, and does without
            from tqdm.auto import tqdm

        form = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"  # without its own rate
        start = {"desc": progress.what, "total": progress.total, "initial": progress.done}
        self.bar: Any = tqdm(**start, leave=progress.stays, bar_format=form)
        self.bar.set_postfix_str(progress.status)

    def update(self, done: int, status: str) -> None:
        self.bar.set_postfix_str(status, refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        self.bar.refresh()  # or the last of several updates within a tenth of a second were never shown
        self.bar.close()
