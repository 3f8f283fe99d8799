"""Feeds batches to training. A source knows the experiment and its data, and advances a state over them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import jax
from jaxtyping import Array, Key

from aejax import devices
from aejax.core import CHUNK, Examples, Metrics, Optimizer, State, as_arrays
from aejax.data import Dataset, Preprocess
from aejax.devices import Parallel
from aejax.experiment import Experiment
from aejax.losses import Loss


class Source(Protocol):
    """Trains and validates a state on the data, for the loop.

    A source dispatches its work, and waits only where the memory that it may take is bounded.
    """

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""

    def train(self, state: State) -> Iterator[tuple[State, Metrics]]:
        """Dispatches what is left of the state's epoch, in one or more parts; metrics have an axis of steps.

        Each part takes the memory of the state before it.
        """

    def validate(self, state: State) -> Metrics | None:
        """Measures the loss and its terms on the validation part; None where the data holds none out."""


@dataclass(frozen=True)
class ResidentSource:
    """Feeds data that fits in memory: every device holds it once, and an epoch is one dispatch."""

    experiment: Experiment
    """The resolved experiment."""
    dataset: Dataset
    preprocess: Preprocess
    """The fitted preprocessing, its numbers arrays."""
    parallel: Parallel
    """The resolved layout."""

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""
        return len(self.dataset.train) // self.experiment.batch_size

    def train(self, state: State) -> Iterator[tuple[State, Metrics]]:
        """Dispatches the whole epoch as one part."""
        loss, optimizer = self._settings
        settings = (self.experiment.model, loss, optimizer, self.preprocess)
        size = self.experiment.batch_size
        yield devices.shared_epoch(self.parallel, *settings, state, self._parts["train"], self._key, batch_size=size)

    def validate(self, state: State) -> Metrics | None:
        """Measures the loss and its terms on the validation part; None where the data holds none out."""
        part = self._parts.get("validation")
        if part is None:
            return None
        settings = (self.experiment.model, (self._settings[0],), self.preprocess)
        size = min(CHUNK, len(part))
        return devices.shared_evaluate(self.parallel, *settings, state, part, self._key, batch_size=size)

    @cached_property
    def _settings(self) -> tuple[Loss, Optimizer]:
        return as_arrays((self.experiment.loss, self.experiment.optimizer))

    @cached_property
    def _key(self) -> Key[Array, ""]:
        return jax.random.key(self.experiment.seed)

    @cached_property
    def _parts(self) -> dict[str, Examples]:
        parts = {name: self.dataset.part(name) for name in ("train", "validation")}
        placed = {name: devices.place(part, self.preprocess) for name, part in parts.items() if len(part)}
        return jax.device_put(placed, self.parallel.whole)
