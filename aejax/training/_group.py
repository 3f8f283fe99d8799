"""Trains a group of a population's members on the device: what they share, and one epoch after the other."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from aejax import core, devices
from aejax.core import CHUNK, Examples, Members, Metrics, Optimizer, as_arrays, blank_example, nbytes
from aejax.data import Dataset, Preprocess
from aejax.experiment import Experiment
from aejax.losses import Loss

init = jax.jit(core.init_members, static_argnames="model")

epoch = jax.jit(core.epoch_of_members, static_argnames=("model", "batch_size"))

evaluate = jax.jit(core.evaluate_members, static_argnames=("model", "batch_size"))


@dataclass
class Group:
    """Holds members on the device: every leaf has an axis of slots, and `slots` says which member each slot holds."""

    slots: list[int]
    """The number of the member in each slot; numbers beyond the group's experiments are padding."""
    losses: Loss
    optimizers: Optimizer
    keys: Key[Array, " members"]
    members: Members
    done: int = 0
    """Number of epochs that the members have been trained for."""

    def narrow(self, training: list[int]) -> None:
        """Keeps the slots of the members in `training` alone, once half of the slots are idle.

        It does not happen earlier, because a new width is a new program.
        """
        if 2 * len(training) > len(self.slots):
            return
        index = jnp.asarray([self.slots.index(owner) for owner in training], jnp.int32)
        kept = jax.tree.map(lambda leaf: leaf[index], (self.losses, self.optimizers, self.keys, self.members))
        self.losses, self.optimizers, self.keys, self.members = devices.spread(kept)
        self.slots = training


@dataclass(frozen=True)
class GroupEpoch:
    """Holds one epoch of a group as it was dispatched; reading its metrics waits for it."""

    number: int
    slots: list[int]
    members: Members
    metrics: dict[str, Metrics]
    dispatched: float


@dataclass(frozen=True)
class Program:
    """Holds what all members share on the device, and runs their compiled functions."""

    first: Experiment
    shape: tuple[int, ...]
    preprocess: Preprocess
    parts: dict[str, Examples]
    shared_order: bool

    @classmethod
    def of(cls, first: Experiment, dataset: Dataset, preprocess: Preprocess, shared_order: bool) -> "Program":
        """Places the data on the device.

        Args:
            first: the first experiment, resolved.
            dataset: the data of all members.
            preprocess: the fitted preprocessing.
            shared_order: whether every member sees the batches of the first one's seed.
        """
        parts = {
            name: devices.place(dataset.part(name), preprocess)
            for name in ("train", "validation")
            if len(dataset.part(name))
        }
        return cls(first, dataset.shape, as_arrays(preprocess), parts, shared_order)

    @property
    def fixed_bytes(self) -> int:
        """The bytes of the data, which all groups share."""
        return nbytes(self.parts)

    def begin(self, experiments: Sequence[Experiment], slots: list[int]) -> Group:
        """Makes a group of fresh members, one for each slot. Padding slots repeat the last experiment."""
        settings = devices.spread(_stacked([experiments[min(owner, len(experiments) - 1)] for owner in slots]))
        fresh = init(self.first.model, *settings[:2], blank_example(self.shape), settings[2])
        return Group(slots, *settings, fresh)

    def epochs(self, group: Group) -> Iterator[GroupEpoch]:
        """Dispatches one epoch of the group after the other, as long as members are left in it."""
        while group.slots and group.done < self.first.epochs:
            clock = time.perf_counter()
            group.members, train_metrics = epoch(*self._train(group), batch_size=self.first.batch_size)
            metrics = {"train": train_metrics}
            if "validation" in self.parts:
                metrics["validation"] = evaluate(*self._validate(group), batch_size=self._chunk)
            group.done += 1
            yield GroupEpoch(group.done, list(group.slots), group.members, metrics, clock)

    def compile(self, experiments: Sequence[Experiment]) -> int:
        """Compiles all that a group of these experiments runs; returns the most bytes that it takes, data included."""
        settings = _stacked(experiments)
        fresh = init.lower(self.first.model, *settings[:2], blank_example(self.shape), settings[2])
        fresh.compile()
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), fresh.out_info)
        group = Group([], *settings, shapes)
        lowered = [epoch.lower(*self._train(group), batch_size=self.first.batch_size)]
        if "validation" in self.parts:
            lowered.append(evaluate.lower(*self._validate(group), batch_size=self._chunk))
        sizes: list[Any] = [program.compile().memory_analysis() for program in lowered]
        # All parts of the data stay while a program runs. It counts its own part among its arguments.
        return self.fixed_bytes + max(
            size.argument_size_in_bytes + size.output_size_in_bytes + size.temp_size_in_bytes - nbytes(part)
            for size, part in zip(sizes, self.parts.values(), strict=True)
        )

    @property
    def _chunk(self) -> int:
        return min(CHUNK, len(self.parts["validation"]))

    def _train(self, group: Group) -> tuple[Any, ...]:
        order_keys = jax.random.key(self.first.seed) if self.shared_order else group.keys
        start: Int[Array, ""] = jnp.asarray(group.done * (len(self.parts["train"]) // self.first.batch_size), jnp.int32)
        settings = (self.first.model, group.losses, group.optimizers, self.preprocess)
        return (*settings, group.members, self.parts["train"], group.keys, order_keys, start)

    def _validate(self, group: Group) -> tuple[Any, ...]:
        settings = (self.first.model, group.losses, self.preprocess)
        return (*settings, group.members, self.parts["validation"], group.keys)


def _stacked(experiments: Sequence[Experiment]) -> tuple[Loss, Optimizer, Key[Array, " members"]]:
    settings = [as_arrays((experiment.loss, experiment.optimizer)) for experiment in experiments]
    losses, optimizers = jax.tree.map(lambda *leaves: jnp.stack(leaves), *settings)
    return losses, optimizers, jnp.stack([jax.random.key(experiment.seed) for experiment in experiments])
