"""Records what the host knows of a group's members: their rows of metrics, and how each ended."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from aejax import core
from aejax.core import means
from aejax.data import Dataset, Preprocess
from aejax.experiment import Experiment
from aejax.trained import Trained
from aejax.training._group import GroupEpoch
from aejax.training.outcome import Outcome
from aejax.training.selection import Selection


class MemberLog:
    """Records the rows of metrics of one group's members, and how each ended. Padding slots are not recorded."""

    def __init__(self, experiments: Sequence[Experiment], dataset: Dataset, preprocess: Preprocess) -> None:
        """Starts empty, before any training; `experiments` are resolved."""
        self.experiments, self.dataset, self.preprocess = experiments, dataset, preprocess
        self.rows: list[list[dict[str, Any]]] = [[] for _ in experiments]
        self.ended: dict[int, Outcome] = {}
        self.read = 0.0

    def enter(self, epoch: GroupEpoch, last: int) -> None:
        """Reads an epoch's metrics, and ends the members that failed in it, or all where `last` is its last step."""
        metrics, alive, step = jax.device_get((epoch.metrics, epoch.members.alive, epoch.members.step))
        # An epoch is dispatched while the one before it runs. Its time starts when that one has been read.
        seconds, self.read = time.perf_counter() - max(epoch.window.dispatched, self.read), time.perf_counter()
        for owner in self.training(epoch.slots):
            slot = epoch.slots.index(owner)
            if not alive[slot]:
                self._end(owner, epoch, failed_at=int(step[slot]) + 1)
                continue
            where = {"epoch": epoch.number, "step": int(step[slot])}
            for split, part in metrics.items():
                own = means(jax.tree.map(lambda leaf, slot=slot: leaf[slot], part))
                self.rows[owner].append(where | {"split": split} | own)
            self.rows[owner][-len(metrics)]["seconds"] = seconds
            if epoch.window.stop == last:
                self._end(owner, epoch)

    def training(self, slots: list[int]) -> list[int]:
        """Returns the members in these slots that have not ended."""
        return [owner for owner in slots if owner < len(self.experiments) and owner not in self.ended]

    def select(self, selection: Selection, epoch: GroupEpoch) -> None:
        """Ends the members that a selection drops after an epoch."""
        training = self.training(epoch.slots)
        if not training:
            return
        losses = [[row["loss_nats"] for row in self.rows[owner] if row["split"] == "validation"] for owner in training]
        kept = selection.keep(np.asarray(losses).T)
        for owner in (owner for owner, keeps in zip(training, kept, strict=True) if not keeps):
            self._end(owner, epoch, stopped_after=epoch.number)

    def end(self, owner: int, state: core.State, **how: int | None) -> None:
        """Records that a member ended in this state; `how` is passed on to its `Outcome`."""
        experiment, shape = self.experiments[owner], self.dataset.shape
        reference = experiment.reference(self.dataset.train, self.preprocess)
        trained = Trained(experiment, shape, self.preprocess, state, self.rows[owner], reference=reference)
        self.ended[owner] = Outcome(trained, **how)

    def outcomes(self) -> list[Outcome]:
        """Returns the outcome of each member, in their order, once all have ended."""
        return [self.ended[owner] for owner in range(len(self.experiments))]

    def _end(self, owner: int, epoch: GroupEpoch, **how: int) -> None:
        slot = epoch.slots.index(owner)
        self.end(owner, jax.tree.map(lambda leaf: np.asarray(leaf)[slot], epoch.members.state), **how)
