"""Keeps metrics as sums with counts, so that they merge exactly over uneven batches, devices and hosts."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mean:
    """Holds a sum over examples and the number of examples; with a leading axis, one such pair for each step."""

    sum: Float[Array, "*steps"]
    count: Float[Array, "*steps"]

    @classmethod
    def of(cls, values: Float[Array, " batch"], mask: Bool[Array, " batch"] | None = None) -> "Mean":
        """Sums the values of a batch. Examples that the mask leaves out do not count, even where their value is NaN."""
        if mask is None:
            return cls(values.sum(), jnp.asarray(values.shape[0], jnp.float32))
        return cls(jnp.where(mask, values, 0).sum(), mask.sum(dtype=jnp.float32))


Metrics = dict[str, Mean]


def means(metrics: Metrics) -> dict[str, float]:
    """Returns the mean of each metric over all its examples, added up on the host in float64."""
    host = jax.device_get(metrics)
    return {
        name: float(mean.sum.sum(dtype=np.float64) / mean.count.sum(dtype=np.float64)) for name, mean in host.items()
    }
