"""Trains registered experiments in full and keeps their results beside the published figures.

    reproduce.py ae-keras                    that one
    reproduce.py --all                       every experiment
    reproduce.py ae-keras --seeds 5          the mean and deviation over five seeds beside the figure
    reproduce.py ae-keras --seeds 5 --add    only the seeds that the result lacks
    reproduce.py --all --budget 3h           those not measured at this commit yet, the quickest first, for three hours

With --budget nothing is begun that its last time says is not in time; what was stopped at this commit goes on. Each
experiment writes experiments/results/NAME.json; `python scripts/tables.py` puts the results into README.md, into
docs/results.md and into the ledger that `aejax results` shows.
"""

import argparse
import dataclasses
import json
import math
import re
import time
from pathlib import Path
from typing import Any

import aejax
from aejax.core import json_text
from aejax.devices import enable_compilation_cache
from aejax.experiment import Experiment, canonical, from_json, ledger
from aejax.runs import commit, listing, write_atomically

RESULTS = Path(__file__).parents[1] / "experiments" / "results"
SAMPLES = 5000
"""Number of importance samples of each example with which most published likelihoods are estimated."""


def reproduce(name: str, folder: Path, samples: int | None = None, seeds: int = 1, add: bool = False) -> bool | None:
    """Trains one experiment with each seed, and keeps its result after every one.

    Args:
        name: the experiment.
        folder: the folder of the run directories.
        samples: the number of importance samples of each example for a likelihood; None: that of the figure.
        seeds: the number of seeds, from the experiment's own on. Of all but the first only the figure's metric is kept.
        add: whether seeds that the result has already, of the same settings, count whatever commit they were trained
            at; else only those of this one do.

    Returns:
        Whether the figure is met; None where its metric was not measured with so many samples, and nothing is kept.
    """
    experiment = aejax.get(name)
    assert experiment.expected is not None
    samples = samples_of(experiment.expected.metric) if samples is None else samples
    result = kept(name)
    # A result without a list of seeds is of an older form: it stays until there are as many seeds.
    before = 0 if "runs" in result or not result.get("comparison") else result["comparison"]["seeds"]
    have = counted(result, experiment, add) if add or seeds > 1 else {}
    if experiment.seed not in have:
        have = {}
    for seed in range(experiment.seed, experiment.seed + seeds):
        if seed in have:
            continue
        trained = train(dataclasses.replace(experiment, seed=seed), folder, samples)
        if trained["comparison"] is None:
            return None
        if seed == experiment.seed:
            result = trained | {"settings": experiment.expected.settings}
        have[seed] = {"seed": seed, "value": trained["test"][experiment.expected.metric], "commit": commit()}
        result["runs"] = [have[seed] for seed in sorted(have)]
        result["comparison"] = experiment.expected.compare([run["value"] for run in result["runs"]])
        result["met"] = result["comparison"]["met"]
        if len(have) >= min(seeds, before):
            RESULTS.mkdir(exist_ok=True)
            write_atomically(RESULTS / f"{name}.json", json_text(result, indent=2) + "\n")
    return result["met"]


def counted(result: dict[str, Any], experiment: Experiment, add: bool) -> dict[int, dict[str, Any]]:
    """Returns the runs of a result that count for an experiment, by seed: see `reproduce`."""
    assert experiment.expected is not None
    runs = result.get("runs", ()) if result.get("settings") == experiment.expected.settings else ()
    return {run["seed"]: run for run in runs if add or run["commit"] == commit()}


def train(experiment: Experiment, folder: Path, samples: int) -> dict[str, Any]:
    """Trains an experiment, or goes on with its run that was stopped at this commit, and returns the run's result."""
    run = aejax.fit(
        experiment, folder=folder, resume=unfinished(experiment, folder), samples=samples, show_progress=True
    ).run
    assert run is not None
    result: dict[str, Any] = json.loads((run.path / "result.json").read_text())
    return result


def samples_of(metric: str) -> int:
    """Returns the number of importance samples that a metric's name says, or 5,000 where it says none."""
    said = re.match(r"nll_(\d+)_", metric)
    return SAMPLES if said is None else int(said[1])


