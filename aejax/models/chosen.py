"""Holds the values of a few units of each example, and decodes them without the others.

A product of a sparse code and the decoder's rows takes as many multiplications as there are active units, not all
units; its gradient touches the rows of active units alone: Gao et al. 2024 (Scaling and evaluating sparse
autoencoders), section 2 and appendix D.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from aejax.core import pytree, static
from aejax.models.layers import product
from aejax.models.selection import once_if, top_indices

_WORTH = 32
"""The least number of units for each one that is chosen from which on the sum over rows is faster than a product.

Measured on a CPU for 384 values: at 96 it takes a tenth of the time, at 16 as long.
"""

_UNROLLED = 4
"""Number of rows that are added in one turn of the loop."""


@pytree
@dataclass(frozen=True)
class Chosen:
    """Holds a code of which only some units of each example may be active, by their values and their numbers."""

    values: Float[Array, "batch k"]
    """The values of these units, which may be zero."""
    columns: Int[Array, "batch k"]
    """The numbers of these units; no example has one twice."""
    units: int = static()
    """The number of all units."""

    @classmethod
    def largest(cls, pre: Float[Array, "batch units"], k: int) -> "Chosen":
        """Returns the code of the k largest pre-activations of each example, and of these what is above zero.

        Args:
            pre: the pre-activations.
            k: how many are kept; of equal ones the first units.
        """
        columns = top_indices(pre, k)
        return cls(jax.nn.relu(jnp.take_along_axis(pre, columns, axis=1)), columns, pre.shape[1])

    @property
    def few(self) -> bool:
        """Whether the units are so few that a sum over their rows is faster than a product with all."""
        return self.values.shape[1] * _WORTH <= self.units

    def times(self, rows: Float[Array, "units out"], precision: DTypeLike) -> Float[Array, "batch out"]:
        """Returns the sum of the chosen rows times their values, added up in float32.

        Args:
            rows: the rows of all units.
            precision: what the products are taken in.
        """
        if self.few:
            return sum_of_rows(self.values.astype(precision), self.columns, rows)
        return product(self.dense().astype(precision), rows)

    def dense(self) -> Float[Array, "batch units"]:
        """Returns the code of all units, zero where they are not chosen."""
        return _spread(self.values, self.columns, self.units)


@pytree
@dataclass(frozen=True)
class Active:
    """Holds a code of any number of active units, and for each example where the largest of them are.

    It is decoded by the sum over these alone, and by a product with all only where an example has more of them.
    """

    code: Float[Array, "batch units"]
    """The code, not negative."""
    columns: Int[Array, "batch most"]
    """The numbers of the units with the largest values, the largest first."""

    def times(self, rows: Float[Array, "units out"], precision: DTypeLike) -> Float[Array, "batch out"]:
        """Returns the sum of all active units' rows times their values, added up in float32.

        Its gradient is that of active units alone.

        Args:
            rows: the rows of all units.
            precision: what the products are taken in.
        """
        return _sum_of_active(self.code.astype(precision), self.columns, rows)


@jax.custom_vjp
def _sum_of_active(
    code: Float[Array, "batch units"], columns: Int[Array, "batch most"], rows: Float[Array, "units out"]
) -> Float[Array, "batch out"]:
    values = jnp.take_along_axis(code, columns, axis=1)
    made = sum_of_rows(values, columns, rows)
    return once_if(_overflows(values), lambda: product(code, rows), made)


def _active_forward(code: Array, columns: Array, rows: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return _sum_of_active(code, columns, rows), (code, columns, rows)


def _active_backward(saved: tuple[Array, Array, Array], gradient: Array) -> tuple[Array, None, Array]:
    code, columns, rows = saved
    values = jnp.take_along_axis(code, columns, axis=1)
    of_values, _, of_rows = _backward((values, columns, rows), gradient)
    of_code = _spread(of_values, columns, code.shape[1])

    def dense() -> tuple[Array, Array]:
        given = gradient.astype(code.dtype)
        return product(given, rows.T).astype(code.dtype), product(code.T, given).astype(rows.dtype)

    of_code, of_rows = once_if(_overflows(values), dense, (of_code, of_rows))
    return of_code, None, of_rows


_sum_of_active.defvjp(_active_forward, _active_backward)


def _overflows(values: Float[Array, "batch most"]) -> Bool[Array, ""]:
    """Returns whether an example may have more active units than were chosen."""
    return jnp.any(values[:, -1] > 0)


def _spread(values: Float[Array, "batch k"], columns: Int[Array, "batch k"], units: int) -> Float[Array, "batch units"]:
    """Returns the values in their columns, and zero elsewhere."""
    empty = jnp.zeros((values.shape[0], units), values.dtype)
    rows = jax.lax.broadcasted_iota(columns.dtype, columns.shape, 0)  # what jax2onnx converts for any number of rows
    return empty.at[rows, columns].set(values, unique_indices=True)


@jax.custom_vjp
def sum_of_rows(
    values: Float[Array, "batch k"], columns: Int[Array, "batch k"], rows: Float[Array, "units out"]
) -> Float[Array, "batch out"]:
    """Returns for each example the sum of chosen rows times their values, added up in float32.

    Nothing of the size batch times k times out, or batch times units, is made, in the gradient neither.

    Args:
        values: what the rows are multiplied by; the products are taken in its precision.
        columns: the numbers of the rows.
        rows: all rows.
    """
    rows = rows.astype(values.dtype)

    def add(turn: Int[Array, ""], total: Array) -> Array:
        factor = jax.lax.dynamic_index_in_dim(values, turn, axis=1)
        return total + (factor * rows[_column(columns, turn)]).astype(jnp.float32)

    zero = jnp.zeros((values.shape[0], rows.shape[1]), jnp.float32)
    return jax.lax.fori_loop(0, columns.shape[1], add, zero, unroll=_UNROLLED)


def _forward(values: Array, columns: Array, rows: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return sum_of_rows(values, columns, rows), (values, columns, rows)


def _backward(saved: tuple[Array, Array, Array], gradient: Array) -> tuple[Array, None, Array]:
    values, columns, rows = saved
    given, ones = gradient.astype(values.dtype), jnp.ones(rows.shape[1], values.dtype)

    def add(total: Array, turn: tuple[Array, Array]) -> tuple[Array, Array]:
        factor, chosen = turn
        # A product with ones, as a CPU adds up along the last axis several times slower.
        own = jnp.dot(given * rows[chosen].astype(values.dtype), ones, preferred_element_type=jnp.float32)
        return total.at[chosen].add((factor[:, None] * given).astype(jnp.float32)), own

    zero = jnp.zeros(rows.shape, jnp.float32)
    of_rows, of_values = jax.lax.scan(add, zero, (values.T, columns.T))
    return of_values.T.astype(values.dtype), None, of_rows.astype(rows.dtype)


sum_of_rows.defvjp(_forward, _backward)


def _column(columns: Int[Array, "batch k"], turn: Int[Array, ""]) -> Int[Array, " batch"]:
    return jax.lax.dynamic_index_in_dim(columns, turn, axis=1, keepdims=False)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def shifted_product(
    features: Float[Array, "batch values"],
    shift: Float[Array, " values"],
    kernel: Float[Array, "values units"],
    precision: str = "float32",
) -> Float[Array, "batch units"]:
    """Returns the product of features, less a shift that all examples share, and a kernel, added up in float32.

    The gradient of the shift is that of the sum over the batch, which takes no product of the batch's size.

    Args:
        features: the features, float32.
        shift: what is subtracted from each, float32.
        kernel: the kernel.
        precision: what the product is taken in.
    """
    return _shifted_forward(features, shift, kernel, precision)[0]


def _shifted_forward(features: Array, shift: Array, kernel: Array, precision: str) -> tuple[Array, tuple[Array, Array]]:
    moved = (features - shift[None]).astype(precision)
    return product(moved, kernel), (moved, kernel)


def _shifted_backward(precision: str, saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array, Array]:
    moved, kernel = saved
    given = gradient.astype(precision)
    return product(given, kernel.T), -jnp.sum(gradient, axis=0) @ kernel.T, product(moved.T, given)


shifted_product.defvjp(_shifted_forward, _shifted_backward)
