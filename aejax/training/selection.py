"""Which members of a population go on to the next epoch."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Bool, Float


class Selection(Protocol):
    """Which members go on, asked after every epoch."""

    @property
    def compares(self) -> bool:
        """Whether one member's losses decide about another's."""

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """For each member still training, whether it goes on, by its validation losses so far."""


@dataclass(frozen=True)
class EarlyStopping:
    """A member ends once its validation loss has not fallen for `patience` epochs."""

    patience: int = 5
    compares: ClassVar[bool] = False

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """Those whose lowest loss is recent."""
        return len(losses) - 1 - losses.argmin(axis=0) < self.patience


@dataclass(frozen=True)
class SuccessiveHalving:
    """At each rung the best `fraction` go on, at least one. Jamieson & Talwalkar 2016, figure 1."""

    rungs: tuple[int, ...]
    """Epochs after which members are compared by validation loss."""
    fraction: float = 0.5
    compares: ClassVar[bool] = True

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """The best at a rung; all elsewhere."""
        members = losses.shape[1]
        kept = max(math.ceil(self.fraction * members), 1) if len(losses) in self.rungs else members
        return np.argsort(np.argsort(losses[-1], kind="stable"), kind="stable") < kept
