"""Keeps metrics as sums with counts, so that they merge exactly over uneven batches, devices and hosts."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from aejax.core.pytrees import pytree


@pytree
@dataclass(frozen=True)
class Mean:
    """Holds a sum over examples and the number of examples; with a leading axis, one such pair for each step.

    The sum has the shape of one example's value, as one number for each unit of a code.
    """

    sum: Float[Array, "..."]
    count: Float[Array, "*steps"]

    @classmethod
    def of(cls, values: Float[Array, "batch *shape"], mask: Bool[Array, " batch"] | None = None) -> "Mean":
        """Sums the values of a batch. Examples that the mask leaves out do not count, even where their value is NaN."""
        if mask is None:
            return cls(values.sum(axis=0), jnp.asarray(values.shape[0], jnp.float32))
        counted = mask.reshape(-1, *[1] * (values.ndim - 1))
        return cls(jnp.where(counted, values, 0).sum(axis=0), mask.sum(dtype=jnp.float32))


Metrics = dict[str, Mean]


def means(metrics: Metrics) -> dict[str, Any]:
    """Returns the mean of each metric over all its examples, added up on the host in float64.

    A metric with one number for each example has a float, any other an array of one example's shape.
    """
    return {name: _mean(mean) for name, mean in jax.device_get(metrics).items()}


def _mean(mean: Mean) -> Any:
    steps = tuple(range(np.ndim(mean.count)))
    total = np.sum(mean.sum, axis=steps, dtype=np.float64) / np.sum(mean.count, dtype=np.float64)
    return total if np.ndim(total) else float(total)
