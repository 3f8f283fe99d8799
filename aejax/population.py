"""Many settings and seeds of one structure, trained as one program: the step of `train`, vmapped over members.

Experiments share a structure where they differ in nothing but traced numbers (those of the loss and
the optimiser) and in their seeds. Members are independent: a device holds some of them whole, and
the program has no collective.
"""

import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from aejax import devices, train
from aejax.data import Dataset, Part, Preprocess
from aejax.data import load as load_data
from aejax.errors import InputError
from aejax.experiment import Experiment, differences
from aejax.loop import one_ahead
from aejax.losses import Loss
from aejax.metrics import Metrics, means
from aejax.models import Model
from aejax.optim import Optimizer
from aejax.pytree import as_arrays
from aejax.trained import CHUNK, Trained, example

# The program.


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Member:
    """A state, and whether every loss so far was finite; from the first that is not on, the state stands still."""

    state: train.State
    alive: Bool[Array, "*members"]

    @property
    def step(self) -> Int[Array, "*members"]:
        """How many steps it has made."""
        return self.state.step


def init(model: Model, losses: Loss, optimizers: Optimizer, batch: Part, keys: Key[Array, " members"]) -> Member:
    """Every member before its first step; each leaf of `losses` and `optimizers` has an axis of members."""
    states = jax.vmap(lambda loss, optimizer, key: train.init(model, loss, optimizer, batch, key))(
        losses, optimizers, keys
    )
    return Member(states, jnp.ones(len(keys), bool))


def epoch(
    model: Model,
    losses: Loss,
    optimizers: Optimizer,
    preprocess: Preprocess,
    members: Member,
    part: Part,
    keys: Key[Array, " members"],
    order_keys: Key[Array, "*members"],
    start: Int[Array, ""],
    batch_size: int,
) -> tuple[Member, Metrics]:
    """`train.epoch` of every member, from step `start`; the metrics have axes of members and steps.

    With one key in place of `order_keys` all members see the same batches, which are gathered once.
    """

    def follow(
        loss: Loss, optimizer: Optimizer, member: Member, key: Key[Array, ""], order: Int[Array, "steps batch"]
    ) -> tuple[Member, Metrics]:
        return train.follow(partial(_advance, model, loss, optimizer), preprocess, member, part, key, order)

    order_of = partial(train.batches, step=start, size=len(part), batch_size=batch_size)
    if order_keys.ndim == 0:
        order, axis = order_of(order_keys), None
    else:
        order, axis = jax.vmap(order_of)(order_keys), 0
    return jax.vmap(follow, in_axes=(0, 0, 0, 0, axis))(losses, optimizers, members, keys, order)


def _advance(
    model: Model, loss: Loss, optimizer: Optimizer, member: Member, batch: Part, key: Key[Array, ""]
) -> tuple[Member, Metrics]:
    after, metrics = train.step(model, loss, optimizer, member.state, batch, key)
    alive = member.alive & jnp.isfinite(metrics["loss_nats"].sum)
    state = jax.tree.map(lambda new, old: jnp.where(alive, new, old), after, member.state)
    return Member(state, alive), metrics


def evaluate(
    model: Model,
    losses: Loss,
    preprocess: Preprocess,
    members: Member,
    part: Part,
    keys: Key[Array, " members"],
    batch_size: int,
) -> Metrics:
    """`train.evaluate` of every member's own loss; the metrics have axes of members and batches."""

    def one(loss: Loss, member: Member, key: Key[Array, ""]) -> Metrics:
        return train.evaluate(model, (loss,), preprocess, member.state, part, key, batch_size)

    return jax.vmap(one)(losses, members, keys)


_init = jax.jit(init, static_argnames="model")
_epoch = jax.jit(epoch, static_argnames=("model", "batch_size"))
_evaluate = jax.jit(evaluate, static_argnames=("model", "batch_size"))


# What is dropped before the end.


class Selection(Protocol):
    """Which members go on, asked after every epoch."""

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """For each member still training, whether it goes on, by its validation losses so far."""


@dataclass(frozen=True)
class EarlyStopping:
    """A member ends once its validation loss has not fallen for `patience` epochs."""

    patience: int = 5

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """Those whose lowest loss is recent."""
        return len(losses) - 1 - losses.argmin(axis=0) < self.patience


@dataclass(frozen=True)
class SuccessiveHalving:
    """At each rung the best `fraction` go on, at least one. Jamieson & Talwalkar 2016, figure 1."""

    rungs: tuple[int, ...]
    """Epochs after which members are compared by validation loss."""
    fraction: float = 0.5

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """The best at a rung; all elsewhere."""
        members = losses.shape[1]
        kept = max(math.ceil(self.fraction * members), 1) if len(losses) in self.rungs else members
        return np.argsort(np.argsort(losses[-1], kind="stable"), kind="stable") < kept


# The host's side.


@dataclass(frozen=True)
class Outcome:
    """How one member ended."""

    trained: Trained
    """Its state when it ended, and its rows of metrics until then."""
    failed_at: int | None = None
    """The step, counted from 1, whose loss was not finite."""
    stopped_after: int | None = None
    """The epoch after which a selection dropped it."""


