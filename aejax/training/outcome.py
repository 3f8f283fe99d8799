"""Says how one member of a population ended, and what its optimiser left out."""

import logging
from dataclasses import dataclass

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


def tell_skipped(experiment: Experiment, state: State) -> None:
    """Logs a warning of how many updates the optimiser has skipped, where there are some.

    Args:
        experiment: the experiment.
        state: the state that its training ended or stopped with.
    """
    if skipped := experiment.optimizer.skipped(state.opt_state):
        log.warning("%d updates were skipped: the norm of their gradient was above optimizer.skip_norm", skipped)
