"""Feeds training with the batches of any steps. A source knows the data and their order, and no model."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from aejax import devices
from aejax.core import CHUNK, Batches, Examples
from aejax.data import Dataset, Preprocess
from aejax.devices import Parallel
from aejax.experiment import Experiment


class Chunk(NamedTuple):
    """Holds examples to evaluate on: a whole part, or several batches of one."""

    examples: Examples
    batch_size: int
    place: dict[str, Any]
    """Of several batches the number of the first, and the size of the whole part: see `core.outputs`."""


class Source(Protocol):
    """Gives the batches of training and the examples of validation, on the devices.

    It waits only for input that it has to read.
    """

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""

    @property
    def windowed(self) -> bool:
        """Whether examples are shuffled within windows: else an epoch is shuffled whole."""

    def batches(self, start: int, stop: int) -> Iterator[Batches]:
        """Yields the batches of the steps from `start` to before `stop` in pieces, none over the end of an epoch."""

    def validation(self) -> Iterator[Chunk]:
        """Yields the validation part in one or more chunks; nothing where the data holds none out."""

    def of_members(self, key: Key[Array, " members"] | None) -> "Source":
        """Returns another source of the same data: with the order of each key, or None: with its own order for all."""

    def shapes(self) -> tuple[Batches, Examples | None]:
        """Returns the longest piece of training, and one of validation where there is one, or their shapes alone."""


@dataclass
class ResidentSource:
    """Feeds data that fits in memory: every device holds it once, and an epoch is one piece."""

    parts: dict[str, Examples]
    """The parts `train` and, where there is one, `validation`, on the devices."""
    batch_size: int
    """The number of examples in a batch of training."""
    key: Key[Array, "*members"]
    """The key of the order of examples; with an axis of members each has an order of its own."""
    windowed: ClassVar[bool] = False
    _drawn: tuple[int, Any] = field(default=(-1, None), init=False)
    """The first step of the epoch whose order was drawn last, and the order."""

    @classmethod
    def of(
        cls, experiment: Experiment, dataset: Dataset, preprocess: Preprocess, parallel: Parallel
    ) -> "ResidentSource":
        """Places the data on the devices.

        Args:
            experiment: the experiment, resolved.
            dataset: its data, which fit in memory.
            preprocess: the fitted preprocessing, which says in which form the device holds them.
            parallel: the resolved layout.
        """
        parts = {name: dataset.part(name) for name in ("train", "validation")}
        placed = {name: devices.place(part, preprocess) for name, part in parts.items() if len(part)}
        return cls(jax.device_put(placed, parallel.whole), experiment.batch_size, jax.random.key(experiment.seed))

    @property
    def steps(self) -> int:
        """The number of steps in one epoch."""
        return len(self.parts["train"]) // self.batch_size

    def batches(self, start: int, stop: int) -> Iterator[Batches]:
        """Yields the batches from step `start` to before step `stop`: those of each epoch are one piece."""
        while start < stop:
            begin = start - start % self.steps
            end = min(stop, begin + self.steps)
            yield Batches(self.parts["train"], piece(self._order(begin), start - begin, end - start))
            start = end

    def validation(self) -> Iterator[Chunk]:
        """Yields the whole validation part, if there is one."""
        if "validation" in self.parts:
            part = self.parts["validation"]
            yield Chunk(part, min(CHUNK, len(part)), {})

    def of_members(self, key: Key[Array, " members"] | None) -> "ResidentSource":
        """Returns another source of the same data: with the order of each key, or None: with its own order for all."""
        return replace(self, key=self.key if key is None else key)

    def shapes(self) -> tuple[Batches, Examples | None]:
        """Returns the first epoch's batches, and the validation part where there is one."""
        return next(self.batches(0, self.steps)), self.parts.get("validation")

    def _order(self, begin: int) -> Int[Array, "*members steps batch"]:
        if self._drawn[0] != begin:
            size = len(self.parts["train"])
            self._drawn = begin, devices.epoch_order(self.key, begin, size, self.batch_size)
        return self._drawn[1]


def piece(steps: Any, first: int, length: int, axis: int = -2) -> Any:
    """Cuts consecutive steps out of arrays that have an axis of steps.

    Args:
        steps: a tree of arrays.
        first: the first step, counted along the axis.
        length: the number of steps; one program serves all pieces of one length.
        axis: the axis of steps.
    """
    if length == jax.tree.leaves(steps)[0].shape[axis]:
        return steps
    return _cut(steps, jnp.int32(first), length=length, axis=axis)


@partial(jax.jit, static_argnames=("length", "axis"))
def _cut(steps: Any, first: Int[Array, ""], length: int, axis: int) -> Any:
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, length, axis), steps)
