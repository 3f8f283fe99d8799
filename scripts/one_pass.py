"""Trains a linear model in one pass over 2^27 rows of 16 bytes from disk, left alone and killed three times on the way.

    python scripts/one_pass.py              2 GiB of disk, minutes; writes the result as JSON
    python scripts/one_pass.py --rows 25    2^25 rows, and writes nothing

Both runs must end with the same bits. Memory is flat if a run over twice as many rows holds no more: the peaks of one
over half of the rows and of one over all are compared.
"""

import argparse
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kill
import numpy as np

from aejax.data import pack
from aejax.runs import hardware, versions

VALUES, CODE, CHUNK, BATCH, KILLS = 16, 4, 2**20, 4096, 3
BUFFER, WINDOW, SAVE = 0.1, 16, 512
"""Gigabytes that may be in memory, megabytes that are shuffled together, and steps between checkpoints."""
FLAT = 50
"""Megabytes by which the peaks may differ, of a thousand that the data do."""
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""Lets what is freed go back at once: else the peaks say how busy the machine was, by up to 40 megabytes."""
RESULT = Path(__file__).parent / "results" / "one_pass.json"


def rows(size: int) -> Any:
    """Returns a function that draws rows from a given one on: mixtures of four values, as bytes."""
    mix = np.random.default_rng(0).normal(size=(CODE, VALUES)).astype(np.float32)

    def left(done: int) -> Iterator[np.ndarray]:
        for first in range(done, size, CHUNK):
            few = np.random.default_rng(first).standard_normal((min(CHUNK, size - first), CODE), np.float32)
            yield (127 + 40 * np.tanh(few @ mix)).astype(np.uint8)

    return left


def command(data: Path, folder: Path) -> list[str]:
    """Returns the command that begins the run in a folder, or resumes the one that is there."""
    runs = [path.parent for path in folder.rglob("experiment.json")]
    new = ["--out", folder, "--data", data, "--data.validation", 0, "--data.window", WINDOW, "--epochs", 1]
    new += ["--batch-size", BATCH, "--model.latent.size", CODE]
    often = ["--buffer", BUFFER, "--save-steps", SAVE, "--save-seconds", 1e9, "--no-figures"]
    where = ["--resume", runs[0]] if runs else new
    return [sys.executable, "-m", "aejax", "train", "ae-linear-32", *map(str, [*where, *often])]


def trained(data: Path, folder: Path, until: float) -> tuple[bool, float, float]:
    """Trains, and kills the process a little after a checkpoint.

    Args:
        data: the packed rows.
        folder: the folder of the run.
        until: the step from which on a checkpoint ends the process; infinite: none does.

    Returns:
        Whether it was killed, the seconds that it ran, and the most megabytes that it held.
    """
    start, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command(data, folder), stdout=said, stderr=said, env=os.environ | ALLOCATOR)
        while process.poll() is None:
            peak = max(peak, _peak_megabytes(process.pid))
            # Not by pathlib, which raises where a folder goes meanwhile.
            saved = [int(Path(path).stem) for path in glob.glob(f"{folder}/*/*/checkpoints/[0-9]*.safetensors")]
            if max(saved, default=0) >= until:
                time.sleep(random.uniform(0, 1))
                process.kill()
                process.wait()
            time.sleep(0.1)
        said.seek(0)
        assert process.returncode in (0, -signal.SIGKILL), said.read().decode()
    return process.returncode != 0, time.perf_counter() - start, peak


def _peak_megabytes(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:  # it has ended
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), default=0.0)


def measured(folder: Path, size: int) -> dict[str, Any]:
    """Packs rows, trains on them in one pass alone and killed, and returns what was seen.

    Args:
        folder: an empty folder.
        size: the number of rows.
    """
    start = time.perf_counter()
    pack(rows(size), folder / "all")
    seconds = time.perf_counter() - start
    pack(rows(size // 2), folder / "half")
    _, _, half = trained(folder / "half", folder / "fewer", np.inf)
    _, alone, whole = trained(folder / "all", folder / "alone", np.inf)
    steps, kills, peaks = 0.9 * size // BATCH, 0, []
    for number in range(KILLS):
        until = steps * random.uniform(number + 0.2, number + 0.9) / KILLS
        killed, _, peak = trained(folder / "all", folder / "killed", until)
        kills += killed
        peaks.append(peak)
    trained(folder / "all", folder / "killed", np.inf)
    return {
        "rows": size,
        "bytes_a_row": VALUES,
        "buffer_gigabytes": BUFFER,
        "window_megabytes": WINDOW,
        "pack_seconds": seconds,
        "train_seconds": alone,
        "rows_per_second": 0.9 * size / alone,
        "peak_megabytes": {"half of the rows": half, "all rows": whole, "when killed": max(peaks)},
        "kills": kills,
        "same_bits": kill.bits(folder / "alone") == kill.bits(folder / "killed"),
    }


def main() -> None:
    """Prints what was seen, fails where it is not as it must be, and writes the whole pass as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=27, help="the power of two that is their number")
    parser.add_argument("--folder", type=Path, help="where the disk has room; default: a temporary one")
    options = parser.parse_args()
    size = 2**options.rows
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        if (free := shutil.disk_usage(temporary).free) < 2 * VALUES * size:
            sys.exit(f"{temporary} has {free / 1e9:.1f} GB free: give a --folder with {2 * VALUES * size / 1e9:.1f} GB")
        found = measured(Path(temporary), size)
    print(json.dumps(found, indent=2))
    peaks = found["peak_megabytes"]
    assert found["kills"] == KILLS
    assert found["same_bits"], "the run that was killed ended with other bits"
    if options.rows == 27:  # of fewer, half are small enough that their parts are drawn row by row, and so held
        assert peaks["all rows"] - peaks["half of the rows"] < FLAT, "memory grows with the data"
        RESULT.write_text(json.dumps({"hardware": hardware(), "versions": versions()} | found, indent=2) + "\n")


if __name__ == "__main__":
    main()
