"""What the commands share: loading a run, refusing bad places to write, writing, listing."""

import os
from pathlib import Path
from typing import Any, Literal

from aejax.errors import InputError

Split = Literal["train", "validation", "test"]


def load_run(run: Path) -> Any:
    """The trained model of a run directory, with compiled programs kept."""
    from aejax.devices import start
    from aejax.trained import load

    start()
    return load(run)


def check_out(path: Path) -> None:
    """Raises `InputError` unless a file can be written there: said before the work, not after it."""
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: give a file in a folder that exists and may be written to")


def save_array(path: Path, array: Any) -> None:
    """Writes a .npy file whole, and prints where, of what shape and type."""
    import numpy as np

    from aejax.runs import write_atomically

    write_atomically(path, lambda file: np.save(file, array))
    print(f"{path}: {' x '.join(str(size) for size in array.shape)} {array.dtype}")


def print_names(lines: dict[str, str]) -> None:
    """Prints names with their lines beside them."""
    width = max(len(name) for name in lines)
    for name, line in lines.items():
        print(f"{name:{width}}  {line}")
