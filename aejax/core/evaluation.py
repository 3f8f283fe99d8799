"""Evaluates measures on every example of a part of a data set, and sums them up."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from aejax.core import linen
from aejax.core.examples import Examples, Preprocessing, as_seen
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
    """Sums every measure over the examples of `part`, each counted once.

    Args:
        model: the model, without its variables.
        measures: what is measured; each gives named values, one for each example.
        preprocess: turns stored examples into the float32 batch that the model sees.
        state: the state with the model's variables; see `Optimizer.averaged`.
        part: the examples, as stored; all of a part, or a chunk of it as `outputs` describes.
        key: the key of the run.
        batch_size: the number of examples in a batch.
        first: the number of the chunk's first batch.
        size: the number of examples in the whole part; None: `part` is all of it.

    Returns:
        The sum and the count of each measure, with an axis of batches.
    """
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
    """Returns the values of every measure for every example of `part`, and which of them count.

    The last batch is filled up with the first examples, whose values are not counted again. So a batch always has
    `batch_size` different examples, if `part` has that many, and statistics over a batch are not distorted.

    Args:
        model: the model, without its variables.
        measures: what is measured; each gives named values, one for each example.
        preprocess: turns stored examples into the float32 batch that the model sees.
        state: the state with the model's variables; see `Optimizer.averaged`.
        part: the examples, as stored; all of a part, or a chunk of whole batches of it.
        key: the key of the run.
        batch_size: the number of examples in a batch.
        first: the number of the chunk's first batch.
        size: the number of examples in the whole part; None: `part` is all of it.

    Returns:
        The values by name, `[batches, batch, ...]`, and a mask, `[batches, batch]`, that is False for fillers.
    """
    batches = -(-len(part) // batch_size)
    index = jnp.arange(batches * batch_size).reshape(batches, batch_size)
    key = derive(key, Stream.EVALUATION)

    def body(number: Int[Array, ""], index: Int[Array, " batch"]) -> tuple[Int[Array, ""], dict[str, Array]]:
        stored = part.take(index % len(part))
        batch = as_seen(preprocess, stored, derive(key, Stream.PREPROCESS, number))
        values: dict[str, Array] = {}
        for measure in measures:
            values |= linen.apply(measure, model, state.variables, model_keys(key, number), batch)[0]
        return number + 1, values

    counted = first * batch_size + index < (len(part) if size is None else size)
    return jax.lax.scan(body, jnp.asarray(first, jnp.int32), index)[1], counted
