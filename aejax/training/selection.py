"""Decides which members of a population go on to the next epoch."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Bool, Float

from aejax.core import InputError
from aejax.data import Dataset


def require_validation(dataset: Dataset, what: str) -> None:
    """Raises `InputError` where the data hold nothing out, by whose loss `what` decides."""
    if not len(dataset.validation):
        raise InputError(f"{what} needs a validation part, but the data holds none out: set data.validation")


class Selection(Protocol):
    """Decides, after every epoch, which members of a population go on."""

    @property
    def compares(self) -> bool:
        """Whether one member's losses decide about another's."""

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """Tells for each member still training whether it goes on, by the validation losses so far."""

    def why_idle(self, members: int, epochs: int) -> str | None:
        """Says why no one of `members` that are trained together for `epochs` can end early; None where one can."""


@dataclass(frozen=True)
class EarlyStopping:
    """Ends a member once its validation loss has not fallen for `patience` epochs."""

    patience: int = 5
    """Number of epochs without a lower validation loss after which a member ends."""
    compares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raises `InputError` for no epoch at all."""
        if self.patience < 1:
            raise InputError(f"patience is {self.patience}: give at least 1")

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """Keeps the members whose lowest loss is less than `patience` epochs old."""
        finite = np.where(np.isfinite(losses), losses, np.inf)  # NaN would count as the lowest
        return len(losses) - 1 - finite.argmin(axis=0) < self.patience

    def why_idle(self, members: int, epochs: int) -> str | None:
        """Says why no member can end before its last epoch, where it cannot."""
        if self.patience + 2 <= epochs:
            return None
        return f"a patience of {self.patience} epochs cannot end a training of {epochs} before its end"


@dataclass(frozen=True)
class SuccessiveHalving:
    """Lets the best `fraction` of members go on at each rung, at least one. Jamieson & Talwalkar 2016, figure 1."""

    rungs: tuple[int, ...]
    """Epochs after which members are compared by validation loss."""
    fraction: float = 0.5
    """Share of the members still training that go on at a rung."""
    compares: ClassVar[bool] = True

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        """Keeps the best members at a rung, and all members elsewhere."""
        members = losses.shape[1]
        kept = max(math.ceil(self.fraction * members), 1) if len(losses) in self.rungs else members
        return np.argsort(np.argsort(losses[-1], kind="stable"), kind="stable") < kept

    def why_idle(self, members: int, epochs: int) -> str | None:
        """Says why no member can end before its last epoch, where it cannot."""
        if math.ceil(self.fraction * members) >= members:
            if members == 1:
                return "a trial that is claimed without another of its structure is compared with none"
            return f"a share of {self.fraction:g} of {members} trials are all of them"
        late = [rung for rung in self.rungs if rung >= epochs]
        return f"trials of {epochs} epochs have ended at the comparison after {late[0]}" if late else None
