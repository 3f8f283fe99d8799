"""The step for many members: settings and seeds of one structure, each with a state of its own.

Members are independent: the program has no collective, and a device holds some of them whole. Pure, as
the step is; `aejax.training` has the host's side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from aejax.core import epochs, evaluation, train_step
from aejax.core.examples import Examples, Preprocessing
from aejax.core.linen import Model
from aejax.core.mean import Metrics
from aejax.core.optimizers import Optimizer
from aejax.core.train_step import Measure


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Members:
    """Their states, and whether every loss so far was finite; from the first that is not on, a state stands still."""

    state: train_step.State
    alive: Bool[Array, "*members"]

    @property
    def step(self) -> Int[Array, "*members"]:
        """How many steps each has made."""
        return self.state.step


def init_members(
    model: Model, losses: Measure, optimizers: Optimizer, batch: Examples, keys: Key[Array, " members"]
) -> Members:
    """Every member before its first step; each leaf of `losses` and `optimizers` has an axis of members."""
    states = _each(lambda loss, optimizer, key: train_step.init(model, loss, optimizer, batch, key))(
        losses, optimizers, keys
    )
    return Members(states, jnp.ones(len(keys), bool))


def epoch_of_members(
    model: Model,
    losses: Measure,
    optimizers: Optimizer,
    preprocess: Preprocessing,
    members: Members,
    part: Examples,
    keys: Key[Array, " members"],
    order_keys: Key[Array, "*members"],
    start: Int[Array, ""],
    batch_size: int,
) -> tuple[Members, Metrics]:
    """`epoch` of every member, from step `start`; the metrics have axes of members and steps.

    With one key in place of `order_keys` all members see the same batches, which are gathered once.
    """

    def follow(
        loss: Measure, optimizer: Optimizer, member: Members, key: Key[Array, ""], order: Int[Array, "steps batch"]
    ) -> tuple[Members, Metrics]:
        return epochs.scan_batches(partial(_advance, model, loss, optimizer), preprocess, member, order, key, part.take)

    order_of = partial(epochs.batches, step=start, size=len(part), batch_size=batch_size)
    if order_keys.ndim == 0:
        return _each(partial(follow, order=order_of(order_keys)))(losses, optimizers, members, keys)
    return _each(follow)(losses, optimizers, members, keys, _each(order_of)(order_keys))


def evaluate_members(
    model: Model,
    losses: Measure,
    preprocess: Preprocessing,
    members: Members,
    part: Examples,
    keys: Key[Array, " members"],
    batch_size: int,
) -> Metrics:
    """`evaluate` of every member's own loss; the metrics have axes of members and batches."""

    def one(loss: Measure, member: Members, key: Key[Array, ""]) -> Metrics:
        return evaluation.evaluate(model, (loss,), preprocess, member.state, part, key, batch_size)

    return _each(one)(losses, members, keys)


def _advance(
    model: Model, loss: Measure, optimizer: Optimizer, member: Members, batch: Examples, key: Key[Array, ""]
) -> tuple[Members, Metrics]:
    after, metrics = train_step.step(model, loss, optimizer, member.state, batch, key)
    alive = member.alive & jnp.isfinite(metrics["loss_nats"].sum)
    state = jax.tree.map(lambda new, old: jnp.where(alive, new, old), after, member.state)
    return Members(state, alive), metrics


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.vmap`; but one member alone is not batched: products of batches of one take 1.4 times as long on a CPU."""

    def over(*arguments: Any) -> Any:
        if len(jax.tree.leaves(arguments)[0]) > 1:
            return jax.vmap(function)(*arguments)
        alone = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
        return jax.tree.map(lambda leaf: leaf[None], alone)

    return over
