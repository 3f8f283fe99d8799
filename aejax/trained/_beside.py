"""Keeps what was fitted to the codes of a trained model beside it, in a folder for each kind: KIND/STEP.safetensors."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from aejax.core import first_line
from aejax.runs import named_arrays, read_arrays, write_arrays

T = TypeVar("T")

log = logging.getLogger("aejax")

_SUFFIX = ".safetensors"


def write_beside(folder: Path, step: int, parts: Mapping[str, Any], texts: dict[str, str]) -> Path:
    """Writes trees of arrays and texts of a step, in place of others of that step.

    Args:
        folder: the folder of the kind, in that of a run or a saved model.
        step: the step whose codes they were fitted to.
        parts: the trees, by name.
        texts: the texts, by name.

    Returns:
        The file.

    Raises:
        OSError: where it cannot be written.
    """
    file = folder / f"{step}{_SUFFIX}"
    file.parent.mkdir(exist_ok=True)
    write_arrays(file, named_arrays(parts), texts)
    return file


def read_beside(folder: Path, step: int, what: str, made: Callable[[dict[str, Any], dict[str, str]], T]) -> T | None:
    """Reads what was fitted to the codes of a step; None where there is nothing, or it is damaged.

    A warning says of what is damaged, and where there is something of other steps alone.

    Args:
        folder: the folder of the kind, in that of a run or a saved model.
        step: the step.
        what: what it is, in words, for the warnings.
        made: makes it from the arrays and the texts; it may raise where they are not what it needs.
    """
    files = {file.stem: file for file in folder.glob(f"*{_SUFFIX}") if file.stem.isdecimal()}
    if str(step) not in files:
        if files:
            steps = ", ".join(sorted(files))
            log.warning("%s has a %s of step %s, none of step %d: fit one", folder.parent, what, steps, step)
        return None
    try:
        return made(*read_arrays(files[str(step)]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the %s %s is damaged (%s): fit it again", what, files[str(step)], first_line(error))
        return None
