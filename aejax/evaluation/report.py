"""Writes and prints what a run leaves behind: test metrics beside the published figure, and pictures."""

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import BUFFER, InputError, json_text, print_table
from aejax.data import Dataset
from aejax.evaluation import probes, suite
from aejax.evaluation._feature_space import feature_space
from aejax.evaluation.figures.style import save
from aejax.experiment import Expected, Experiment, to_json, with_imports
from aejax.metrics import Better, at_ceiling, describe, labelled
from aejax.runs import Profile, made_with, span, stopping, write_atomically
from aejax.trained import Trained

log = logging.getLogger("aejax")

_FIRST = ("reconstructions", "picture", "denoising", "samples", "codes", "loss")
"""The names of the figures that are looked at first."""


def finish(
    trained: Trained,
    dataset: Dataset,
    samples: int = suite.SAMPLES,
    *,
    buffer: float = BUFFER,
    figures: bool = True,
    generation: bool = False,
    shown: bool = True,
) -> dict[str, Any]:
    """Measures a trained run on test, and writes its result and figures.

    Args:
        trained: the trained model, with its run directory.
        dataset: the data that it was trained on.
        samples: the number of importance samples of each example for a likelihood.
        buffer: gigabytes; of a part on disk that takes more, all but the loss is of as many examples as fit.
        figures: draw figures.
        generation: generate examples too, and measure how far they are from test.
        shown: print the metrics, on standard error that figures are drawn, and where all of it is.

    Returns:
        The content of result.json: see `result`.
    """
    run = trained.run
    assert run is not None
    resumed = with_imports(f"aejax train {trained.experiment.name} --resume {run.path}", trained.experiment.name)
    again = f"stopped after training: {resumed} measures and draws"
    with stopping.in_time(lambda: again, grace=0), run.writing():
        with span("evaluation"):
            held = dataset.within(buffer)
            metrics = suite.measure(trained, held.test, samples, dataset.test, held if generation else None)
            metrics |= _probed(trained, held)
        content = result(trained, metrics, len(held.test))
        if generation:
            content["features"] = feature_space(held).told
        run.write_result(content)
        if shown:
            show(trained, metrics, "test", len(held.test))
        pictures = in_order(draw(trained, held, run.path / "figures", shown)) if figures else []
        _set_aside(run.path / "figures", pictures)
        run.mirror_result(metrics, int(trained.state.step), pictures)
    if shown:
        page = with_imports(f"aejax report {run.path}", trained.experiment.name)
        first = f"open {pictures[0].relative_to(run.path)} first" if pictures else "no figures are drawn"
        print(f"{run.path}: {first}; all of it on one page: {page}")
    return content


def _probed(trained: Trained, dataset: Dataset) -> dict[str, float]:
    """Returns what the experiment's probes measure; of codes that they cannot be fitted to, nothing, with a warning."""
    try:
        return probes.measure(trained, dataset)
    except InputError as error:
        log.warning("the probes are left out: %s", error)
        return {}


def _set_aside(folder: Path, drawn: Sequence[Path]) -> None:
    """Moves figures that were not drawn just now, which show a run before it was resumed, to a folder of their own."""
    if older := sorted(path for path in folder.glob("*.png") if path not in drawn):
        (folder / "earlier").mkdir(exist_ok=True)
        for path in older:
            path.replace(folder / "earlier" / path.name)
        names = ", ".join(path.stem for path in older)
        log.warning(
            "%s has figures of before the run went on, which were not drawn anew: %s", folder / "earlier", names
        )


def result(trained: Trained, metrics: dict[str, float], examples: int) -> dict[str, Any]:
    """Returns the content of result.json: test metrics, how they compare with a figure, time, hardware.

    `examples` were measured. `at_ceiling` says of the metrics that are near it what they cannot be above with so many.

    `better` says of each metric which values are better, lower or higher, or None where neither are by themselves.
    `comparison` is what `Expected.compare` returns, and `met` whether the figure is met within its tolerance. Both are
    None where there is no figure, or where its metric was not measured because another number of samples was asked for.
    """
    experiment, rows = trained.experiment, [row for row in trained.history if row["split"] == "train"]
    expected = experiment.expected
    compared = expected.compare([metrics[expected.metric]]) if expected and expected.metric in metrics else None
    return {
        "name": experiment.name,
        "data": to_json(experiment.data),
        "test": metrics,
        "examples": examples,
        "at_ceiling": at_ceiling(metrics, examples),
        "better": {name: better(experiment, name) for name in metrics},
        "expected": None if expected is None else to_json(expected),
        "comparison": compared,
        "met": None if compared is None else compared["met"],
        "seed": experiment.seed,
        "epochs": rows[-1]["epoch"] if rows else 0,
        "train_seconds": sum(row["seconds"] for row in rows),
        "examples_per_second": usual_rate(rows) if rows else None,
        **made_with(),
    }


def usual_rate(rows: Sequence[dict[str, Any]]) -> float:
    """Returns the median examples per second over rows of training, of which there must be one.

    The first is left out, whose time has that of compiling in it, unless there is no other.
    """
    rates = [row["examples_per_second"] for row in rows]
    return float(np.median(rates[1:] or rates))


