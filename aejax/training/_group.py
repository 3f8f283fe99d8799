"""Makes groups of a population's members: what all members share, and the members that train in one program."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from aejax.core import CHUNK, Examples, Members, Metrics, Optimizer, as_arrays, nbytes
from aejax.data import Dataset, Preprocess
from aejax.devices import Parallel, Program
from aejax.experiment import Experiment
from aejax.losses import Loss
from aejax.training._priming import priming_examples
from aejax.training._sources import ResidentSource, Source
from aejax.training._streaming import source_for, streams
from aejax.training.engine import Engine, Window, joined, one_ahead
from aejax.training.intervals import Intervals, Stop


@dataclass
class Group:
    """Holds members in training; the engine's state has an axis of slots, and `slots` says who is in each."""

    slots: list[int]
    """The number of the member in each slot; numbers beyond the group's experiments are padding."""
    engine: Engine
    last: int
    """The number of steps of the whole run."""

    def narrow(self, training: list[int]) -> None:
        """Keeps the slots of the members in `training` alone, once half of the slots are idle.

        It does not happen earlier, because a new width is a new program.
        """
        if 2 * len(training) > len(self.slots):
            return
        index = jnp.asarray([self.slots.index(owner) for owner in training], jnp.int32)
        program = self.engine.program
        arrays = (program.loss, program.optimizer, program.key, self.engine.state)
        kept = program.parallel.spread(jax.tree.map(lambda leaf: leaf[index], arrays))
        loss, optimizer, key, self.engine.state = kept
        self.engine.program = replace(program, loss=loss, optimizer=optimizer, key=key)
        self.engine.source = self.engine.source.of_members(key)
        self.slots = training

    def epochs(self, ahead: bool) -> Iterator["GroupEpoch"]:
        """Trains one epoch of the group after the other, as long as members are left in it.

        `ahead` dispatches each epoch before the one before is read.
        """
        steps, pending = self.engine.source.steps, list[Metrics]()
        windows = self.engine.windows(self._stops(steps))
        for window in one_ahead(windows) if ahead else windows:
            pending.append(window.metrics["train"])
            if window.ends:
                yield GroupEpoch(
                    -(-window.stop // steps), self.slots, window, window.metrics | {"train": joined(pending)}
                )
                pending.clear()

    def _stops(self, steps: int) -> Iterator[Stop]:
        for stop in Intervals().stops(self.engine.step, self.last, steps, None):
            if not self.slots:
                return
            yield stop


@dataclass(frozen=True)
class GroupEpoch:
    """Holds one epoch of a group as it was dispatched; reading its metrics waits for it."""

    number: int
    slots: list[int]
    window: Window
    """The last window of the epoch, with a copy of the members after it."""
    metrics: dict[str, Metrics]

    @property
    def members(self) -> Members:
        """The members after the epoch."""
        return self.window.state


@dataclass(frozen=True)
class Population:
    """Holds what all members share: the settings of their structure, and the data on the devices."""

    first: Experiment
    """The first experiment, resolved."""
    dataset: Dataset
    preprocess: Preprocess
    """The fitted preprocessing, its numbers arrays."""
    parallel: Parallel
    shared_order: bool
    """Whether every member sees the batches of the first one's seed."""
    buffer: float
    """Gigabytes of examples that a streamed training part may have in memory."""
    parts: dict[str, Examples]
    """The parts that the devices hold; none where the data are streamed."""

    @classmethod
    def of(
        cls, first: Experiment, dataset: Dataset, preprocess: Preprocess, shared_order: bool, buffer: float
    ) -> "Population":
        """Places the data on the devices.

        Args:
            first: the first experiment, resolved.
            dataset: the data of all members.
            preprocess: the fitted preprocessing.
            shared_order: whether every member sees the batches of the first one's seed.
            buffer: gigabytes of examples that a streamed training part may have in memory.
        """
        parallel, streamed = Parallel(devices=jax.device_count()), streams(dataset, buffer)
        source = source_for(first, dataset, preprocess, parallel, buffer)
        parts = source.parts if isinstance(source, ResidentSource) else {}
        shared = shared_order or streamed  # one read serves all members
        return cls(first, dataset, as_arrays(preprocess), parallel, shared, buffer, parts)

    @property
    def fixed_bytes(self) -> int:
        """The bytes of the data, which all groups share."""
        return nbytes(self.parts)

    def begin(self, experiments: Sequence[Experiment], slots: list[int]) -> Group:
        """Makes a group of fresh members, one for each slot. Padding slots repeat the last experiment."""
        program = self._program([experiments[min(owner, len(experiments) - 1)] for owner in slots])
        source = self._source(program.key)
        sample = priming_examples(program.model, self.dataset, self.preprocess)
        engine = Engine(program, source, program.init(self.dataset.shape, sample), 0)
        return Group(slots, engine, self.first.steps_in(source.steps))

    def memory(self, experiments: Sequence[Experiment]) -> int:
        """Compiles all that a group of these experiments runs; returns the most bytes that it takes beside the data."""
        program = self._program(experiments)
        train, validation = self._source(program.key).shapes()
        size = 0 if validation is None else min(CHUNK, len(self.dataset.validation))
        return program.memory(self.dataset.shape, train, validation, size)

    def _program(self, experiments: Sequence[Experiment]) -> Program:
        loss, optimizer, key = self.parallel.spread(_stacked(experiments))
        return Program(self.parallel, self.first.model, loss, optimizer, self.preprocess, key)

    def _source(self, key: Key[Array, " members"]) -> Source:
        own = jax.random.key(self.first.seed) if self.shared_order else key
        if self.parts:
            return ResidentSource(self.parts, self.first.batch_size, own)
        return source_for(self.first, self.dataset, self.preprocess, self.parallel, self.buffer)


def _stacked(experiments: Sequence[Experiment]) -> tuple[Loss, Optimizer, Key[Array, " members"]]:
    settings = [as_arrays((experiment.loss, experiment.optimizer)) for experiment in experiments]
    losses, optimizers = jax.tree.map(lambda *leaves: jnp.stack(leaves), *settings)
    return losses, optimizers, jnp.stack([jax.random.key(experiment.seed) for experiment in experiments])
