"""Holds the commands on experiments and their runs: list, show, train, measure, draw."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from aejax.cli._common import Split, examples, load_run, print_names
from aejax.core import InputError
from aejax.experiment import registry


@dataclass(frozen=True)
class ListCommand:
    """Lists the registered experiments."""

    def __call__(self) -> None:
        """Prints a line for each experiment."""
        print_names(registry.names())


@dataclass(frozen=True)
class ShowCommand:
    """Shows every setting of an experiment, as JSON."""

    name: Positional[str]
    """A name that `aejax list` shows."""

    def __call__(self) -> None:
        """Prints the experiment as JSON."""
        from aejax.experiment import dumps

        print(dumps(registry.get(self.name)))


@dataclass(frozen=True)
class TrainCommand:
    """Trains an experiment, and leaves a run directory with metrics, checkpoints and figures.

    `aejax train NAME --help` lists every setting of that experiment, each of which can be given.
    """

    name: Positional[str]
    """A name that `aejax list` shows."""


@dataclass(frozen=True)
class BenchCommand:
    """Measures how fast an experiment trains here: examples and FLOP per second, share of the peak, memory.

    `aejax bench NAME --help` lists every setting of that experiment, each of which can be given.
    """

    name: Positional[str]
    """A name that `aejax list` shows."""


@dataclass(frozen=True)
class EvalCommand:
    """Measures a trained model on a part of its data set, or on other data."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    data: str | None = None
    """Another data set, or a file; by default the data set that the model was trained on."""
    split: Split = "test"
    """The part to measure."""
    labels: str | None = None
    """The column or array of labels in other data; by default that of the run's own."""
    outlier: tuple[str, ...] = ()
    """The labels that mark outliers, for AUROC and average precision; by default those of the run's own data."""
    samples: int = 50
    """Number of importance samples of each example for a variational model's likelihood: published figures take
    5000."""

    def __call__(self) -> None:
        """Prints the metrics as a table."""
        from aejax.data import load
        from aejax.evaluation import report, suite

        if self.samples < 1:
            raise InputError(f"--samples is {self.samples}: give at least 1")
        trained = load_run(self.run)
        if self.data:
            part = examples(trained, self.data, self.split, None, self.labels, self.outlier).within()
        else:
            part = load(dataclasses.replace(trained.experiment.data, **self._changed())).part(self.split).within()
        metrics = suite.measure(trained, part, self.samples)
        if self.outlier or suite.flags_outliers(trained.experiment, self.data or ""):
            metrics |= suite.measure_detection(trained, part)
        report.show(trained, metrics, self.split)

    def _changed(self) -> dict[str, Any]:
        """Returns the settings of the run's data that are given anew."""
        return {"outlier": self.outlier} if self.outlier else {}


@dataclass(frozen=True)
class ProbeCommand:
    """Measures how much the codes tell about the labels, beside raw values and PCA of the same size."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    kinds: tuple[Literal["logistic", "svm", "knn", "kmeans"], ...] = ("logistic", "knn")
    """The probes: logistic regression, linear SVM, nearest neighbour, or clusters matched to classes."""
    most: int = 10_000
    """Largest number of training examples that the probes are fitted on."""

    def __call__(self) -> None:
        """Prints a row of metrics for each input of the probes."""
        import numpy as np

        from aejax.data import load
        from aejax.evaluation import compare, report

        trained = load_run(self.run)
        data = load(trained.experiment.data).within()
        few = data.train.take(np.arange(min(self.most, len(data.train))))
        report.show_rows(compare(trained, dataclasses.replace(data, train=few), self.kinds), data.classes)


@dataclass(frozen=True)
class FiguresCommand:
    """Draws a run's figures again."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""

    def __call__(self) -> None:
        """Writes the figures as PNG files into RUN/figures, and prints their paths."""
        from aejax.data import load
        from aejax.evaluation import report

        trained = load_run(self.run)
        for path in report.draw(trained, load(trained.experiment.data).within(), trained.run.path / "figures"):
            print(path)