def write_study(path: Path, test: dict[str, float], expected: Expected, seconds: float, seed: int = 0) -> None:
    """Writes what a script of several runs has measured, in the form of result.json.

    Args:
        path: the file to write, named after the script.
        test: the metrics on test, by name.
        expected: the figure that one of these metrics is compared with.
        seconds: the time that training took.
        seed: the seed of the runs.
    """
    content = {
        "name": path.stem,
        "test": test,
        "expected": to_json(expected),
        "comparison": expected.compare([test[expected.metric]]),
        "met": expected.met_by(test[expected.metric]),
        "seed": seed,
        "train_seconds": seconds,
        **made_with(),
    }
    path.write_text(json_text(content, indent=2) + "\n")


def better(experiment: Experiment, metric: str) -> Better | None:
    """Returns which values of an experiment's metric are better: None where neither are, or its declaration lacks."""
    known = describe(metric, experiment.loss.terms)
    return None if known is None else known.better


def draw(trained: Trained, dataset: Dataset, folder: Path, shown: bool = True) -> list[Path]:
    """Writes every figure that suits the experiment as a PNG, and returns the paths.

    Args:
        trained: the trained model.
        dataset: the data that it was trained on.
        folder: the folder of the figures, which is made where it is missing.
        shown: say on standard error that they are drawn, which may take a while.
    """
    if shown:
        print("drawing figures", file=sys.stderr)
    folder.mkdir(exist_ok=True)
    drawn = suite.draw(trained, dataset)
    for name, figure in drawn.items():
        save(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]


def in_order(pictures: Iterable[Path]) -> list[Path]:
    """Returns files of figures in the order in which a reader looks at them: those of `_FIRST`, then by their names."""
    places = {name: place for place, name in enumerate(_FIRST)}
    return sorted(pictures, key=lambda file: (places.get(file.stem, len(places)), file.stem))


def show(trained: Trained, metrics: dict[str, float], part: str, examples: int, own: bool = True) -> None:
    """Prints metrics as a table, and on the test part of the data that were trained on beside the published figure.

    Args:
        trained: the trained model.
        metrics: the metrics, by name.
        part: what was measured, in words: the name of a part, or of other data.
        examples: the number of examples that were measured.
        own: whether it is a part of the data that the model was trained on.
    """
    expected = trained.experiment.expected if own and part == "test" else None
    rows, ceilings = [], at_ceiling(metrics, examples)
    for name, value in metrics.items():
        row = [labelled(name, better(trained.experiment, name)), f"{'≥ ' if name in ceilings else ''}{value:.4f}"]
        if expected is not None and expected.metric == name:
            word = " unverified" if expected.tag == "M" else ""
            row.append(f"{expected.value:g}{word}: {verdict(expected.compare([value]))}")
        rows.append(row + [""] * (2 + (expected is not None) - len(row)))
    caption = "↓ lower is better, ↑ higher" + (f"; ≥ {examples} examples cannot show more" if ceilings else "")
    figure = [] if expected is None else ["baseline" if expected.is_baseline else "published"]
    print_table(["metric", part, *figure], rows, trained.experiment.name, caption)
    if expected is not None and expected.metric not in metrics:
        kind = "baseline" if expected.is_baseline else "published"
        by = "probe RUN" if expected.metric.startswith(trained.experiment.probes) else "eval RUN --samples K"
        print(f"{kind}: {expected.metric} {expected.value:g}, which was not measured (aejax {by})")


def verdict(compared: dict[str, Any]) -> str:
    """Says in words whether a figure is reached, or by how much not: of what `Expected.compare` returns."""
    if compared["reached"]:
        return "reached"
    within = f", within the tolerance of {compared['tolerance']:g}" if compared["met"] else ""
    return f"not reached, by {compared['short_by']:.3g}{within}"


def show_rows(rows: dict[str, dict[str, float]], classes: tuple[str, ...] = ()) -> None:
    """Prints a table with one row of metrics for each name, and the names of classes below it.

    All rows have the same metrics.
    """
    columns = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    known = {metric: describe(metric) for metric in columns}
    heads = ["", *(labelled(name, None if metric is None else metric.better) for name, metric in known.items())]
    print_table(heads, [[name, *(f"{row[metric]:.4f}" for metric in columns)] for name, row in rows.items()])
    if classes:
        print(f"{len(classes)} classes: {', '.join(classes)}")


def profiled(train: Callable[[], Trained]) -> None:
    """Trains under a JAX profile of the first epochs, keeps it in the run's folder, and prints where the time went.

    `train` trains and returns a model that has a run directory.
    """
    with tempfile.TemporaryDirectory() as folder:
        with Profile(Path(folder)) as profile:
            trained = train()
        assert trained.run is not None
        path = Path(shutil.copytree(folder, trained.run.path / "profile", dirs_exist_ok=True))
    summary = profile.summary(trained.run.steps_per_epoch)
    write_atomically(path / "summary.json", json_text(summary, indent=2))
    show_numbers(summary, "profile")
    print(f"{path}: summary.json, and a JAX profile for XProf, TensorBoard's profile plugin or Perfetto")


def show_numbers(numbers: dict[str, float], title: str) -> None:
    """Prints numbers beside their names, as a table with a title."""
    rows = [(name.replace("_", " "), f"{n:,.4g}" if abs(n) < 1000 else f"{n:,.0f}") for name, n in numbers.items()]
    print_table(("", title), rows)
