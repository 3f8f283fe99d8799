"""An epoch: every example once, in a fresh order, one step after the other as one program.

Which examples make a batch is a function of the seed and the step, so that a run resumes with the same bits.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from aejax.core.examples import Examples, Preprocessing
from aejax.core.keys import Stream, derive
from aejax.core.linen import Model
from aejax.core.mean import Metrics
from aejax.core.optimizers import Optimizer
from aejax.core.train_step import Measure, State, step


class Stepping(Protocol):
    """What an epoch carries from step to step."""

    @property
    def step(self) -> Int[Array, ""]:
        """How many steps it has made."""


S = TypeVar("S", bound=Stepping)


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
    """One pass over `part` in a fresh order, as one program; the metrics have an axis of steps.

    The examples left over by the last whole batch sit out this epoch: which ones changes every time.
    """
    order = batches(key, state.step, len(part), batch_size)
    return scan_batches(partial(step, model, loss, optimizer), preprocess, state, order, key, part.take)


def batches(
    key: Key[Array, ""], step: int | Int[Array, ""], size: int, batch_size: int
) -> Int[Array, "steps batch_size"]:
    """Which examples make each batch of the epoch that begins at `step`."""
    steps = size // batch_size
    return shuffle(derive(key, Stream.ORDER, step), size)[: steps * batch_size].reshape(steps, batch_size)


def scan_batches(
    advance: Callable[[S, Examples, Key[Array, ""]], tuple[S, Metrics]],
    preprocess: Preprocessing,
    state: S,
    batches: Any,
    key: Key[Array, ""],
    take: Callable[[Any], Examples] = lambda batch: batch,
) -> tuple[S, Metrics]:
    """Preprocesses one batch after the other, in the given order, and advances the state by each.

    `batches` has a leading axis of steps: parts, or whatever else `take` makes a part of.
    """

    def body(state: S, batch: Any) -> tuple[S, Metrics]:
        stored = take(batch)
        values = preprocess(stored.x, derive(key, Stream.PREPROCESS, state.step))
        return advance(state, Examples(values, stored.label), key)

    return jax.lax.scan(body, state, batches)


def shuffle(key: Key[Array, ""], size: int) -> Int[Array, " size"]:
    """A random order of `size` examples.

    Sorts words of random bits above an index, twice, so that words which tie in one pass are apart
    in the other: a third of the cost of `jax.random.permutation`, whose sort carries a second array.
    """
    width = max(size - 1, 1).bit_length()
    index = jnp.arange(size, dtype=jnp.uint32)

    def sort(key: Key[Array, ""]) -> Int[Array, " size"]:
        words = jnp.sort(jax.random.bits(key, (size,)) << width | index)
        return (words & (2**width - 1)).astype(jnp.int32)

    first, second = jax.random.split(key)
    return sort(first)[sort(second)]
