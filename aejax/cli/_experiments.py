"""Holds the commands on experiments and their runs: list, show, train, measure, draw."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from aejax.cli._common import Split, check_out, examples, load_run, own_data, paragraph, print_names
from aejax.core import InputError, require_known
from aejax.experiment import registry
from aejax.metrics import Probe

if TYPE_CHECKING:
    from aejax.experiment import Entry


@dataclass(frozen=True)
class ListCommand:
    """Lists the registered experiments."""

    def __call__(self) -> None:
        """Prints a line for each experiment."""
        print_names(registry.names())


@dataclass(frozen=True)
class MetricsCommand:
    """Explains the metrics: unit, whether lower or higher is better, meaning, domain and source."""

    names: Positional[tuple[str, ...]] = ()
    """Names of metrics, as results have them; by default all are explained."""

    def __call__(self) -> None:
        """Prints a paragraph for each metric, no wider than the terminal or 80 columns."""
        from aejax.metrics import declared, describe

        found = [(name, describe(name)) for name in self.names] or [(metric.name, metric) for metric in declared()]
        for name, metric in found:
            if metric is None:
                require_known("metric", name, [known.name for known in declared()], "aejax metrics")
                continue
            better = "neither is better by itself" if metric.better is None else f"{metric.better} is better"
            source = f" Source: {metric.source}." if metric.source else ""
            print(f"{name}  ({metric.unit}; {better})")
            print(paragraph(f"{metric.meaning[0].upper()}{metric.meaning[1:]}. Of {metric.of}.{source}"))


@dataclass(frozen=True)
class ResultsCommand:
    """Shows what the registered experiments measured when they were last trained in full, beside their figures."""

    names: Positional[tuple[str, ...]] = ()
    """Experiments; by default all that have a figure."""
    out: Path | None = None
    """Also write all that is known of them to a .csv, .json or .parquet file."""

    def __call__(self) -> None:
        """Prints a row for each experiment, and writes the file that is asked for."""
        from aejax.core import print_table
        from aejax.experiment import ledger
        from aejax.metrics import labelled
        from aejax.runs import lines

        if self.out is not None:
            check_out(self.out, lines.ENDS)
        entries = ledger(*self.names)
        heads = ["experiment", "metric on test", "published", "baseline", "measured", "seeds", "reached"]
        heads += ["time", "commit", "processor"]
        print_table(heads, [_result_cells(entry, labelled(entry.metric, entry.better)) for entry in entries])
        if self.out is not None:
            lines.write_lines(self.out, [asdict(entry) for entry in entries])
            print(self.out)


def _result_cells(entry: "Entry", metric: str) -> list[str]:
    figures = ["" if figure is None else f"{figure:g} ({entry.tag})" for figure in (entry.published, entry.baseline)]
    apart = "" if entry.deviation is None else f" ± {entry.deviation:.2g}"
    reached = "yes" if entry.reached else f"no, by {entry.short_by:.3g}"
    made = [f"{entry.seconds:.0f} s", entry.commit or "", entry.processor]
    return [entry.name, metric, *figures, f"{entry.measured:.4g}{apart}", f"{entry.seeds}", reached, *made]


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

    `aejax train NAME --help` lists every setting of that experiment, each of which can be given. With --resume RUN or
    --config RUN the name need not be given.
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
    """Another data set, or a file, or where the data that the model was trained on lie now; by default those data."""
    split: Split | None = None
    """The part to measure; by default test, and all of other data without parts."""
    labels: str | None = None
    """The column or array of labels in the data; by default that of the run's own."""
    outlier: tuple[str, ...] = ()
    """The labels that mark outliers, for AUROC and average precision; by default those of the run's own data."""
    samples: int = 50
    """Number of importance samples of each example for a variational model's likelihood: published figures take
    5000."""
    generation: bool = False
    """Also generate 10,000 examples, and measure how far they are from as many of the part (fd, kid, precision, recall,
    density, coverage, c2st): in the features of a classifier that is trained once on the labels of the run's data, or
    of PCA where they have none."""

    def __call__(self) -> None:
        """Prints the metrics as a table."""
        from aejax.evaluation import features_told, report, suite

        if self.samples < 1:
            raise InputError(f"--samples is {self.samples}: give at least 1")
        trained = load_run(self.run)
        given = examples(trained, self.data, self.split, None, self.labels, self.outlier, whole=False)
        part = given.examples.within()
        own = own_data(trained, None).within() if self.generation else None
        metrics = suite.measure(trained, part, self.samples, given.examples, own)
        if self.outlier or suite.flags_outliers(trained.experiment, self.data or ""):
            metrics |= suite.measure_detection(trained, part)
        report.show(trained, metrics, given.called, len(part), own=given.own)
        if own is not None:
            print(features_told(own))


@dataclass(frozen=True)
class ProbeCommand:
    """Measures how much the codes tell about the labels, beside raw values and PCA of the same size."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    kinds: tuple[Probe, ...] = ("logistic", "knn")
    """The probes: logistic regression, linear SVM, nearest neighbour, or clusters matched to classes."""
    most: int = 10_000
    """Largest number of training examples that the probes are fitted on, spread over the whole part."""
    trained_on: str | None = None
    """Where the data that the run was trained on lie now; by default where they lay then."""

    def __call__(self) -> None:
        """Prints a row of metrics for each input of the probes."""
        from aejax.evaluation import compare, report

        if self.most < 2:
            raise InputError(f"--most is {self.most}: a probe needs at least 2 examples")
        trained = load_run(self.run)
        data = own_data(trained, self.trained_on).within()
        few = data.train.at_most(self.most)
        if len(few) < len(data.train):
            print(f"fitted on {len(few):,} of {len(data.train):,} training examples, spread over all (--most)")
        report.show_rows(compare(trained, replace(data, train=few), self.kinds), data.classes)


@dataclass(frozen=True)
class FiguresCommand:
    """Draws a run's figures again."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, or its best checkpoint, runs/NAME/ID/checkpoints/best."""
    trained_on: str | None = None
    """Where the data that the run was trained on lie now; by default where they lay then."""

    def __call__(self) -> None:
        """Writes the figures as PNG files into RUN/figures, and prints their paths."""
        from aejax.evaluation import report

        trained = load_run(self.run)
        data = own_data(trained, self.trained_on).within()
        for path in report.draw(trained, data, trained.run.path / "figures"):
            print(path)
