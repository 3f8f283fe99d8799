"""Measures training that reads MNIST from disk while it runs, against training that holds it on the device.

    aejax data prepare mnist --from DIR && python scripts/bench_stream.py

It writes the results as JSON, and their table into docs/results.md. `--reading` measures anew how fast rows of
float16 come from disk, and keeps the rest.

Each way runs in a process of its own. The two train in turn, one or more epochs a turn, on all 60,000 images. The
share of the time that is spent waiting for input is an upper bound: the device may still be at work meanwhile.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from contest import contest, work

BUFFER = 0.03
"""Gigabytes of memory for streaming; the whole of MNIST takes 0.047."""
WAYS = ["in memory", "streamed"]
SETTINGS = {
    "ae-keras": {"experiment": "ae-keras", "epochs": 10, "contenders": WAYS},
    "ae-conv": {"experiment": "ae-conv", "epochs": 1, "contenders": WAYS},
}
RESULTS = Path(__file__).parent / "results" / "bench_stream.json"


def contender(path: str, setting: dict[str, Any], buffer: float) -> tuple[Any, Any, dict[str, Any]]:
    """Makes a contender that trains some epochs in a turn. The first turn compiles, and is not counted.

    Args:
        path: the folder of packed data.
        setting: the experiment's name and the number of epochs in a turn.
        buffer: gigabytes; a larger training part is streamed from disk.

    Returns:
        A function that trains one turn, one that measures the loss on test in nats, and a dictionary of facts, to which
        the latter adds the seconds of a turn that were spent waiting for input.
    """
    import jax

    import aejax
    from aejax.data import load
    from aejax.devices import Parallel, Program
    from aejax.runs import Recording
    from aejax.trained import Trained
    from aejax.training import Engine, Stop, source_for

    given = aejax.get(setting["experiment"])
    data = dataclasses.replace(given.data, name=path, validation=0.0)
    dataset = load(data)
    # So many epochs that reading ahead never comes to an end.
    experiment = dataclasses.replace(given, data=data, epochs=10**6).resolve(dataset)
    parallel = Parallel().resolve(experiment)
    source = source_for(experiment, dataset, data.preprocess, parallel, buffer)
    program = Program.of(experiment, data.preprocess, parallel)
    engine = Engine(program, source, parallel.place(program.init(dataset.shape)), 0, copies=False)
    turns, facts = [], {}

    def turn() -> None:
        stop = engine.step + setting["epochs"] * source.steps
        with Recording() as recorded:
            for window in engine.windows([Stop(stop)]):
                jax.block_until_ready(window.metrics)
            jax.block_until_ready(engine.state)
        turns.append(sum(recorded.seconds.get("input", [0.0])))

    def final() -> float:
        facts["input_wait_seconds"] = sum(turns[1:]) / max(len(turns) - 1, 1)
        return Trained(experiment, dataset.shape, data.preprocess, engine.state).evaluate(dataset.test.within())[
            "loss_nats"
        ]

    return turn, final, facts


CONTENDERS = {
    "in memory": lambda path, setting: contender(path, setting, 1.0),
    "streamed": lambda path, setting: contender(path, setting, BUFFER),
}


def measured(name: str, path: Path, rounds: int) -> dict[str, Any]:
    """Runs the contest of an experiment, and adds throughput and the share of the time spent waiting for input.

    Args:
        name: the setting, one of `SETTINGS`.
        path: the folder of packed data.
        rounds: the number of turns of each way that are counted.
    """
    setting = SETTINGS[name]
    result = contest(__file__, setting, path, rounds)
    rows = result["rows"]
    for row in rows.values():  # the contest's seconds are those of a turn
        row["epoch_seconds"] /= setting["epochs"]
        row["input_wait_seconds"] /= setting["epochs"]
        row["examples_per_second"] = 60_000 / row["epoch_seconds"]
    streamed = rows["streamed"]
    return result | {
        "share_of_throughput": result["ratios"]["streamed"],
        "input_wait_share": streamed["input_wait_seconds"] / streamed["epoch_seconds"],
    }


ROWS, VALUES, BATCH, ROUNDS = 1_500_000, 384, 4096, 5
"""Of activations of a small language model: their number, the values of each, kept as float16, a batch, and how often
each way of reading them is measured, in turn."""


def reading(folder: Path, rows: int = ROWS, window: float = 128.0) -> dict[str, float]:
    """Measures how many rows of float16 a second come to the device in the order of training, without a step.

    A tenth of the rows is held out one by one: it is read with those around it, and does not count.

    Args:
        folder: an empty folder for the rows.
        rows: their number.
        window: megabytes that are shuffled together.

    Returns:
        Rows a second, medians: where the files are in the page cache and where they are not, and those that reading the
        files from end to end gives where they are not; and the share of these that it reaches.
    """
    import numpy as np

    from aejax.data import pack

    draw = np.random.default_rng(0)
    few = draw.random((2**14, VALUES), np.float32).astype(np.float16)
    batches = [few[: min(len(few), rows - at)] for at in range(0, rows, len(few))]
    pack(batches, folder / "rows")
    files = sorted((folder / "rows").glob("*.npy"))
    times: dict[str, list[float]] = {"cached_rows_per_second": [], "cold_rows_per_second": [], "sequential": []}
    _streamed(folder / "rows", window)  # imports, and memory that comes from the system
    for _ in range(ROUNDS):
        times["cached_rows_per_second"].append(_streamed(folder / "rows", window))
        _forget(files)
        times["sequential"].append(rows / _sequential_seconds(files))
        _forget(files)
        times["cold_rows_per_second"].append(_streamed(folder / "rows", window))
    found = {name: statistics.median(each) for name, each in times.items()}
    shares = zip(times["cold_rows_per_second"], times["sequential"], strict=True)
    return found | {"share_of_sequential": statistics.median(cold / whole for cold, whole in shares)}


def _streamed(path: Path, window: float) -> float:
    """Returns how many rows a second one epoch brings to the device, from its first batch to its last."""
    import jax

    import aejax
    from aejax.data import Data, Scale, load
    from aejax.devices import Parallel
    from aejax.training import source_for

    data = Data(str(path), validation=0.0, window=window)
    dataset = load(data)
    given = dataclasses.replace(aejax.get("ae-keras"), data=data, batch_size=BATCH, epochs=1).resolve(dataset)
    buffer = (2 * window + 150) / 1000  # gigabytes: two windows, and chunks of batches
    source = source_for(given, dataset, Scale(), Parallel(devices=1).resolve(given), buffer)
    start = time.perf_counter()
    for batches in source.batches(0, source.steps):
        jax.block_until_ready(batches)
    return source.steps * BATCH / (time.perf_counter() - start)


def _forget(files: list[Path]) -> None:
    """Asks the system to drop the pages of files from its cache."""
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _sequential_seconds(files: list[Path]) -> float:
    """Returns the seconds that reading files from end to end takes, a megabyte at a time."""
    start = time.perf_counter()
    for file in files:
        with file.open("rb", buffering=0) as opened:
            while opened.read(2**20):
                pass
    return time.perf_counter() - start


def main() -> None:
    """Runs both ways for each setting and writes the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each that are counted")
    parser.add_argument("--reading", action="store_true", help="measure the rows of float16 alone")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    import tables

    from aejax.data import pack
    from aejax.runs import hardware, versions

    with tempfile.TemporaryDirectory() as folder:
        if arguments.reading:
            result = json.loads(arguments.out.read_text())
        else:
            path = Path(folder) / "mnist"
            pack("mnist", path)
            result = {"hardware": hardware(), "versions": versions(), "buffer_gigabytes": BUFFER}
            result |= {name: measured(name, path, arguments.rounds) for name in SETTINGS}
        result["rows of 384 float16"] = reading(Path(folder))
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    for name in SETTINGS:
        print(name, {key: result[name][key] for key in ("share_of_throughput", "input_wait_share")})
    print("rows of 384 float16", result["rows of 384 float16"])
    if arguments.out == RESULTS:
        for page, text in tables.written().items():
            page.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(CONTENDERS, *sys.argv[2:])
    else:
        main()
