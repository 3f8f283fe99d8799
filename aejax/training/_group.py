"""Makes groups of a population's members: what all members share, and the members that train in one program."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aejax.core import CHUNK, Members, State, as_arrays, nbytes
from aejax.data import DataRecord, Dataset, Preprocess
from aejax.devices import Parallel, Program
from aejax.experiment import Experiment
from aejax.runs import Saving
from aejax.trained import History, Trained
from aejax.training._priming import priming_examples
from aejax.training._rows import rows_of
from aejax.training._sources import ResidentSource, Source
from aejax.training._streaming import source_for
from aejax.training.engine import Engine, Window
from aejax.training.intervals import Intervals
from aejax.training.outcome import Outcome, tell_skipped
from aejax.training.selection import Selection

_BY_EPOCHS = Saving(save_seconds=float("inf"))
"""A group is saved at the end of an epoch, where a selection decides too."""


@dataclass(frozen=True)
class Population:
    """Holds what all members share: the settings of their structure, and the data."""

    first: Experiment
    """The first experiment, resolved."""
    dataset: Dataset
    data: DataRecord
    """What the data are."""
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
        shared = shared_order or not isinstance(source, ResidentSource)
        return cls(first, dataset, DataRecord.of(dataset), preprocess, parallel, source, shared)

    @property
    def order(self) -> dict[str, bool]:
        """What the order of examples depends on beside data and seeds."""
        return {"windowed": self.source.windowed, "shared": self.shared_order}

    @property
    def fixed_bytes(self) -> int:
        """The bytes of the data that the devices hold for all groups."""
        return nbytes(self.source.parts) if isinstance(self.source, ResidentSource) else 0

    def memory(self, experiments: Sequence[Experiment]) -> int:
        """Compiles all that a group of these experiments runs; returns the most bytes that it takes beside the data."""
        program = self.program(experiments, range(len(experiments)))
        train, validation = self.source_of(program).shapes()
        size = 0 if validation is None else min(CHUNK, len(self.dataset.validation))
        return program.memory(self.dataset.shape, train, validation, size)

    def program(self, experiments: Sequence[Experiment], slots: Sequence[int]) -> Program:
        """Returns the program that trains members side by side; see `Group` for the slots."""
        members = [experiments[min(owner, len(experiments) - 1)] for owner in slots]
        settings = [as_arrays((member.loss, member.optimizer)) for member in members]
        keys = jnp.stack([jax.random.key(member.seed) for member in members])
        stacked = (*jax.tree.map(lambda *leaves: jnp.stack(leaves), *settings), keys)
        loss, optimizer, key = self.parallel.spread(stacked)
        return Program(self.parallel, self.first.model, loss, optimizer, as_arrays(self.preprocess), key)

    def source_of(self, program: Program) -> Source:
        """Returns the source of the batches of a program's members."""
        return self.source.of_members(None if self.shared_order else program.key)


