"""Defines an experiment: a frozen dataclass that says all there is to say about a run."""

import dataclasses
import functools
import math
from dataclasses import dataclass, field
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from aejax.core import Adam, InputError, Optimizer, known, positive
from aejax.data import Data, Dataset, chunks
from aejax.experiment import _families  # noqa: F401
from aejax.experiment.checks import check_positive
from aejax.experiment.choices import kebab
from aejax.losses import Levels, Loss, unmet
from aejax.models import Autoencoder, ConditionalAutoencoder, VampPrior


@known
@dataclass(frozen=True)
class Expected:
    """Holds the published figure that an experiment reproduces, and how close to it a run must come."""

    metric: str
    """Name of the metric that is compared: a key of the run's test metrics."""
    value: float
    """The published number that the measured metric is compared with."""
    tolerance: float = 0.0
    """By how much the measured number may be worse than the published one."""
    source: str = ""
    """Where the number was published, and the protocol there if it differs from the experiment's."""
    tag: Literal["C", "V", "R", "M"] = "V"
    """How the published number is known: C computed exactly, V read in the source, R quoted by another source, M from
    memory and unverified."""
    higher_is_better: bool = False
    """Whether a higher number is better than a lower one."""

    def met_by(self, measured: float) -> bool:
        """Tells whether a measured number is as good as the published one, within the tolerance."""
        worse = self.value - measured if self.higher_is_better else measured - self.value
        return worse <= self.tolerance


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
    """Number of passes over the training part."""
    seed: int = 0
    """Seed of everything random: initial weights, order of examples, noise."""
    name: str = "unnamed"
    """Name of the experiment in the registry, and of its folder under runs."""
    expected: Expected | None = None
    """The published figure that the experiment reproduces."""

    def resolve(self, dataset: Dataset) -> "Experiment":
        """Checks every setting against the data, and fills in what only the data can say.

        Raises `InputError` for anything that cannot be trained.
        """
        check_positive(self)
        if not -(2**63) <= self.seed < 2**63:
            raise InputError(f"seed is {self.seed}, but it must fit in 64 bits: choose a smaller one")
        if self.batch_size > len(dataset.train):
            raise InputError(
                f"batch_size is {self.batch_size}, but the training part of {dataset.name} has only "
                f"{len(dataset.train)} examples: choose a batch of at most that many"
            )
        self._check_support(dataset)
        self._check_labels(dataset)
        self._check_levels(dataset)
        self._check_terms()
        shape = self.loss.likelihood.raw_shape(dataset.shape)
        if self.model.shape not in ((), shape):
            raise InputError(
                f"model.shape is {self.model.shape}, but the examples of {dataset.name} need {shape}: "
                "leave it out, and it is taken from the data"
            )
        return self.filled(dataset.shape, len(dataset.train) // self.batch_size)

    def filled(self, shape: tuple[int, ...], steps_per_epoch: int) -> "Experiment":
        """Fills in what only the data can say: the model's shapes, the examples of an epoch, the optimiser's horizon.

        `shape` is the shape of one example. An optimiser that has a horizon keeps it.
        """
        horizon = self.optimizer.horizon or float(self.epochs * steps_per_epoch)
        return dataclasses.replace(
            self,
            model=self.model.for_data(shape, self.loss.likelihood.raw_shape(shape)),
            loss=self.loss.for_data(steps_per_epoch * self.batch_size),
            optimizer=dataclasses.replace(self.optimizer, horizon=horizon),
        )

    def _check_terms(self) -> None:
        for need in unmet(self.model, self.loss):
            names = [kebab(term.__name__) for term in need.terms]
            raise InputError(
                f"{need.part} needs a term of the loss, {' or '.join(names)}, without which {need.otherwise}: "
                f"add it (--loss.terms.{names[0]} {names[0]})"
            )

    def _check_labels(self, dataset: Dataset) -> None:
        if not isinstance(self.model, ConditionalAutoencoder):
            return
        if isinstance(self.model.prior, VampPrior):
            raise InputError(
                "VampPrior's pseudo-inputs have no label, which a conditional model needs: use another prior"
            )
        for part in (part for part in (dataset.train, dataset.validation, dataset.test) if len(part)):
            if part.label is None:
                raise InputError(
                    f"{dataset.name} has no labels, which a conditional model needs: use data that has them"
                )
            if part.label.min() < 0 or part.label.max() >= self.model.classes:
                raise InputError(
                    f"the labels of {dataset.name} run from {part.label.min()} to {part.label.max()}, but "
                    f"model.classes is {self.model.classes}: they must be from 0 to one less than that"
                )

    def _check_support(self, dataset: Dataset) -> None:
        low, high = self.loss.likelihood.support
        if low == -math.inf and high == math.inf:
            return
        needs = f"{type(self.loss.likelihood).__name__} needs values in [{low:g}, {high:g}]"
        if not self.data.preprocess.bounded:
            preprocess = type(self.data.preprocess).__name__
            raise InputError(f"{needs}, which {preprocess} does not give: use --loss.likelihood gaussian")
        for values in (part.x for part in (dataset.train, dataset.validation, dataset.test) if len(part)):
            if values.dtype != "uint8" and not (low <= values.min() and values.max() <= high):
                raise InputError(
                    f"{needs}, but those of {dataset.name} run from {values.min():g} to {values.max():g}: scale the "
                    "data, or use --loss.likelihood gaussian"
                )

    def _check_levels(self, dataset: Dataset) -> None:
        likelihood, preprocess = self.loss.likelihood, self.data.preprocess
        if not isinstance(likelihood, Levels):
            return
        name, steps = type(likelihood).__name__, likelihood.levels - 1
        if steps < 1:
            raise InputError(f"{name}.levels is {likelihood.levels}: give at least 2")
        for part in (part for part in (dataset.train, dataset.validation, dataset.test) if len(part)):
            values = functools.reduce(np.union1d, map(np.unique, chunks(part.x)))
            seen = np.asarray(preprocess(preprocess.place(jnp.asarray(values)[:, None]), jax.random.key(0)))
            off = abs(seen * steps - np.round(seen * steps))
            if off.max() > 0.01:
                raise InputError(
                    f"{name} of {likelihood.levels} levels needs whole multiples of 1/{steps}, but {dataset.name} has "
                    f"{seen.flat[off.argmax()]:g}: give it the data's levels, or use --loss.likelihood gaussian"
                )
