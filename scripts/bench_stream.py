"""Measures training that reads MNIST from disk while it runs, against training that holds it on the device.

    aejax data prepare mnist --from DIR && python scripts/bench_stream.py

Both ways are processes of their own that train in turn, several epochs a turn, on all 60,000 images. The share
of the time that is spent waiting for input is an upper bound: the device may still be at work meanwhile.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from contest import contest, work

BUFFER = 0.03
"""Gigabytes: MNIST takes 0.047."""
WAYS = ["in memory", "streamed"]
SETTINGS = {
    "ae-keras": {"experiment": "ae-keras", "epochs": 10, "contenders": WAYS},
    "ae-conv": {"experiment": "ae-conv", "epochs": 1, "contenders": WAYS},
}
RESULTS = Path(__file__).parent / "results" / "bench_stream.json"


def contender(path: str, setting: dict[str, Any], buffer: float) -> tuple[Any, Any, dict[str, Any]]:
    """Some epochs a turn, the first turn of which compiles and counts for nothing."""
    import dataclasses

    import jax

    import aejax
    from aejax import devices
    from aejax.core import as_arrays, blank_example
    from aejax.data import load
    from aejax.devices import Parallel
    from aejax.runs import Recording
    from aejax.trained import Trained
    from aejax.training import source_for

    given = aejax.get(setting["experiment"])
    data = dataclasses.replace(given.data, name=path, validation=0.0)
    dataset = load(data)
    # Of epochs enough that reading ahead never ends.
    experiment = dataclasses.replace(given, data=data, epochs=10**6).resolve(dataset)
    preprocess = as_arrays(data.preprocess)
    parallel = Parallel().resolve(experiment)
    feed = source_for(experiment, dataset, preprocess, parallel, buffer)
    settings = as_arrays((experiment.loss, experiment.optimizer))
    fresh = devices.init(experiment.model, *settings, blank_example(dataset.shape), jax.random.key(0))
    state = parallel.place(fresh)
    turns, facts = [], {}

    def turn() -> None:
        nonlocal state
        with Recording() as recorded:
            for _ in range(setting["epochs"]):
                *_, (state, _) = feed.train(state)
            jax.block_until_ready(state)
        turns.append(sum(recorded.seconds.get("input", [0.0])))

    def final() -> float:
        facts["input_wait_seconds"] = sum(turns[1:]) / max(len(turns) - 1, 1)
        return Trained(experiment, dataset.shape, preprocess, state).evaluate(dataset.test.within())["loss_nats"]

    return turn, final, facts


CONTENDERS = {
    "in memory": lambda path, setting: contender(path, setting, 1.0),
    "streamed": lambda path, setting: contender(path, setting, BUFFER),
}


def measured(name: str, path: Path, rounds: int) -> dict[str, Any]:
    """The contest, with throughput in memory and streamed, and the share of the time that input is waited for."""
    setting = SETTINGS[name]
    result = contest(__file__, setting, path, rounds)
    rows = result["rows"]
    for row in rows.values():  # of a turn, until here
        row["epoch_seconds"] /= setting["epochs"]
        row["input_wait_seconds"] /= setting["epochs"]
        row["examples_per_second"] = 60_000 / row["epoch_seconds"]
    streamed = rows["streamed"]
    return result | {
        "share_of_throughput": result["ratios"]["streamed"],
        "input_wait_share": streamed["input_wait_seconds"] / streamed["epoch_seconds"],
    }


def main() -> None:
    """Runs both and writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each that are counted")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()

    from aejax.data import pack
    from aejax.runs import hardware, versions

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mnist"
        pack("mnist", path)
        result = {"hardware": hardware(), "versions": versions(), "buffer_gigabytes": BUFFER}
        result |= {name: measured(name, path, arguments.rounds) for name in SETTINGS}
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    for name in SETTINGS:
        print(name, {key: result[name][key] for key in ("share_of_throughput", "input_wait_share")})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(CONTENDERS, *sys.argv[2:])
    else:
        main()
