"""Holds what the jobs of test_cluster run. It imports nothing heavy, so that they start at once."""

import os
import time
from pathlib import Path
from typing import NamedTuple


class Waits(NamedTuple):
    """Waits until the file `end` is in a folder, and leaves files there when it begins and when it tidies up."""

    folder: Path

    def __call__(self):
        (self.folder / f"{os.getpid()} began").touch()
        try:
            wait_until((self.folder / "end").exists)
        finally:
            (self.folder / f"{os.getpid()} tidied").touch()


def fail():
    raise ValueError("this is what it says")


def wait_until(happens):
    deadline = time.monotonic() + 200
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)