def structure(experiment: Experiment) -> Hashable:
    """What members of a population must share: equal for two experiments exactly where they can be stacked."""
    settings = as_arrays((experiment.loss, experiment.optimizer))
    shapes = tuple(leaf.shape for leaf in jax.tree.leaves(settings))
    rest = (experiment.model, str(experiment.data), experiment.batch_size, experiment.epochs)
    return jax.tree.structure(settings), shapes, rest


def fit(
    experiments: Sequence[Experiment],
    *,
    dataset: Dataset | None = None,
    shared_order: bool = False,
    selection: Selection | None = None,
    memory: int | None = None,
    on_epoch: Callable[[int], None] = lambda members: None,
) -> list[Outcome]:
    """Trains experiments of one structure together; each ends as it would alone, up to rounding.

    Args:
        experiments: of one `structure`.
        dataset: in place of the one that their `data` names.
        shared_order: every member sees the batches of the first one's seed; faster, and its noise stays its own.
        selection: drops members early, by validation loss.
        memory: bytes that the program may take; None: most of what the device has left. A larger
            population is split into equal ones, by what its compiled program says it needs.
        on_epoch: called after every epoch with the number of members that it trained.

    Raises:
        InputError: for experiments of different structure, settings that cannot be trained, or a
            selection without a validation part.
    """
    if not experiments:
        raise InputError("a population needs at least one experiment: none was given")
    dataset = load_data(experiments[0].data) if dataset is None else dataset
    resolved = [experiment.resolve(dataset) for experiment in experiments]
    shared = structure(resolved[0])
    for experiment in resolved[1:]:
        if structure(experiment) != shared:
            changed = ", ".join(differences(resolved[0], experiment))
            raise InputError(f"members of a population may differ in traced numbers and seeds alone, not in: {changed}")
    if selection is not None and len(dataset.validation) == 0:
        raise InputError("a selection needs a validation part, but the data holds none out: set data.validation")
    preprocess = resolved[0].data.preprocess.fit(dataset.train.x)
    parts = {
        name: devices.place(dataset.part(name), preprocess)
        for name in ("train", "validation")
        if len(dataset.part(name))
    }
    program = _Program(resolved[0], as_arrays(preprocess), parts, shared_order)
    size = program.members_at_once(resolved, dataset.shape, devices.free_memory() if memory is None else memory)
    outcomes: list[Outcome] = []
    for start in range(0, len(resolved), size):
        members = resolved[start : start + size]
        filled = [*members, *[members[-1]] * (size - len(members))]  # every group runs the same program
        book = _Book(members, dataset.shape, preprocess)
        _run(program, program.begin(filled, dataset.shape), book, selection, on_epoch)
        outcomes += book.outcomes()
    return outcomes


def _run(
    program: "_Program",
    group: "_Group",
    book: "_Book",
    selection: Selection | None,
    on_epoch: Callable[[int], None],
) -> None:
    epochs = program.epochs(group)
    # A selection decides what the next epoch trains, so that one cannot be dispatched before it has.
    for epoch in epochs if selection is not None else one_ahead(epochs):
        book.enter(epoch)
        on_epoch(len(epoch.slots))
        if selection is not None:
            book.select(selection, epoch)
            group.narrow(book.training(epoch.slots))


@dataclass
class _Group:
    """Members on the device: every leaf has an axis of slots, and `slots` says whose each is."""

    slots: list[int]
    losses: Loss
    optimizers: Optimizer
    keys: Key[Array, " members"]
    members: Member

    def narrow(self, training: list[int]) -> None:
        """Drops the other slots once half of them are idle: a new width is a new program."""
        if 2 * len(training) > len(self.slots):
            return
        index = jnp.asarray([self.slots.index(owner) for owner in training], jnp.int32)
        kept = jax.tree.map(lambda leaf: leaf[index], (self.losses, self.optimizers, self.keys, self.members))
        self.losses, self.optimizers, self.keys, self.members = devices.spread(kept)
        self.slots = training


@dataclass(frozen=True)
class _Epoch:
    """One epoch as it was dispatched; reading its metrics waits for it."""

    number: int
    slots: list[int]
    members: Member
    metrics: dict[str, Metrics]
    dispatched: float


