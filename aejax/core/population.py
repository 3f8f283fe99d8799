"""Trains many members in one program: experiments of one structure, each with its own settings, seed and state.

Members are independent: the program has no collective operation, and a device holds each of its members whole.
Everything here is pure, as the step is; `aejax.training` does what the host has to do.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from aejax.core import epochs, evaluation, train_step
from aejax.core.epochs import Batches
from aejax.core.examples import Examples, Preprocessing
from aejax.core.linen import Model
from aejax.core.mean import Metrics
from aejax.core.optimizers import Optimizer
from aejax.core.pytrees import pytree
from aejax.core.train_step import Measure


@pytree
@dataclass(frozen=True)
class Members:
    """Holds the states of all members, each leaf with a leading axis of members.

    `alive` says whether every loss of a member so far was finite. From the first loss that is not, the member's
    state no longer changes.
    """

    state: train_step.State
    alive: Bool[Array, "*members"]

    @property
    def step(self) -> Int[Array, "*members"]:
        """Returns how many steps each member has made."""
        return self.state.step


def init_members(
    model: Model,
    losses: Measure,
    optimizers: Optimizer,
    batch: Examples,
    keys: Key[Array, " members"],
    preprocess: Preprocessing,
    sample: Examples | None = None,
) -> Members:
    """Creates every member before its first step, each as it would be alone.

    Args:
        model: the model that all members share.
        losses: the members' losses; each leaf has an axis of members.
        optimizers: the members' optimisers; each leaf has an axis of members.
        batch: a batch, of which only the shape matters.
        keys: the key of each member.
        preprocess: turns stored examples into the float32 batch that the model sees.
        sample: training examples, as stored, on which every member's model is primed; None: none is.
    """

    def one(loss: Measure, optimizer: Optimizer, key: Key[Array, ""]) -> train_step.State:
        return train_step.init(model, loss, optimizer, batch, key, train_step.priming_sample(preprocess, sample, key))

    states = _each(one)(losses, optimizers, keys)
    return Members(states, jnp.ones(len(keys), bool))


def train_members(
    model: Model,
    losses: Measure,
    optimizers: Optimizer,
    preprocess: Preprocessing,
    members: Members,
    batches: Batches,
    keys: Key[Array, " members"],
) -> tuple[Members, Metrics]:
    """Trains every member on the batches of consecutive steps, each as it would be trained alone.

    Args:
        model: the model that all members share.
        losses: the members' losses; each leaf has an axis of members.
        optimizers: the members' optimisers; each leaf has an axis of members.
        preprocess: turns stored examples into the float32 batch that the model sees.
        members: the members before the steps.
        batches: the batches; without an axis of members all members see the same, and each is gathered once.
        keys: the key of each member.

    Returns:
        The members after the steps, and the metrics, whose sums and counts have axes of members and steps.
    """

    def train(
        loss: Measure,
        optimizer: Optimizer,
        member: Members,
        key: Key[Array, ""],
        order: Int[Array, "steps batch"] | None,
    ) -> tuple[Members, Metrics]:
        own = replace(batches, order=order)
        return epochs.scan_batches(partial(_advance, model, loss, optimizer), preprocess, member, own, key)

    if batches.order is None or batches.order.ndim == 2:
        return _each(partial(train, order=batches.order))(losses, optimizers, members, keys)
    return _each(train)(losses, optimizers, members, keys, batches.order)


def evaluate_members(
    model: Model,
    losses: Measure,
    optimizers: Optimizer,
    preprocess: Preprocessing,
    members: Members,
    part: Examples,
    keys: Key[Array, " members"],
    batch_size: int,
    first: int | Int[Array, ""] = 0,
    size: int | Int[Array, ""] | None = None,
) -> Metrics:
    """Evaluates every member's own loss on a part, as `evaluate` does for one model.

    Args:
        model: the model that all members share.
        losses: the members' losses; each leaf has an axis of members.
        optimizers: the members' optimisers, which say whether averages of the parameters are used.
        preprocess: turns stored examples into the float32 batch that the model sees.
        members: the members.
        part: the examples, as stored.
        keys: the key of each member.
        batch_size: the number of examples in a batch.
        first: the number of the first batch, where `part` is a chunk: see `evaluate`.
        size: the number of examples in the whole part, where `part` is a chunk.

    Returns:
        The metrics, whose sums and counts have axes of members and batches.
    """

    def one(loss: Measure, state: train_step.State, key: Key[Array, ""]) -> Metrics:
        return evaluation.evaluate(model, (loss,), preprocess, state, part, key, batch_size, first, size)

    return _each(one)(losses, optimizers.averaged(members.state), keys)


def _advance(
    model: Model, loss: Measure, optimizer: Optimizer, member: Members, batch: Examples, key: Key[Array, ""]
) -> tuple[Members, Metrics]:
    after, metrics = train_step.step(model, loss, optimizer, member.state, batch, key)
    alive = member.alive & jnp.isfinite(metrics["loss_nats"].sum)
    state = jax.tree.map(lambda new, old: jnp.where(alive, new, old), after, member.state)
    return Members(state, alive), metrics


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    """Maps a function over members as `jax.vmap` does, but calls it without a batch axis where there is one member.

    On a CPU, products of matrices in batches of one take 1.4 times as long.
    """

    def over(*arguments: Any) -> Any:
        if len(jax.tree.leaves(arguments)[0]) > 1:
            return jax.vmap(function)(*arguments)
        alone = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
        return jax.tree.map(lambda leaf: leaf[None], alone)

    return over
