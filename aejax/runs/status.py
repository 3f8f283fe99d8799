"""Says of a run how it stands and what its user calls it, in two small files that are read without its model.

state.json   how the run ended; before that, that it stopped, which is then true of whatever kills the process
notes.json   name, tags and note: only where one was given
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from aejax.core import InputError, Stopped, first_line, json_text
from aejax.runs.files import is_locked, read_object, write_atomically

State = Literal["running", "stopped", "failed", "done"]
"""How a run stands: at work, ended before its end, ended by an error, or trained and measured."""

_STATE, _NOTES = "state.json", "notes.json"


@dataclass(frozen=True)
class Notes:
    """Holds what a user says of a run."""

    name: str | None = None
    """What the run is called; None: nothing but its folder."""
    tags: tuple[str, ...] = ()
    """Words by which runs are found again."""
    note: str | None = None
    """A remark."""

    def __bool__(self) -> bool:
        return self != NO_NOTES


NO_NOTES = Notes()
"""Nothing is said of a run."""


def read_notes(run: Path) -> Notes:
    """Returns what was said of the run in a folder; what is damaged or was never said is left out."""
    content = read_object(run / _NOTES)
    name, tags, note = (content.get(key) for key in ("name", "tags", "note"))
    words = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    return Notes(name if isinstance(name, str) else None, words, note if isinstance(note, str) else None)


def add_notes(run: Path, notes: Notes) -> None:
    """Adds to what was said of the run in a folder: tags are added, a name or a note takes the place of the old one."""
    if notes:
        old = read_notes(run)
        tags = dict.fromkeys([*old.tags, *notes.tags])
        content = {"name": notes.name or old.name, "tags": [*tags], "note": notes.note or old.note}
        write_atomically(run / _NOTES, json_text(content, indent=2))


def read_state(run: Path) -> tuple[State, str | None]:
    """Returns how the run in a folder stands, and the first line of the error that ended it.

    A run of an older version, which did not say, is done where it has a result.
    """
    content = read_object(run / _STATE)
    if is_locked(run / "lock"):
        return "running", None
    older: State = "done" if (run / "result.json").exists() else "stopped"
    state: State = next((known for known in get_args(State) if known == content.get("state")), older)
    error = content.get("error")
    return state, error if isinstance(error, str) else None


def write_state(run: Path, state: State, error: str | None = None) -> None:
    """Writes how the run in a folder stands, for the time when nobody writes to it."""
    write_atomically(run / _STATE, json_text({"state": state, "error": error}))


@contextmanager
def failures_recorded(run: Path) -> Iterator[None]:
    """Writes down an error that ends the context. A refusal or a request to stop changes nothing in what is written."""
    try:
        yield
    except (InputError, Stopped):
        raise
    except Exception as error:
        with contextlib.suppress(OSError):  # the disk may be what failed
            write_state(run, "failed", first_line(error))
        raise
