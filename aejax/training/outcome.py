"""Says how one member of a population ended."""

from dataclasses import dataclass

from aejax.trained import Trained


@dataclass(frozen=True)
class Outcome:
    """Says how one member of a population ended: at its last epoch, by failing, or dropped by a selection."""

    trained: Trained
    """The member with its state when it ended, and its rows of metrics until then."""
    failed_at: int | None = None
    """The step, counted from 1, whose loss was not finite; None where the member did not fail."""
    stopped_after: int | None = None
    """The epoch after which a selection dropped the member; None where none did."""
