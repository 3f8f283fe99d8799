"""Defines what is minimised where a density is fitted to codes or to their indices."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Float

from aejax.core import Examples, pytree


@pytree
@dataclass(frozen=True)
class Surprise:
    """Measures the negative log-density of examples under a model that is a density: one with `log_prob`, in nats."""

    def __call__(
        self, model: Any, batch: Examples, train: bool = False, step: Any = None
    ) -> dict[str, Float[Array, " batch"]]:
        """Returns `loss_nats` of each example.

        Args:
            model: the density, bound to its variables.
            batch: the examples.
            train: not used.
            step: not used.
        """
        return {"loss_nats": -model.log_prob(batch.x)}
