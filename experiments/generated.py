"""Measures what trained entries generate, beside a floor: the Frechet distance and others, in features of the labels.

    python experiments/generated.py             `vae-flax` after one epoch of the 5,000 embedded digits
    python experiments/generated.py RUNS        the newest run of each entry in a folder, as scripts/reproduce.py leaves
                                                them, into experiments/results/generated.json
    python experiments/generated.py RUNS NAME   of these entries alone; rows of others stay

As many examples are drawn as test has, 10,000 at most: means of pixels, also of models of binary ones, at the labels of
test where a model is given them. Codes are drawn from the prior. Where there is none over indices of codes, they are
drawn from the one that was fitted to the run by `aejax sampler`, and also each index by itself, as often as training
examples have it. The floor is training examples, as many. The distance falls with the number of examples, so that those
of other data are not to be compared; nor are those in other features, which each row names.
"""

import dataclasses
import json
import sys
from pathlib import Path

import aejax
from aejax.core import InputError, json_text
from aejax.data import Data, Dataset, load, scaled
from aejax.evaluation import compare_generated, feature_space
from aejax.experiment import Experiment, differences
from aejax.metrics import generation_metrics
from aejax.models import traits
from aejax.runs import listing, made_with
from aejax.trained import Independent, Trained

RESULT = Path(__file__).parent / "results" / "generated.json"
MOST = 10_000


def whole(data: Data) -> Dataset:
    """Loads data with all of their training part, so that all entries share the features."""
    return load(dataclasses.replace(data, validation=0.0))


def floor(dataset: Dataset) -> dict[str, float]:
    """Measures training examples as though they were generated."""
    space = feature_space(dataset)
    test = scaled(dataset.test.at_most(MOST).read().x)
    train = scaled(dataset.train.at_most(len(test)).read().x)
    return generation_metrics(space.of(train), space.of(test), space.name)


def rows_of(trained: Trained, dataset: Dataset) -> list[dict[str, float | str | None]]:
    """Measures what a model generates, a row for each thing that its codes are drawn from."""
    ways = [] if trained.draws_from is None else [trained]
    if trained.is_discrete and trained.experiment.model.prior is None:
        ways.append(trained.fit_sampler(Independent(), like=dataset.train))
    return [
        {"entry": trained.experiment.name, "drawn_from": way.draws_from} | compare_generated(way, dataset.test, dataset)
        for way in ways
    ]


def generates(experiment: Experiment) -> bool:
    """Tells whether an experiment's model has a prior, or codes that indices tell."""
    return experiment.model.prior is not None or traits.DISCRETE in experiment.model.meets


def as_registered(experiment: Experiment) -> bool:
    """Tells whether an experiment's settings are its entry's, whatever its seed."""
    filled_in = ("horizon", "shape", "seed")
    changed = differences(experiment, aejax.get(experiment.name))
    return all(path.rpartition(".")[2] in filled_in for path in changed)


def newest(folder: Path, names: list[str]) -> list[Path]:
    """Returns the newest run of each of the entries that was trained to its end."""
    ended = {name: [run.path for run in listing.find_runs(folder / name) if run.state == "done"] for name in names}
    return [paths[-1] for paths in ended.values() if paths]


if __name__ == "__main__":
    entries = [name for name in aejax.names() if generates(aejax.get(name))]
    chosen = sys.argv[2:] or entries
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        models = map(aejax.load, newest(folder, [name for name in chosen if (folder / name).is_dir()]))
    else:
        entry = dataclasses.replace(aejax.get("vae-flax"), data=Data("mnist-5k"), epochs=1)
        models = iter([aejax.fit(dataclasses.replace(entry, name=""))])
    before = json.loads(RESULT.read_text()) if sys.argv[2:] else {"floors": {}, "rows": []}
    floors, rows = before["floors"], [row for row in before["rows"] if row["entry"] not in chosen]
    for trained in models:
        name = trained.experiment.name
        if name in entries and not as_registered(trained.experiment):
            print(f"{name} is left out: its run has other settings than the entry")
            continue
        dataset = whole(trained.experiment.data)
        space = feature_space(dataset)
        if space.name not in floors:
            floors[space.name] = {"sha256": space.sha256, "accuracy": space.accuracy} | floor(dataset)
            print("training examples", floors[space.name], flush=True)
        try:
            found = rows_of(trained, dataset)
        except InputError as error:
            print(f"{name} is left out: {error}")
            continue
        print(*found, sep="\n", flush=True)
        rows += found
    if len(sys.argv) > 1:
        rows.sort(key=lambda row: entries.index(row["entry"]))
        result = {"name": RESULT.stem, "floors": floors, "rows": rows, **made_with()}
        RESULT.write_text(json_text(result, indent=2) + "\n")
