"""Makes groups of a population's members: what all members share, and the members that train in one program."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from aejax.core import CHUNK, as_arrays, nbytes
from aejax.data import Dataset, Preprocess
from aejax.devices import Parallel, Program
from aejax.experiment import Experiment
from aejax.runs import Saving
from aejax.training._sources import ResidentSource, Source
from aejax.training._streaming import source_for
from aejax.training.engine import Engine, Window
from aejax.training.intervals import Intervals

_BY_EPOCHS = Saving(save_seconds=float("inf"))
"""A group is saved at the end of an epoch, where a selection decides too."""


@dataclass(frozen=True)
class Population:
    """Holds what all members share: the settings of their structure, and the data."""

    first: Experiment
    """The first experiment, resolved."""
    dataset: Dataset
    preprocess: Preprocess
    """The fitted preprocessing."""
    parallel: Parallel
    source: Source
    """The data, in the order that the first member's seed gives them."""
    shared_order: bool
    """Whether every member sees the batches of the first one's seed."""

    @classmethod
    def of(cls, first: Experiment, dataset: Dataset, shared_order: bool, buffer: float) -> "Population":
        """Places the data on the devices.

        Args:
            first: the first experiment, resolved.
            dataset: the data of all members.
            shared_order: whether every member sees the batches of the first one's seed; of data that are streamed
                they do in any case, as one read serves all members.
            buffer: gigabytes of examples that a streamed training part may have in memory.
        """
        parallel, preprocess = Parallel(devices=jax.device_count()), first.data.preprocess.fit(dataset.train.x)
        source = source_for(first, dataset, preprocess, parallel, buffer)
        return cls(first, dataset, preprocess, parallel, source, shared_order or not isinstance(source, ResidentSource))

    @property
    def fixed_bytes(self) -> int:
        """The bytes of the data that the devices hold for all groups."""
        return nbytes(self.source.parts) if isinstance(self.source, ResidentSource) else 0

    def begin(self, experiments: Sequence[Experiment], slots: list[int]) -> "Group":
        """Makes a group of fresh members, one for each slot. Padding slots repeat the last experiment."""
        program = self.program([experiments[min(owner, len(experiments) - 1)] for owner in slots])
        engine = Engine(program, self.source_of(program), program.init(self.dataset.shape), 0)
        return Group(self, slots, engine)

    def memory(self, experiments: Sequence[Experiment]) -> int:
        """Compiles all that a group of these experiments runs; returns the most bytes that it takes beside the data."""
        program = self.program(experiments)
        train, validation = self.source_of(program).shapes()
        size = 0 if validation is None else min(CHUNK, len(self.dataset.validation))
        return program.memory(self.dataset.shape, train, validation, size)

    def program(self, experiments: Sequence[Experiment]) -> Program:
        """Returns the program that trains members side by side."""
        settings = [as_arrays((experiment.loss, experiment.optimizer)) for experiment in experiments]
        keys = jnp.stack([jax.random.key(experiment.seed) for experiment in experiments])
        stacked = (*jax.tree.map(lambda *leaves: jnp.stack(leaves), *settings), keys)
        loss, optimizer, key = self.parallel.spread(stacked)
        return Program(self.parallel, self.first.model, loss, optimizer, as_arrays(self.preprocess), key)

    def source_of(self, program: Program) -> Source:
        """Returns the source of the batches of a program's members."""
        return self.source.of_members(None if self.shared_order else program.key)


@dataclass
class Group:
    """Holds members in training; the engine's state has an axis of slots, and `slots` says who is in each."""

    population: Population
    slots: list[int]
    """The number of the member in each slot; numbers beyond the group's experiments are padding."""
    engine: Engine

    @property
    def steps(self) -> int:
        """The number of steps in an epoch."""
        return self.engine.source.steps

    @property
    def last(self) -> int:
        """The number of steps of the whole run."""
        return self.population.first.steps_in(self.steps)

    def epochs(self, ahead: bool) -> Iterator[Window]:
        """Trains one epoch after the other; `ahead` dispatches each before the one before is read."""
        return self.engine.windows(Intervals().stops(self.engine.step, self.last, self.steps, _BY_EPOCHS), ahead=ahead)

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
        if not self.population.shared_order:
            self.engine.source = self.engine.source.of_members(key)
        self.slots = training
