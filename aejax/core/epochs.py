"""Runs an epoch as one program: every example once, in a fresh random order, one step after the other.

Which examples make a batch is a function of the seed and the step, so that a resumed run gives the same bits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from aejax.core.examples import Examples, Preprocessing, as_seen
from aejax.core.keys import Stream, derive
from aejax.core.linen import Model
from aejax.core.mean import Metrics
from aejax.core.optimizers import Optimizer
from aejax.core.pytrees import pytree
from aejax.core.train_step import Measure, State, step


class Stepping(Protocol):
    """Describes the state that an epoch carries from step to step."""

    @property
    def step(self) -> Int[Array, ""]:
        """Returns how many steps have been made."""


S = TypeVar("S", bound=Stepping)


@pytree
@dataclass(frozen=True)
class Batches:
    """Holds the batches of consecutive steps, as places in a part or as the examples themselves."""

    examples: Examples
    """The part in which `order` has places; without an order the batches themselves, `[steps, batch, ...]`."""
    order: Int[Array, "*members steps batch"] | None = None
    """The places of each batch's examples; with an axis of members, each member has batches of its own."""

    def __len__(self) -> int:
        """Returns the number of steps."""
        return len(self.examples) if self.order is None else self.order.shape[-2]


def epoch(
    model: Model,
    loss: Measure,
    optimizer: Optimizer,
    preprocess: Preprocessing,
    state: State,
    part: Examples,
    key: Key[Array, ""],
    batch_size: int,
) -> tuple[State, Metrics]:
    """Trains for one pass over `part` in a fresh random order, as one program.

    Where the batch size does not divide the number of examples, the ones left over are not used in this epoch; a
    fresh order leaves out others.

    Args:
        model: the model that is trained.
        loss: the measure whose mean `loss_nats` over a batch is minimised.
        optimizer: the optimiser.
        preprocess: turns stored examples into the float32 batch that the model sees.
        state: the state before the first step of the epoch.
        part: the training examples, as stored.
        key: the key of the run; the key of each use is derived from it and the step.
        batch_size: the number of examples in a batch.

    Returns:
        The state after the last step, and the metrics, whose sums and counts have an axis of steps.
    """
    batches = Batches(part, epoch_order(key, state.step, len(part), batch_size))
    return scan_batches(partial(step, model, loss, optimizer), preprocess, state, batches, key)


def epoch_order(
    key: Key[Array, ""], step: int | Int[Array, ""], size: int, batch_size: int
) -> Int[Array, "steps batch_size"]:
    """Draws which examples make each batch of the epoch that begins at `step`.

    Args:
        key: the key of the run.
        step: the number of steps made before the epoch.
        size: the number of training examples.
        batch_size: the number of examples in a batch.

    Returns:
        Indices of examples, `[steps, batch_size]`, none of them twice.
    """
    steps = size // batch_size
    return shuffle(derive(key, Stream.ORDER, step), size)[: steps * batch_size].reshape(steps, batch_size)


def scan_batches(
    advance: Callable[[S, Examples, Key[Array, ""]], tuple[S, Metrics]],
    preprocess: Preprocessing,
    state: S,
    batches: Batches,
    key: Key[Array, ""],
) -> tuple[S, Metrics]:
    """Preprocesses one batch after the other, in the given order, and advances the state by each.

    Args:
        advance: makes one step, `advance(state, batch, key)`, and returns the next state and the batch's metrics.
        preprocess: turns stored examples into the float32 batch that the model sees.
        state: the state before the first step.
        batches: the batch of each step.
        key: the key of the run.

    Returns:
        The state after the last step, and the metrics, whose sums and counts have an axis of steps.
    """

    def body(state: S, item: Any) -> tuple[S, Metrics]:
        stored = item if batches.order is None else batches.examples.take(item)
        return advance(state, as_seen(preprocess, stored, derive(key, Stream.PREPROCESS, state.step)), key)

    items = batches.examples if batches.order is None else batches.order
    return (jax.lax.scan if len(jax.tree.leaves(items)[0]) > 1 else _scan_one)(body, state, items)


def _scan_one(body: Callable[[S, Any], tuple[S, Metrics]], state: S, items: Any) -> tuple[S, Metrics]:
    """Returns what `jax.lax.scan` does for items of which there is one.

    A scan of one turn is compiled without a loop, where products may be rounded in another way. Of this loop the
    compiler does not know how often it turns, so that a batch by itself has the bits that it has among others.
    """
    item = jax.tree.map(lambda leaf: leaf[0], items)
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(body, state, item)[1])
    one = jax.lax.optimization_barrier(jnp.ones((), bool))
    state, metrics, _ = jax.lax.while_loop(
        lambda held: held[2], lambda held: (*body(held[0], item), jnp.zeros((), bool)), (state, empty, one)
    )
    return state, jax.tree.map(lambda leaf: leaf[None], metrics)


def shuffle(key: Key[Array, ""], size: int, _bits: int = 32) -> Int[Array, " size"]:
    """Returns the numbers from 0 to `size` - 1 in a random order; `size` is at most 2^31.

    Sorts words of random bits above an index, and does so twice with different bits: words whose random bits tie in
    one sort are told apart in the other. It takes a third of the time of `jax.random.permutation`, whose sort
    carries a second array. Above 2^21 numbers too few bits are left beside the index, and most words would tie in both
    sorts and keep their order; there an index is carried beside two whole words. `_bits`, the length of a word, is for
    tests: with shorter words, small sizes are shuffled as large ones are with words of 32 bits.
    """
    width = max(size - 1, 1).bit_length()
    index = jnp.arange(size, dtype=jnp.uint32)
    first, second = jax.random.split(key)

    def random_bits(key: Key[Array, ""]) -> Array:
        return jax.random.bits(key, (size,)) >> (32 - _bits)

    def sort(key: Key[Array, ""]) -> Int[Array, " size"]:
        words = jnp.sort((random_bits(key) << width | index) & jnp.uint32(2**_bits - 1))
        return (words & (2**width - 1)).astype(jnp.int32)

    if 3 * width < 2 * _bits:  # of 2 (bits - width) random bits, one number in two has the same as another, at most
        return sort(first)[sort(second)]
    words = (random_bits(first), random_bits(second), index)
    return jax.lax.sort(words, num_keys=2)[2].astype(jnp.int32)
