"""Records what the host knows of a group's members: their rows of metrics, and how each ended."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from aejax import core
from aejax.core import means
from aejax.experiment import Experiment
from aejax.trained import Trained
from aejax.training._group import Group, Population
from aejax.training.engine import Window
from aejax.training.outcome import Outcome
from aejax.training.selection import Selection


class MemberLog:
    """Records the rows of metrics of one group's members, and how each ended. Padding slots are not recorded."""

    def __init__(self, population: Population, experiments: Sequence[Experiment]) -> None:
        """Starts empty, before any training, and starts the clock of the first row; `experiments` are resolved."""
        self.population, self.experiments = population, experiments
        self.rows: list[list[dict[str, Any]]] = [[] for _ in experiments]
        self.ended: dict[int, Outcome] = {}
        self.clock = time.perf_counter()

    def enter(self, group: Group, window: Window) -> list[tuple[int, dict[str, Any]]]:
        """Reads an epoch's metrics, and ends the members that failed in it, or all where it is the last.

        Returns the rows of the members that have not failed, each with the member's number.
        """
        metrics, (alive, step) = window.metrics, jax.device_get((window.state.alive, window.state.step))
        seconds, self.clock = time.perf_counter() - self.clock, time.perf_counter()
        entered: list[tuple[int, dict[str, Any]]] = []
        for owner in self.training(group.slots):
            slot = group.slots.index(owner)
            if not alive[slot]:
                self._end(owner, group, window, failed_at=int(step[slot]) + 1)
                continue
            where = {"epoch": -(-window.stop // group.steps), "step": int(step[slot])}
            own = jax.tree.map(lambda leaf, slot=slot: leaf[slot], metrics)
            rows = [where | {"split": split} | means(part) for split, part in own.items()]
            rows[0]["seconds"] = seconds
            self.rows[owner] += rows
            entered += [(owner, row) for row in rows]
            if window.stop == group.last:
                self._end(owner, group, window)
        return entered

    def training(self, slots: list[int]) -> list[int]:
        """Returns the members in these slots that have not ended."""
        return [owner for owner in slots if owner < len(self.experiments) and owner not in self.ended]

    def select(self, selection: Selection, group: Group, window: Window) -> None:
        """Ends the members that a selection drops after an epoch."""
        training = self.training(group.slots)
        if not training:
            return
        losses = [[row["loss_nats"] for row in self.rows[owner] if row["split"] == "validation"] for owner in training]
        kept = selection.keep(np.asarray(losses).T)
        for owner in (owner for owner, keeps in zip(training, kept, strict=True) if not keeps):
            self._end(owner, group, window, stopped_after=-(-window.stop // group.steps))

    def end(self, owner: int, state: core.State, **how: int | None) -> None:
        """Records that a member ended in this state; `how` is passed on to its `Outcome`."""
        shared = (self.population.dataset.shape, self.population.preprocess)
        self.ended[owner] = Outcome(Trained(self.experiments[owner], *shared, state, self.rows[owner]), **how)

    def outcomes(self) -> list[Outcome]:
        """Returns the outcome of each member, in their order, once all have ended."""
        return [self.ended[owner] for owner in range(len(self.experiments))]

    def _end(self, owner: int, group: Group, window: Window, **how: int) -> None:
        slot = group.slots.index(owner)
        self.end(owner, jax.tree.map(lambda leaf: np.asarray(leaf)[slot], window.state.state), **how)
