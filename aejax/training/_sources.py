"""Where training gets its batches from. A feed knows the experiment and its data, and advances a state over them."""

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
    """What the loop asks of the data: to dispatch, and to wait only where what lies in memory is bounded."""

    @property
    def steps(self) -> int:
        """Of one epoch."""

    def train(self, state: State) -> Iterator[tuple[State, Metrics]]:
        """Dispatches what is left of the state's epoch, in one or more parts; metrics have an axis of steps.

        Each part takes the memory of the state before it.
        """

    def validate(self, state: State) -> Metrics | None:
        """The loss and its terms over the validation part; None where the data holds none out."""


@dataclass(frozen=True)
class ResidentSource:
    """Data that fits is held on every device, once; an epoch is one dispatch."""

    experiment: Experiment
    """Resolved."""
    dataset: Dataset
    preprocess: Preprocess
    """Fitted, its numbers arrays."""
    parallel: Parallel
    """Resolved."""

    @property
    def steps(self) -> int:
        """Of one epoch."""
        return len(self.dataset.train) // self.experiment.batch_size

    def train(self, state: State) -> Iterator[tuple[State, Metrics]]:
        """The whole epoch."""
        loss, optimizer = self._settings
        settings = (self.experiment.model, loss, optimizer, self.preprocess)
        size = self.experiment.batch_size
        yield devices.shared_epoch(self.parallel, *settings, state, self._parts["train"], self._key, batch_size=size)

    def validate(self, state: State) -> Metrics | None:
        """The loss and its terms over the validation part."""
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