class Group:
    """Holds members that train in one program, and what the host knows of them: rows of metrics, and how each ended."""

    def __init__(
        self,
        population: Population,
        experiments: Sequence[Experiment],
        slots: list[int],
        step: int = 0,
        state: Members | None = None,
    ) -> None:
        """Makes a group, and starts the clock of its first row.

        Args:
            population: what all members share.
            experiments: those of the members, resolved.
            slots: the number of the member in each slot of the state; numbers beyond the experiments are padding, which
                repeats the last of them and is not recorded.
            step: the number of steps made.
            state: the members after them; None: they are fresh.
        """
        self.population, self.experiments, self.slots = population, experiments, slots
        self.rows: list[list[dict[str, Any]]] = [[] for _ in experiments]
        self.ended: dict[int, Outcome] = {}
        self.clock = time.perf_counter()
        program = population.program(experiments, slots)
        if state is None:
            sample = priming_examples(program.model, population.dataset, population.preprocess)
            state = program.init(population.dataset.shape, sample)
        self.engine = Engine(program, population.source_of(program), state, step)

    @property
    def training(self) -> list[int]:
        """The members that have not ended."""
        return [owner for owner in self.slots if owner < len(self.experiments) and owner not in self.ended]

    @property
    def last(self) -> int:
        """The number of steps of the whole run."""
        return self.population.first.steps_in(self.engine.source.steps)

    def epochs(self, ahead: bool) -> Iterator[Window]:
        """Trains one epoch after the other; `ahead` dispatches each before the one before is read."""
        steps = self.engine.source.steps
        return self.engine.windows(Intervals().stops(self.engine.step, self.last, steps, _BY_EPOCHS), ahead=ahead)

    def enter(self, window: Window) -> list[tuple[int, dict[str, Any]]]:
        """Reads an epoch's metrics, and ends the members that failed in it, or all where it is the last.

        Returns the rows of the members that have not failed, each with the member's number and its share of the time.
        """
        alive, step = jax.device_get((window.state.alive, window.state.step))
        metrics, now = window.metrics, time.perf_counter()
        share, self.clock = (now - self.clock) / max(len(self.training), 1), now
        examples = (window.stop - window.start) * self.population.first.batch_size
        entered: list[tuple[int, dict[str, Any]]] = []
        for owner in self.training:
            slot = self.slots.index(owner)
            if not alive[slot]:
                self._end(owner, window, failed_at=int(step[slot]) + 1)
                continue
            rows = rows_of(window, jax.tree.map(lambda leaf, slot=slot: leaf[slot], metrics))
            rows[0] |= {"seconds": share, "examples_per_second": examples / share}
            self.rows[owner] += rows
            entered += [(owner, row) for row in rows]
            if window.stop == self.last:
                self._end(owner, window)
        return entered

    def select(self, selection: Selection, window: Window) -> None:
        """Ends the members that a selection drops after an epoch."""
        training = self.training
        losses = [[row["loss_nats"] for row in self.rows[owner] if row["split"] == "validation"] for owner in training]
        kept = selection.keep(np.asarray(losses).T) if training else ()
        for owner in (owner for owner, keeps in zip(training, kept, strict=True) if not keeps):
            self._end(owner, window, stopped_after=window.epoch)

    def narrow(self) -> None:
        """Keeps the slots of the members in training alone, once half of the slots are idle.

        It does not happen earlier, because a new width is a new program.
        """
        training, program = self.training, self.engine.program
        if not training or 2 * len(training) > len(self.slots):
            return
        index = jnp.asarray([self.slots.index(owner) for owner in training], jnp.int32)
        arrays = (program.loss, program.optimizer, program.key, self.engine.state)
        kept = program.parallel.spread(jax.tree.map(lambda leaf: leaf[index], arrays))
        loss, optimizer, key, self.engine.state = kept
        self.engine.program = replace(program, loss=loss, optimizer=optimizer, key=key)
        if not self.population.shared_order:
            self.engine.source = self.engine.source.of_members(key)
        self.slots = training

    def end(self, owner: int, state: State, failed_at: int | None = None, stopped_after: int | None = None) -> None:
        """Records that a member ended in this state; see `Outcome`."""
        population, experiment, rows = self.population, self.experiments[owner], self.rows[owner]
        shared = (population.dataset.shape, population.preprocess)
        reference = experiment.reference(population.dataset.train, population.preprocess)
        tell_skipped(experiment, state)
        trained = Trained(experiment, *shared, state, History(rows), data=population.data, reference=reference)
        self.ended[owner] = Outcome(trained, failed_at, stopped_after)

    def outcomes(self) -> list[Outcome]:
        """Returns the outcome of each member, in their order, once all have ended."""
        return [self.ended[owner] for owner in range(len(self.experiments))]

    def _end(self, owner: int, window: Window, **how: int) -> None:
        slot = self.slots.index(owner)
        self.end(owner, jax.tree.map(lambda leaf: np.asarray(leaf)[slot], window.state.state), **how)
