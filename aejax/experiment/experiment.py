"""Defines an experiment: a frozen dataclass that says all there is to say about a run."""

import dataclasses
import hashlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aejax.core import Adam, Examples, InputError, Optimizer, json_text, known, positive
from aejax.data import ARRAYS, Data, Dataset, Preprocess
from aejax.experiment import _families, showing  # noqa: F401
from aejax.experiment.checks import check, check_optimizer
from aejax.losses import Loss
from aejax.metrics import Detector, Probe, Reference, describe
from aejax.models import Autoencoder

UNNAMED = "unnamed"
"""The name of an experiment that has none."""


@known
@dataclass(frozen=True)
class Expected:
    """Holds the published figure that an experiment reproduces, and how close to it a run must come."""

    metric: str
    """Name of the metric that is compared: a key of the run's test metrics. Its declaration says which values are
    better, see `metrics.describe`; where neither are, nearer ones are."""
    value: float
    """The published number, or the baseline, that the measured metric is compared with."""
    tolerance: float = 0.0
    """By how much the measured number may be worse than the published one."""
    source: str = ""
    """Where the number was published, and the protocol there if it differs from the experiment's."""
    tag: Literal["C", "V", "R", "M"] = "V"
    """How the number is known: C computed exactly here (a baseline), V read in the source, R quoted by another source,
    M from memory and unverified."""
    higher_is_better: bool = field(default=False, compare=False)
    """Whether a higher number is better, of a metric that has no declaration; of any other it says nothing."""
    settings: str = field(default="", init=False, compare=False, repr=False)
    """Name and digest of the experiment that has the figure; empty before one has it."""

    @property
    def is_baseline(self) -> bool:
        """Whether the number was computed here, as that of PCA on the same data, and is published nowhere."""
        return self.tag == "C"

    def short_by(self, measured: float) -> float:
        """Returns by how much a measured number is worse than the figure: 0 where it is as good, NaN for NaN."""
        known = describe(self.metric)
        if known is not None and known.better is None:
            return abs(measured - self.value)
        higher = self.higher_is_better if known is None else known.better == "higher"
        worse = self.value - measured if higher else measured - self.value
        return 0.0 if worse <= 0 else worse

    def met_by(self, measured: float) -> bool:
        """Tells whether a measured number is as good as the figure, or worse by no more than the tolerance."""
        return self.short_by(measured) <= self.tolerance

    def compare(self, measured: Sequence[float]) -> dict[str, Any]:
        """Returns what tables and result.json say of measured numbers beside the figure.

        Args:
            measured: the metric of each seed.

        Returns:
            The figure as `published` or as `baseline`, the mean and the standard deviation over seeds (None of one
            seed), whether the mean is as good as the figure (`reached`), by how much it is worse (`short_by`), the
            tolerance, and whether it is worse by no more than that (`met`).
        """
        mean = sum(measured) / len(measured)
        short = self.short_by(mean)
        return {
            "metric": self.metric,
            "published": None if self.is_baseline else self.value,
            "baseline": self.value if self.is_baseline else None,
            "measured": mean,
            "deviation": statistics.stdev(measured) if len(measured) > 1 else None,
            "seeds": len(measured),
            "tolerance": self.tolerance,
            "reached": short == 0,
            "short_by": short,
            "met": short <= self.tolerance,
        }


@known
@dataclass(frozen=True)
class Experiment:
    """Says what is trained, on what data, how, and what it should achieve. `dataclasses.replace` makes a variant."""

    model: Autoencoder
    loss: Loss
    data: Data
    optimizer: Optimizer = field(default_factory=Adam)
    batch_size: int = positive(default=256)
    """Number of examples in the batch of one training step."""
    epochs: int = positive(default=50)
    """Number of passes over the training part, where `steps` are not given."""
    steps: int | None = positive(default=None)
    """Number of training steps, in place of `epochs`."""
    seed: int = 0
    """Seed of everything random: initial weights, order of examples, noise."""
    name: str = UNNAMED
    """Name of the experiment in the registry, and of its folder under runs."""
    detector: Detector | None = None
    """What scores anomalies by default, for which the run keeps rows of its training part; None: the squared error."""
    probes: tuple[Probe, ...] = ()
    """Probes that are fitted to the codes and labels of the training part after training, and measured on test."""
    expected: Expected | None = None
    """The published figure that the experiment reproduces. It belongs to these settings and this name: any variant but
    one of another seed has None, unless it is given a figure of its own."""

    def __post_init__(self) -> None:
        if self.expected is not None:
            object.__setattr__(self, "expected", self._own(self.expected))

    def __repr__(self) -> str:
        """Returns what it is in a line, and in which settings it differs from the registered one of its name."""
        return showing.in_a_line(self)

    def __str__(self) -> str:
        """Returns the tree of all settings, and beside those that differ what is registered."""
        return showing.as_tree(self)

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: the line, and the tree."""
        return showing.in_a_notebook(self)

    def resolve(self, dataset: Dataset) -> "Experiment":
        """Checks every setting against the data, and fills in what only the data can say.

        Raises `InputError` for anything that cannot be trained.
        """
        check(self, dataset)
        resolved = self.resolve_for(dataset.shape, len(dataset.train) // self.batch_size)
        check_optimizer(resolved, dataset.shape)
        return resolved

    def resolve_for(self, shape: tuple[int, ...], steps_per_epoch: int) -> "Experiment":
        """Fills in what only the data can say: the model's shapes, the examples of an epoch, the optimiser's horizon.

        `shape` is the shape of one example. What is set already stays as it is.
        """
        # The figure stays: what is filled in here changes nothing that is trained.
        return dataclasses.replace(
            self,
            expected=None if self.expected is None else dataclasses.replace(self.expected),
            model=self.model.resolve(shape, self.loss.likelihood.raw_shape(shape)),
            loss=self.loss.resolve(steps_per_epoch * self.batch_size),
            optimizer=self.optimizer.over(self.steps_in(steps_per_epoch)),
        )

    def on_arrays(self) -> "Experiment":
        """Returns the experiment for arrays given in Python, so that its run says that its data had no name."""
        return dataclasses.replace(self, data=self.data.named(ARRAYS))

    def reference(self, train: Examples, preprocess: Preprocess) -> Reference | None:
        """Returns the rows of the training part that a run keeps for the detector; None where there is no detector.

        `preprocess` is fitted.
        """
        return None if self.detector is None else self.detector.sample(train, preprocess)

    def steps_in(self, steps_per_epoch: int) -> int:
        """Returns the number of steps of the whole run, for a number of steps in an epoch."""
        return self.epochs * steps_per_epoch if self.steps is None else self.steps

    def _own(self, expected: Expected) -> Expected | None:
        """Returns a figure as that of this experiment; None where it is another's. An unnamed one may yet be named."""
        digest = self._digest()
        name, _, settings = expected.settings.rpartition("@")
        if expected.settings and (name not in (UNNAMED, self.name) or settings != digest):
            return None
        own = dataclasses.replace(expected)
        object.__setattr__(own, "settings", f"{self.name}@{digest}")
        return own

    def _digest(self) -> str:
        """Returns a hash of the settings that a figure depends on."""
        from aejax.experiment.serialization import without_defaults  # here, as it restores experiments

        free = ("class", "expected", "name", "seed")
        try:
            settings = {path: it for path, it in without_defaults(self).items() if path.split(".")[0] not in free}
            return hashlib.sha256(json_text(settings, sort_keys=True).encode()).hexdigest()[:16]
        except InputError:  # a setting that no file can hold, which is refused before training
            return "none"
