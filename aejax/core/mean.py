"""Metrics are sums with counts, so that ragged batches, devices and hosts merge exactly."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mean:
    """A sum over examples and their number; with a leading axis, one pair a step."""

    sum: Float[Array, "*steps"]
    count: Float[Array, "*steps"]

    @classmethod
    def of(cls, values: Float[Array, " batch"], mask: Bool[Array, " batch"] | None = None) -> "Mean":
        """Over a batch; masked-out examples count for nothing, whatever their value."""
        if mask is None:
            return cls(values.sum(), jnp.asarray(values.shape[0], jnp.float32))
        return cls(jnp.where(mask, values, 0).sum(), mask.sum(dtype=jnp.float32))


Metrics = dict[str, Mean]


def means(metrics: Metrics) -> dict[str, float]:
    """The mean of each metric over everything it was summed over, added up on the host in float64."""
    host = jax.device_get(metrics)
    return {
        name: float(np.sum(mean.sum, dtype=np.float64) / np.sum(mean.count, dtype=np.float64))
        for name, mean in host.items()
    }
