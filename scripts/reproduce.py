"""Trains registered experiments in full and keeps their results beside the published figures.

    python scripts/reproduce.py            every experiment
    python scripts/reproduce.py ae-keras   only that one
    python scripts/reproduce.py ae-keras --seeds 5   the mean and deviation over five seeds beside the figure

Each experiment writes experiments/results/NAME.json; `python scripts/tables.py` puts the results into README.md
and docs/results.md.
"""

import argparse
import dataclasses
from pathlib import Path

import aejax
from aejax.core import json_text
from aejax.data import load
from aejax.devices import enable_compilation_cache
from aejax.evaluation import finish, measure
from aejax.metrics import describe

RESULTS = Path(__file__).parents[1] / "experiments" / "results"
SAMPLES = 5000
"""Number of importance samples of each example with which published likelihoods are estimated."""


def reproduce(name: str, folder: Path, samples: int = SAMPLES, seeds: int = 1) -> bool | None:
    """Trains one experiment, and keeps its result.

    Args:
        name: the experiment.
        folder: the folder of the run directories.
        samples: the number of importance samples of each example for a likelihood.
        seeds: the number of seeds, from the experiment's own on. Of all but the first only the figure's metric is kept.

    Returns:
        Whether the figure is met; None where its metric was not measured with so many samples.
    """
    experiment = aejax.get(name)
    dataset = load(experiment.data)
    trained = aejax.fit(experiment, folder=folder, dataset=dataset, show_progress=True)
    result = finish(trained, dataset, samples)
    if result["comparison"] is not None:
        metric = experiment.expected.metric
        values = [result["test"][metric]]
        known = describe(metric)
        few = samples if known is not None and "{samples}" in known.name else 1
        for seed in range(experiment.seed + 1, experiment.seed + seeds):
            other = aejax.fit(dataclasses.replace(experiment, seed=seed), dataset=dataset, show_progress=True)
            values.append(measure(other, dataset.test, few)[metric])
        result["comparison"] = experiment.expected.compare(values)
        result["met"] = result["comparison"]["met"]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json_text(result, indent=2) + "\n")
    return result["met"]


def main() -> None:
    """Trains the experiments of the command line, and exits with 1 where a figure is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="registered experiments; all of them by default")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the run directories")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of each example for a likelihood")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, whose mean is compared")
    arguments = parser.parse_args()
    enable_compilation_cache()
    names = arguments.names or aejax.names()
    met = {name: reproduce(name, arguments.out, arguments.samples, arguments.seeds) for name in names}
    unknown, missed = ([name for name in names if met[name] is state] for state in (None, False))
    if unknown:
        print(f"not compared, because the figure's metric was not measured: {', '.join(unknown)}")
    if missed:
        raise SystemExit(f"not met: {', '.join(missed)}")


if __name__ == "__main__":
    main()