@dataclass(frozen=True)
class _Program:
    """What every member shares, on the device."""

    first: Experiment
    preprocess: Preprocess
    parts: dict[str, Part]
    shared_order: bool

    def begin(self, experiments: Sequence[Experiment], shape: tuple[int, ...]) -> _Group:
        """Fresh members."""
        settings = devices.spread(_stacked(experiments))
        members = _init(self.first.model, *settings[:2], example(shape), settings[2])
        return _Group(list(range(len(experiments))), *settings, members)

    def epochs(self, group: _Group) -> Iterator[_Epoch]:
        """Dispatches one epoch of the group after the other."""
        size = self.first.batch_size
        steps = len(self.parts["train"]) // size
        for number in range(1, self.first.epochs + 1):
            if not group.slots:
                return
            clock = time.perf_counter()
            start = jnp.asarray((number - 1) * steps, jnp.int32)
            group.members, train_metrics = _epoch(*self._arguments(group, start), batch_size=size)
            metrics = {"train": train_metrics}
            if "validation" in self.parts:
                part, members = self.parts["validation"], group.members
                metrics["validation"] = _evaluate(
                    self.first.model,
                    group.losses,
                    self.preprocess,
                    members,
                    part,
                    group.keys,
                    batch_size=min(CHUNK, len(part)),
                )
            yield _Epoch(number, list(group.slots), group.members, metrics, clock)

    def _arguments(self, group: _Group, start: Int[Array, ""]) -> tuple[Any, ...]:
        order_keys = jax.random.key(self.first.seed) if self.shared_order else group.keys
        settings = (self.first.model, group.losses, group.optimizers, self.preprocess)
        return (*settings, group.members, self.parts["train"], group.keys, order_keys, start)

    def members_at_once(self, experiments: Sequence[Experiment], shape: tuple[int, ...], memory: int) -> int:
        """How many members make a group, so that a group's compiled epoch takes at most `memory` bytes."""
        fixed = sum(leaf.nbytes for leaf in jax.tree.leaves(self.parts))
        each = max(self._needed(experiments, shape) - fixed, 1) / len(experiments)
        fitting = max(int((memory - fixed) / each), 1)
        groups = -(-len(experiments) // fitting)
        return devices.rounded(-(-len(experiments) // groups))

    def _needed(self, experiments: Sequence[Experiment], shape: tuple[int, ...]) -> int:
        settings = _stacked(experiments)
        members = jax.eval_shape(partial(init, self.first.model), *settings[:2], example(shape), settings[2])
        arguments = self._arguments(_Group([], *settings, members), jnp.zeros((), jnp.int32))
        sizes: Any = _epoch.lower(*arguments, batch_size=self.first.batch_size).compile().memory_analysis()
        return sizes.argument_size_in_bytes + sizes.output_size_in_bytes + sizes.temp_size_in_bytes


class _Book:
    """What is known of each member on the host; what fills up a group is none of them."""

    def __init__(self, experiments: Sequence[Experiment], shape: tuple[int, ...], preprocess: Preprocess) -> None:
        self.experiments, self.shape, self.preprocess = experiments, shape, preprocess
        self.rows: list[list[dict[str, Any]]] = [[] for _ in experiments]
        self.ended: dict[int, Outcome] = {}
        self.last: _Epoch | None = None

    def enter(self, epoch: _Epoch) -> None:
        """Reads an epoch's metrics, and ends the members that failed in it."""
        metrics, members = jax.device_get((epoch.metrics, epoch.members))
        seconds = time.perf_counter() - epoch.dispatched
        for owner in self.training(epoch.slots):
            slot = epoch.slots.index(owner)
            if not members.alive[slot]:
                self._end(owner, epoch, failed_at=int(members.step[slot]) + 1)
                continue
            where = {"epoch": epoch.number, "step": int(members.step[slot])}
            for split, part in metrics.items():
                own = means(jax.tree.map(lambda leaf, slot=slot: leaf[slot], part))
                self.rows[owner].append(where | {"split": split} | own)
            self.rows[owner][-len(metrics)]["seconds"] = seconds
        self.last = epoch

    def training(self, slots: list[int]) -> list[int]:
        """Those of the slots' members that neither failed nor were dropped."""
        return [owner for owner in slots if owner < len(self.experiments) and owner not in self.ended]

    def select(self, selection: Selection, epoch: _Epoch) -> None:
        """Ends the members that a selection drops."""
        training = self.training(epoch.slots)
        if not training or epoch.number == self.experiments[0].epochs:
            return
        losses = [[row["loss_nats"] for row in self.rows[owner] if row["split"] == "validation"] for owner in training]
        kept = selection.keep(np.asarray(losses).T)
        for owner in (owner for owner, keeps in zip(training, kept, strict=True) if not keeps):
            self._end(owner, epoch, stopped_after=epoch.number)

    def outcomes(self) -> list[Outcome]:
        """How each ended; after the last epoch."""
        assert self.last is not None
        for owner in self.training(self.last.slots):
            self._end(owner, self.last)
        return [self.ended[owner] for owner in range(len(self.experiments))]

    def _end(self, owner: int, epoch: _Epoch, **how: int) -> None:
        slot = epoch.slots.index(owner)
        state = jax.tree.map(lambda leaf: leaf[slot], epoch.members.state)
        trained = Trained(self.experiments[owner], self.shape, self.preprocess, state, self.rows[owner])
        self.ended[owner] = Outcome(trained, **how)


def _stacked(experiments: Sequence[Experiment]) -> tuple[Loss, Optimizer, Key[Array, " members"]]:
    settings = [as_arrays((experiment.loss, experiment.optimizer)) for experiment in experiments]
    losses, optimizers = jax.tree.map(lambda *leaves: jnp.stack(leaves), *settings)
    return losses, optimizers, jnp.stack([jax.random.key(experiment.seed) for experiment in experiments])
