"""Trains registered experiments in full and keeps their results beside the published figures.

    python scripts/reproduce.py            every experiment
    python scripts/reproduce.py ae-keras   only that one

Each experiment writes experiments/results/NAME.json; `python scripts/tables.py` puts the results into README.md.
"""

import argparse
import json
from pathlib import Path

import aejax
from aejax.core import json_text
from aejax.devices import enable_compilation_cache

RESULTS = Path(__file__).parents[1] / "experiments" / "results"
SAMPLES = 5000
"""Number of importance samples of each example with which published likelihoods are estimated."""


def reproduce(name: str, folder: Path, samples: int = SAMPLES) -> bool | None:
    """Trains one experiment, and keeps its result.

    Args:
        name: the experiment.
        folder: the folder of the run directories.
        samples: the number of importance samples of each example for a likelihood.

    Returns:
        Whether the published figure is met; None where its metric was not measured with so many samples.
    """
    run = aejax.fit(aejax.get(name), folder=folder, samples=samples, show_progress=True).run
    assert run is not None
    result = json.loads((run.path / "result.json").read_text())
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json_text(result, indent=2) + "\n")
    return result["met"]


def main() -> None:
    """Trains the experiments of the command line, and exits with 1 where a figure is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="registered experiments; all of them by default")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the run directories")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of each example for a likelihood")
    arguments = parser.parse_args()
    enable_compilation_cache()
    names = arguments.names or aejax.names()
    met = {name: reproduce(name, arguments.out, arguments.samples) for name in names}
    unknown, missed = ([name for name in names if met[name] is state] for state in (None, False))
    if unknown:
        print(f"not compared, because the figure's metric was not measured: {', '.join(unknown)}")
    if missed:
        raise SystemExit(f"not met: {', '.join(missed)}")


if __name__ == "__main__":
    main()
