"""Training as pure functions: state, step, epoch, evaluation. No device, no file, no flag.

`model` is a Linen module (static); `loss`, `optimizer` and `preprocess` are pytrees of numbers
(traced), so a new learning rate or loss weight never compiles again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from aejax import models
from aejax.data.dataset import Part
from aejax.data.preprocess import Preprocess
from aejax.keys import Stream, derive, model_keys
from aejax.metrics.mean import Mean, Metrics
from aejax.models import Model
from aejax.optim import Optimizer

Measure = Callable[..., dict[str, Float[Array, " batch"]]]
"""`measure(model, batch)`: named values, one for each example. A loss is one, called in training as
`loss(model, batch, True, step)`: it minimises its `loss_nats`."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """Everything that training changes, and nothing but arrays."""

    step: Int[Array, ""]
    params: Any
    opt_state: Any
    collections: Any
    """Linen's mutable collections: batch statistics, codebooks, counters."""


class Stepping(Protocol):
    """What an epoch carries from step to step."""

    @property
    def step(self) -> Int[Array, ""]:
        """How many steps it has made."""


S = TypeVar("S", bound=Stepping)


def init(model: Model, loss: Measure, optimizer: Optimizer, batch: Part, key: Key[Array, ""]) -> State:
    """The state before the first step; of `batch` only the shape matters."""
    keys = {"params": derive(key, Stream.PARAMS), **model_keys(key, 0)}
    variables = dict(models.init(lambda model, batch: loss(model, batch, True), model, keys, batch))
    params = variables.pop("params")
    return State(jnp.zeros((), jnp.int32), params, optimizer.transformation().init(params), variables)


def step(
    model: Model, loss: Measure, optimizer: Optimizer, state: State, batch: Part, key: Key[Array, ""]
) -> tuple[State, Metrics]:
    """One step of the optimiser down the gradient of the batch's mean loss."""

    def objective(params: Any) -> tuple[Float[Array, ""], tuple[dict[str, Array], Any]]:
        variables = {"params": params, **state.collections}
        keys = model_keys(key, state.step)
        values, collections = models.apply(loss, model, variables, keys, batch, True, state.step, mutable=True)
        return values["loss_nats"].mean(), (values, collections)

    gradient, (values, collections) = jax.grad(objective, has_aux=True)(state.params)
    updates, opt_state = optimizer.transformation().update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = {name: Mean.of(value) for name, value in values.items()}
    return State(state.step + 1, params, opt_state, collections), metrics


def epoch(
    model: Model,
    loss: Measure,
    optimizer: Optimizer,
    preprocess: Preprocess,
    state: State,
    part: Part,
    key: Key[Array, ""],
    batch_size: int,
) -> tuple[State, Metrics]:
    """One pass over `part` in a fresh order, as one program; the metrics have an axis of steps.

    The examples left over by the last whole batch sit out this epoch: which ones changes every time.
    """
    order = batches(key, state.step, len(part), batch_size)
    return follow(partial(step, model, loss, optimizer), preprocess, state, order, key, part.take)


def batches(
    key: Key[Array, ""], step: int | Int[Array, ""], size: int, batch_size: int
) -> Int[Array, "steps batch_size"]:
    """Which examples make each batch of the epoch that begins at `step`."""
    steps = size // batch_size
    return shuffle(derive(key, Stream.ORDER, step), size)[: steps * batch_size].reshape(steps, batch_size)


def follow(
    advance: Callable[[S, Part, Key[Array, ""]], tuple[S, Metrics]],
    preprocess: Preprocess,
    state: S,
    batches: Any,
    key: Key[Array, ""],
    take: Callable[[Any], Part] = lambda batch: batch,
) -> tuple[S, Metrics]:
    """Preprocesses one batch after the other, in the given order, and advances the state by each.

    `batches` has a leading axis of steps: parts, or whatever else `take` makes a part of.
    """

    def body(state: S, batch: Any) -> tuple[S, Metrics]:
        stored = take(batch)
        values = preprocess(stored.x, derive(key, Stream.PREPROCESS, state.step))
        return advance(state, Part(values, stored.label), key)

    return jax.lax.scan(body, state, batches)


def shuffle(key: Key[Array, ""], size: int) -> Int[Array, " size"]:
    """A random order of `size` examples.

    Sorts words of random bits above an index, twice, so that words which tie in one pass are apart
    in the other: a third of the cost of `jax.random.permutation`, whose sort carries a second array.
    """
    width = max(size - 1, 1).bit_length()
    index = jnp.arange(size, dtype=jnp.uint32)

    def deal(key: Key[Array, ""]) -> Int[Array, " size"]:
        words = jnp.sort(jax.random.bits(key, (size,)) << width | index)
        return (words & (2**width - 1)).astype(jnp.int32)

    first, second = jax.random.split(key)
    return deal(first)[deal(second)]


def evaluate(
    model: Model,
    measures: tuple[Measure, ...],
    preprocess: Preprocess,
    state: State,
    part: Part,
    key: Key[Array, ""],
    batch_size: int,
    first: int | Int[Array, ""] = 0,
    size: int | Int[Array, ""] | None = None,
) -> Metrics:
    """Every measure over every example of `part` once; of a stretch as `outputs` has it, over those that count."""
    values, counted = outputs(model, measures, preprocess, state, part, key, batch_size, first, size)
    return {name: jax.vmap(Mean.of)(value, counted) for name, value in values.items()}


def outputs(
    model: Model,
    measures: tuple[Measure, ...],
    preprocess: Preprocess,
    state: State,
    part: Part,
    key: Key[Array, ""],
    batch_size: int,
    first: int | Int[Array, ""] = 0,
    size: int | Int[Array, ""] | None = None,
) -> tuple[dict[str, Float[Array, "batches batch *rest"]], Bool[Array, "batches batch"]]:
    """What every measure says of every example of `part`, and which of them count.

    The last batch is filled up with the first examples, which do not count again: statistics of a
    batch are always those of `batch_size` different examples, where `part` has as many.
    Of a part of `size` examples, `part` may be the stretch of whole batches that begins with batch `first`.
    """
    batches = -(-len(part) // batch_size)
    index = jnp.arange(batches * batch_size).reshape(batches, batch_size)
    variables = {"params": state.params, **state.collections}
    key = derive(key, Stream.EVALUATION)

    def body(number: Int[Array, ""], index: Int[Array, " batch"]) -> tuple[Int[Array, ""], dict[str, Array]]:
        stored = part.take(index % len(part))
        batch = Part(preprocess(stored.x, derive(key, Stream.PREPROCESS, number)), stored.label)
        values: dict[str, Array] = {}
        for measure in measures:
            values |= models.apply(measure, model, variables, model_keys(key, number), batch)[0]
        return number + 1, values

    counted = first * batch_size + index < (len(part) if size is None else size)
    return jax.lax.scan(body, jnp.asarray(first, jnp.int32), index)[1], counted
