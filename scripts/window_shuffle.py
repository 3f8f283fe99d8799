"""Measures what shuffling within windows gives up against shuffling whole: MNIST sorted by class, streamed.

    aejax data prepare mnist --from DIR && python scripts/window_shuffle.py

In such a file each class is one stretch, the worst case for a shuffle that does not see all of it. An autoencoder is
trained from several seeds on a whole shuffle and through windows of several sizes; the means of the last loss on test
are compared, and how far apart they may be by the seeds alone.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import aejax
from aejax.data import Data, load, pack
from aejax.devices import enable_compilation_cache
from aejax.runs import hardware, versions

MEGABYTES = (16.0, 4.0, 1.0)
"""The windows; all of MNIST takes 47."""
CHUNKS = 2
"""Megabytes of batches beside two windows."""
RESULT = Path(__file__).parent / "results" / "window_shuffle.json"


def sorted_by_class(name: str, folder: Path) -> Path:
    """Packs the parts of labelled data with each class in one stretch, and returns the folder.

    Args:
        name: the data.
        folder: where the folder is made.
    """
    dataset = load(Data(name, validation=0.0))
    for part in ("train", "test"):
        held = dataset.part(part).read()
        order = np.argsort(held.label, kind="stable")
        pack([{"x": held.x[order], "label": held.label[order]}], folder / "sorted", part=part)
    return folder / "sorted"


def final_loss(path: Path, window: float | None, epochs: int, seed: int) -> float:
    """Trains once, and returns the loss on test in nats.

    Args:
        path: the packed data.
        window: megabytes that are shuffled together; None: all, in memory.
        epochs: the number of epochs.
        seed: the seed of weights and order.
    """
    given = aejax.get("ae-keras")
    data = dataclasses.replace(given.data, name=str(path), validation=0.0, window=window or given.data.window)
    experiment = dataclasses.replace(given, data=data, epochs=epochs, seed=seed)
    dataset = load(data)
    buffer = 1.0 if window is None else (2 * window + CHUNKS) / 1000
    if window is not None and dataset.train.nbytes <= 1e9 * buffer:
        raise ValueError(f"windows of {window:g} MB: the data would be in memory")
    return aejax.fit(experiment, dataset=dataset, buffer=buffer).evaluate(dataset.test)["loss_nats"]


def main() -> None:
    """Prints the mean losses beside their noise, and writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--windows", type=float, nargs="+", default=MEGABYTES, help="megabytes each")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    enable_compilation_cache()
    start, rows = time.perf_counter(), dict[str, Any]()
    with tempfile.TemporaryDirectory() as temporary:
        path = sorted_by_class(options.data, Path(temporary))
        for window in (None, *options.windows):
            losses = [final_loss(path, window, options.epochs, seed) for seed in range(options.seeds)]
            row = {"losses_nats": losses, "mean": statistics.mean(losses), "deviation": statistics.stdev(losses)}
            whole = rows.setdefault("whole", row)
            row["above_whole"] = row["mean"] - whole["mean"]
            row["standard_error"] = ((row["deviation"] ** 2 + whole["deviation"] ** 2) / options.seeds) ** 0.5
            rows["whole" if window is None else f"{window:g} MB"] = row
            print(*(f"{name} {row[name]:.4f}" for name in row if name != "losses_nats"), f"window {window}", flush=True)
    settings = {"data": options.data, "epochs": options.epochs, "seeds": options.seeds}
    seconds = {"seconds": time.perf_counter() - start}
    result = {"hardware": hardware(), "versions": versions()} | settings | {"rows": rows} | seconds
    options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
