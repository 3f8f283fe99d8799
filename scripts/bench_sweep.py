"""Measures a sweep of 32 settings against the same as single runs, as processes, and as PyTorch loops.

    pip install -e ".[bench]" && aejax data prepare mnist --from DIR && python scripts/bench_sweep.py

The settings are 8 learning rates and 4 seeds of ae-keras, a few epochs each. Every way of running
them is a process of its own from start to end, compiling and reading data included; they run in
turn, each `--rounds` times, and the medians count.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RATES = [1e-4, 2e-4, 4e-4, 7e-4, 1e-3, 2e-3, 4e-3, 7e-3]
SEEDS = range(4)
RESULTS = Path(__file__).parent / "results" / "bench_sweep.json"
AXES = [f"optimizer.learning-rate={','.join(map(str, RATES))}", f"seed=0..{len(SEEDS) - 1}"]


def sweep(epochs: int, width: int, shared: bool) -> None:
    """`aejax sweep`, with every result on disk."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"epochs={epochs}", "--out", f"{folder}/sweep", "--width", str(width)]
        _aejax("sweep", "ae-keras", *AXES, *flags, *(["--shared-order"] if shared else []))
        results = [json.loads(path.read_text()) for path in Path(folder).glob("sweep/results/*.json")]
    assert len(results) == len(RATES) * len(SEEDS)
    print(json.dumps(statistics.mean(result["test"]["loss_nats"] for result in results)))


def fits(epochs: int) -> None:
    """32 calls of `aejax.fit`, one after the other in this process: one compiled program serves them all."""
    import dataclasses

    import aejax
    from aejax.data import load
    from aejax.devices import start
    from aejax.optim import Adam

    start()
    base = dataclasses.replace(aejax.get("ae-keras"), epochs=epochs)
    dataset = load(base.data)
    settings = [dataclasses.replace(base, optimizer=Adam(rate), seed=seed) for rate in RATES for seed in SEEDS]
    losses = [aejax.fit(setting, dataset=dataset).evaluate(dataset.test)["loss_nats"] for setting in settings]
    print(json.dumps(statistics.mean(losses)))


def processes(epochs: int) -> None:
    """32 processes of `aejax train`, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        for rate in RATES:
            for seed in SEEDS:
                flags = ["--optimizer.learning-rate", str(rate), "--seed", str(seed), "--epochs", str(epochs)]
                _aejax("train", "ae-keras", *flags, "--out", folder)
        results = [json.loads(path.read_text()) for path in Path(folder).glob("*/*/result.json")]
    print(json.dumps(statistics.mean(result["test"]["loss_nats"] for result in results)))


def loops(epochs: int) -> None:
    """32 PyTorch loops in this process, the data in memory."""
    import numpy as np
    import torch

    from aejax.data import Data, load

    torch.set_num_threads(os.cpu_count() or 1)
    data = load(Data("mnist", validation=0.0))
    x, test = (
        torch.from_numpy(np.asarray(part.x).reshape(len(part), -1)).float() / 255 for part in (data.train, data.test)
    )
    losses = []
    for rate in RATES:
        for seed in SEEDS:
            torch.manual_seed(seed)
            model = torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 784))
            for parameter in model.parameters():
                (torch.nn.init.xavier_uniform_ if parameter.ndim > 1 else torch.nn.init.zeros_)(parameter)
            optimizer = torch.optim.Adam(model.parameters(), rate)
            measure = torch.nn.BCEWithLogitsLoss()
            for _ in range(epochs):
                order = torch.randperm(len(x))
                for start in range(0, len(x) - 255, 256):
                    batch = x[order[start : start + 256]]
                    optimizer.zero_grad()
                    measure(model(batch), batch).backward()
                    optimizer.step()
            with torch.no_grad():
                losses.append(784 * float(measure(model(test), test)))
    print(json.dumps(statistics.mean(losses)))


def _aejax(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "aejax", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr
    )


WAYS = {
    "sweep": lambda epochs, width: sweep(epochs, width, shared=False),
    "sweep, shared order": lambda epochs, width: sweep(epochs, width, shared=True),
    "fit calls": lambda epochs, width: fits(epochs),
    "PyTorch loops": lambda epochs, width: loops(epochs),
    "train processes": lambda epochs, width: processes(epochs),
}


def measured(way: str, epochs: int, width: int) -> dict[str, float]:
    """Seconds and memory of one process, and the mean test loss that it reached."""
    with tempfile.TemporaryDirectory() as folder:
        # Nothing compiled beforehand, for anybody; among a way's own processes the cache works as it does for users.
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": folder}
        command = [sys.executable, __file__, "--way", way, str(epochs), str(width)]
        start = time.perf_counter()
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return {"seconds": time.perf_counter() - start, "loss": float(re.findall(r"[\d.]+", done.stdout)[-1])}


def main() -> None:
    """Runs the comparison and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--width", type=int, default=32, help="trials that the sweep trains at once")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    from aejax.runs import hardware, versions

    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(1, arguments.rounds + 1):
        for way, found in rounds.items():
            found.append(measured(way, arguments.epochs, arguments.width))
            print(f"round {number}: {way} {found[-1]['seconds']:.1f} s, loss {found[-1]['loss']:.2f}", flush=True)
    rows: dict[str, Any] = {
        way: {name: statistics.median(item[name] for item in found) for name in ("seconds", "loss")}
        for way, found in rounds.items()
    }
    ratios = {
        own: {
            way: rows[own]["seconds"] / rows[way]["seconds"]
            for way in ("fit calls", "PyTorch loops", "train processes")
        }
        for own in ("sweep", "sweep, shared order")
    }
    content = {
        "hardware": hardware(),
        "versions": versions(),
        "trials": len(RATES) * len(SEEDS),
        "epochs": arguments.epochs,
        "width": arguments.width,
        "rows": rows,
        "ratios": ratios,
    }
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(ratios, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        WAYS[sys.argv[2]](int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
