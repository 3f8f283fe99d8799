"""Says how one member of a population ended, and what its optimiser left out."""

import logging
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from aejax.core import State
from aejax.experiment import Experiment
from aejax.trained import Trained

log = logging.getLogger("aejax")


@dataclass(frozen=True)
class Outcome:
    """Says how one member of a population ended: at its last epoch, by failing, or dropped by a selection."""

    trained: Trained
    """The member with its state when it ended, and its rows of metrics until then."""
    failed_at: int | None = None
    """The step, counted from 1, whose loss was not finite; None where the member did not fail."""
    stopped_after: int | None = None
    """The epoch after which a selection dropped the member; None where none did."""


class SkippedWatch:
    """Warns once, while a run trains, where all updates so far were skipped: it learns nothing.

    It is an observer. Of several players, each with an optimiser of its own, it says nothing.
    """

    def __init__(self, experiment: Experiment) -> None:
        """Takes the experiment."""
        self._optimizer = experiment.optimizer
        self._silent = self._optimizer.skip_norm is None or bool(self._optimizer.players)

    @property
    def needed(self) -> bool:
        """Whether anything can be skipped, and was not told of yet."""
        return not self._silent

    def __call__(self, rows: list[dict[str, Any]], state: State) -> None:
        """Reads two numbers of a state whose window has ended, so that nothing waits."""
        if not self.needed:
            return
        # Each is added up, as both may have an axis of devices.
        updates, skipped = (
            int(jnp.sum(state.step)) // self._optimizer.accumulate,
            self._optimizer.skipped(state.opt_state),
        )
        if 0 < updates <= skipped:
            self._silent = True
            log.warning(
                "all updates so far were skipped, so that nothing is learned: the norm of each gradient was above "
                "optimizer.skip_norm=%g: give a larger one",
                float(self._optimizer.skip_norm or 0),
            )


def tell_skipped(experiment: Experiment, state: State) -> None:
    """Logs a warning of how many updates the optimiser has skipped, where there are some.

    Args:
        experiment: the experiment.
        state: the state that its training ended or stopped with.
    """
    if skipped := experiment.optimizer.skipped(state.opt_state):
        log.warning("%d updates were skipped: the norm of their gradient was above optimizer.skip_norm", skipped)