def unfinished(experiment: Experiment, folder: Path) -> Path | None:
    """Returns the newest run of an experiment in a folder that was stopped at this commit; None where there is none."""
    if not (folder / experiment.name).is_dir():
        return None
    runs = [run for run in listing.find_runs(folder / experiment.name) if run.state in ("stopped", "failed")]
    made = {run.path: json.loads((run.path / "experiment.json").read_text()) for run in runs}
    own = [path for path, content in made.items() if content["provenance"][-1]["commit"] == commit()]
    own = [path for path in own if canonical(from_json(made[path]["experiment"])) == canonical(experiment)]
    return max(own, default=None)


def left_to_do(seeds: int, add: bool) -> dict[str, int]:
    """Returns the experiments that lack seeds, and how many, the quickest first, those never measured last."""
    seconds = {entry.name: entry.seconds for entry in ledger()}
    lacking = {name: lack(name, seeds, add) for name in aejax.names() if aejax.get(name).expected}
    names = sorted(filter(lacking.get, lacking), key=lambda name: seconds.get(name, math.inf))
    return {name: lacking[name] for name in names}


def lack(name: str, seeds: int, add: bool) -> int:
    """Returns how many seeds an experiment lacks: see `reproduce`."""
    result = kept(name)
    if result and "runs" not in result:  # of an older form
        measured = (result.get("comparison") or {"seeds": 1})["seeds"]
        return 0 if (add or result.get("commit") == commit()) and measured >= seeds else seeds
    return max(seeds - len(counted(result, aejax.get(name), add)), 0)


def kept(name: str) -> dict[str, Any]:
    """Returns the committed result of an experiment; an empty one where there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def parse_hours(text: str) -> float:
    """Returns the seconds of a time as `3h`, `90m` or `30s`. Raises `argparse.ArgumentTypeError` for any other text."""
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not number.replace(".", "", 1).isdigit():
        raise argparse.ArgumentTypeError(f"the time is {text!r}: give a number and h, m or s, as 3h")
    return float(number) * UNITS[unit]


UNITS = {"h": 3600, "m": 60, "s": 1}


def main() -> None:
    """Trains the experiments of the command line, and exits with 1 where a figure is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="registered experiments")
    parser.add_argument("--all", action="store_true", help="every registered experiment that has a figure")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the run directories")
    parser.add_argument(
        "--samples", type=int, help="of each example for a likelihood; by default those of the figure, or 5,000"
    )
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, whose mean is compared")
    parser.add_argument("--add", action="store_true", help="keep the seeds that a result has, of whatever commit")
    parser.add_argument("--budget", type=parse_hours, metavar="3h", help="the time that all may take: see above")
    arguments = parser.parse_args()
    if bool(arguments.names) == arguments.all:
        parser.error("give names of experiments, or --all")
    with_figure = [name for name in aejax.names() if aejax.get(name).expected]
    if other := [name for name in arguments.names if name not in with_figure]:
        parser.error(f"{other[0]!r} is no registered experiment that has a figure: `aejax results` shows those")
    enable_compilation_cache()
    lacking = dict.fromkeys(arguments.names or with_figure, arguments.seeds)
    if arguments.budget is not None:
        lacking = {name: n for name, n in left_to_do(arguments.seeds, arguments.add).items() if name in lacking}
    start, met = time.monotonic(), {}
    took = {entry.name: entry.seconds for entry in ledger()}
    for name, number in lacking.items():
        left = math.inf if arguments.budget is None else arguments.budget - (time.monotonic() - start)
        if took.get(name, 0.0) * number < left:
            met[name] = reproduce(name, arguments.out, arguments.samples, arguments.seeds, arguments.add)
    if len(met) < len(lacking):
        print(f"left for another time: {', '.join(name for name in lacking if name not in met)}")
    unknown, missed = ([name for name in met if met[name] is state] for state in (None, False))
    if unknown:
        print(f"not compared, because the figure's metric was not measured: {', '.join(unknown)}")
    if missed:
        raise SystemExit(f"not met: {', '.join(missed)}")


if __name__ == "__main__":
    main()
