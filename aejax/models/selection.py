"""Selects the largest values of an array: of each row, or of a whole batch that several devices may share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from aejax.core import batch_sum

_WORTH = 16_384
"""The least number of columns from which on two stages are faster than one."""

_INFINITY = 0x7F800000
"""The bits of infinity: those of numbers that are not negative have the order of the numbers themselves."""


def top_indices(values: Float[Array, "rows columns"], k: int) -> Int[Array, "rows k"]:
    """Returns the columns of the k largest values of each row, the largest first; of equal ones the first come first.

    They are those of `jax.lax.top_k`, exactly. Where there are many columns, the k groups with the largest maxima are
    chosen first: no value outside them can be among the k largest.
    """
    values = jax.lax.stop_gradient(values)
    size = _group(values.shape[1], k)
    return jax.lax.top_k(values, k)[1] if size == 1 else _in_two_stages(values, k, size)


def _group(columns: int, k: int) -> int:
    """Returns the number of columns in a group, 1 for no groups: about as many groups as values in those chosen."""
    size = 1
    while columns >= _WORTH and size * size * 4 * k <= columns:
        size *= 2
    return size


def _in_two_stages(values: Float[Array, "rows columns"], k: int, size: int) -> Int[Array, "rows k"]:
    rows, columns = values.shape
    filled = jnp.pad(values, ((0, 0), (0, -columns % size)), constant_values=-jnp.inf)
    groups = filled.reshape(rows, -1, size)
    # In ascending order, so that of equal values the first column stays the first.
    chosen = jnp.sort(jax.lax.top_k(groups.max(axis=2), k)[1], axis=1)
    inside = jnp.take_along_axis(groups, chosen[..., None], axis=1).reshape(rows, -1)
    place = jax.lax.top_k(inside, k)[1]
    return jnp.take_along_axis(chosen, place // size, axis=1) * size + place % size


def least_of_batch(
    values: Float[Array, "batch columns"], k: int, columns: Int[Array, "batch most"] | None = None
) -> Float[Array, ""]:
    """Returns the least of the k largest positive values for each example, taken over the whole batch together.

    With B examples on all devices it is the (k B)-th largest value, or the least positive one where fewer are positive;
    infinity where none is. Nothing is sorted: the bits of the value are found by halving, in 31 counts.

    Args:
        values: the values, none of them negative.
        k: the mean number of values for each example.
        columns: where the largest values of each row lie, the largest first: then these alone are counted, and all
            values only where a row may have more that are large enough.
    """
    values = jax.lax.stop_gradient(values)
    if columns is None:
        return _least(values, k)
    largest = jnp.take_along_axis(values, columns, axis=1)
    least = _least(largest, k)
    more = batch_sum((largest[:, -1] >= least).astype(jnp.int32)) > 0
    return once_if(more, lambda: _least(values, k), least)


def once_if(needed: Bool[Array, ""], made: Callable[[], Any], otherwise: Any) -> Any:
    """Returns what is made where it is needed, else something else, without a gradient.

    It is a loop of at most one turn: `jax.lax.cond` of the members of a population always does both.

    Args:
        needed: whether it is.
        made: makes it.
        otherwise: what is returned where it is not, of the same shapes.
    """
    return jax.lax.while_loop(lambda held: held[0], lambda held: (jnp.zeros((), bool), made()), (needed, otherwise))[1]


def _least(values: Float[Array, "batch columns"], k: int) -> Float[Array, ""]:
    bits = jax.lax.bitcast_convert_type(values, jnp.int32)

    def number(least: Int[Array, ""]) -> Int[Array, ""]:
        # Down the columns in float32, exact for fewer than 2^24 rows: a CPU counts so fastest.
        columns = jnp.sum((bits >= least).astype(jnp.float32), axis=0)
        return batch_sum(jnp.sum(columns.astype(jnp.int32))[None])

    one = jnp.asarray(1, jnp.int32)
    wanted = jnp.minimum(batch_sum(jnp.full(len(values), k, jnp.int32)), number(one))

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = low + (high - low) // 2
        enough = number(middle) >= wanted
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    least, _ = jax.lax.fori_loop(0, 31, halve, (one, jnp.asarray(_INFINITY + 1, jnp.int32)))
    return jax.lax.bitcast_convert_type(least, jnp.float32)
