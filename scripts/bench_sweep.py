"""Measures a sweep of 32 settings against the same settings as single runs, as processes, and as PyTorch loops.

    pip install -e ".[bench]" && aejax data prepare mnist --from DIR && python scripts/bench_sweep.py

The settings are 8 learning rates and 4 seeds of ae-keras, 5 epochs each. Every way of running them is timed as a
process of its own from start to end, imports, compiling and reading data included. The ways run in turn, each
`--rounds` times, and medians are compared; the processes of `aejax train`, which take long, run once. All of it
takes less than twelve minutes on two cores.
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

from contest import check_same_loss

RATES = [1e-4, 2e-4, 4e-4, 7e-4, 1e-3, 2e-3, 4e-3, 7e-3]
SEEDS = range(4)
RESULTS = Path(__file__).parent / "results" / "bench_sweep.json"
AXES = [f"optimizer.learning-rate={','.join(map(str, RATES))}", f"seed=0..{len(SEEDS) - 1}"]


TRIALS = len(RATES) * len(SEEDS)
ONCE = "train processes"
"""The way that runs once."""


def sweep(epochs: int) -> None:
    """Runs `aejax sweep`, which writes every result to disk, and prints the mean test loss."""
    with tempfile.TemporaryDirectory() as folder:
        _aejax("sweep", "ae-keras", *AXES, f"epochs={epochs}", "--out", f"{folder}/sweep")
        results = [json.loads(path.read_text()) for path in Path(folder).glob("sweep/results/*.json")]
    assert len(results) == TRIALS
    print(json.dumps(statistics.mean(result["test"]["loss_nats"] for result in results)))


def fits(epochs: int) -> None:
    """Calls `aejax.fit` 32 times in this process, and prints the mean test loss.

    One compiled program serves all calls.
    """
    import dataclasses

    import aejax
    from aejax.core import Adam
    from aejax.data import load
    from aejax.devices import enable_compilation_cache

    enable_compilation_cache()
    base = dataclasses.replace(aejax.get("ae-keras"), epochs=epochs)
    dataset = load(base.data)
    settings = [dataclasses.replace(base, optimizer=Adam(rate), seed=seed) for rate in RATES for seed in SEEDS]
    losses = [aejax.fit(setting, dataset=dataset).evaluate(dataset.test)["loss_nats"] for setting in settings]
    print(json.dumps(statistics.mean(losses)))


def processes(epochs: int) -> None:
    """Runs 32 processes of `aejax train`, one after the other, and prints the mean test loss."""
    with tempfile.TemporaryDirectory() as folder:
        for rate in RATES:
            for seed in SEEDS:
                flags = ["--optimizer.learning-rate", str(rate), "--seed", str(seed), "--epochs", str(epochs)]
                _aejax("train", "ae-keras", *flags, "--out", folder)
        results = [json.loads(path.read_text()) for path in Path(folder).glob("*/*/result.json")]
    print(json.dumps(statistics.mean(result["test"]["loss_nats"] for result in results)))


def loops(epochs: int) -> None:
    """Runs 32 PyTorch loops in this process, with the data in memory, and prints the mean test loss."""
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


WAYS = {"sweep": sweep, "fit calls": fits, "PyTorch loops": loops, ONCE: processes}


def measured(way: str, epochs: int) -> dict[str, float]:
    """Measures one way: its seconds, the peak resident memory of its largest process, and the mean test loss."""
    with tempfile.TemporaryDirectory() as folder:
        # Every way begins with an empty compilation cache, which its own processes share as they do for users.
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": folder}
        command = [sys.executable, __file__, "--way", way, str(epochs)]
        start = time.perf_counter()
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            printed = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{way} failed: see above")
    return {"seconds": seconds, "loss": float(re.findall(r"[\d.]+", printed)[-1]), "resident_mb": used.ru_maxrss / 1024}


def main() -> None:
    """Runs the comparison and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="without some there is no JSON")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    from aejax.runs import hardware, versions

    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in arguments.ways}
    for number in range(1, arguments.rounds + 1):
        for way, found in rounds.items():
            if way == ONCE and number > 1:
                continue
            found.append(measured(way, arguments.epochs))
            print(f"round {number}: {way}", *(f"{name} {value:.2f}" for name, value in found[-1].items()), flush=True)
    check_same_loss({way: found[0]["loss"] for way, found in rounds.items()})
    if len(rounds) < len(WAYS):
        return
    rows: dict[str, Any] = {
        way: {name: statistics.median(item[name] for item in found) for name in found[0]}
        for way, found in rounds.items()
    }
    rows["sweep"]["resident_mb_a_member"] = rows["sweep"]["resident_mb"] / TRIALS
    ratios = {way: rows["sweep"]["seconds"] / rows[way]["seconds"] for way in WAYS if way != "sweep"}
    content = {
        "hardware": hardware(),
        "versions": versions(),
        "trials": TRIALS,
        "epochs": arguments.epochs,
        "rows": rows,
        "ratios": ratios,
    }
    arguments.out.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(ratios, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        WAYS[sys.argv[2]](int(sys.argv[3]))
    else:
        main()
