"""Evaluation: what measures say of every example of a part, and their means."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from aejax.core import linen
from aejax.core.examples import Examples, Preprocessing
from aejax.core.keys import Stream, derive, model_keys
from aejax.core.linen import Model
from aejax.core.mean import Mean, Metrics
from aejax.core.train_step import Measure, State


def evaluate(
    model: Model,
    measures: tuple[Measure, ...],
    preprocess: Preprocessing,
    state: State,
    part: Examples,
    key: Key[Array, ""],
    batch_size: int,
    first: int | Int[Array, ""] = 0,
    size: int | Int[Array, ""] | None = None,
) -> Metrics:
    """Every measure over every example of `part` once; of a chunk as `outputs` has it, over those that count."""
    values, counted = outputs(model, measures, preprocess, state, part, key, batch_size, first, size)
    return {name: jax.vmap(Mean.of)(value, counted) for name, value in values.items()}


def outputs(
    model: Model,
    measures: tuple[Measure, ...],
    preprocess: Preprocessing,
    state: State,
    part: Examples,
    key: Key[Array, ""],
    batch_size: int,
    first: int | Int[Array, ""] = 0,
    size: int | Int[Array, ""] | None = None,
) -> tuple[dict[str, Float[Array, "batches batch *rest"]], Bool[Array, "batches batch"]]:
    """What every measure says of every example of `part`, and which of them count.

    The last batch is filled up with the first examples, which do not count again: statistics of a
    batch are always those of `batch_size` different examples, where `part` has as many.
    Of a part of `size` examples, `part` may be the chunk of whole batches that begins with batch `first`.
    """
    batches = -(-len(part) // batch_size)
    index = jnp.arange(batches * batch_size).reshape(batches, batch_size)
    variables = {"params": state.params, **state.collections}
    key = derive(key, Stream.EVALUATION)

    def body(number: Int[Array, ""], index: Int[Array, " batch"]) -> tuple[Int[Array, ""], dict[str, Array]]:
        stored = part.take(index % len(part))
        batch = Examples(preprocess(stored.x, derive(key, Stream.PREPROCESS, number)), stored.label)
        values: dict[str, Array] = {}
        for measure in measures:
            values |= linen.apply(measure, model, variables, model_keys(key, number), batch)[0]
        return number + 1, values

    counted = first * batch_size + index < (len(part) if size is None else size)
    return jax.lax.scan(body, jnp.asarray(first, jnp.int32), index)[1], counted
