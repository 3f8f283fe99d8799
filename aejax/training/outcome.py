"""What the host knows of a group's members: their rows of metrics, and how each ended."""

from dataclasses import dataclass

from aejax.trained import Trained


@dataclass(frozen=True)
class Outcome:
    """How one member ended."""

    trained: Trained
    """Its state when it ended, and its rows of metrics until then."""
    failed_at: int | None = None
    """The step, counted from 1, whose loss was not finite."""
    stopped_after: int | None = None
    """The epoch after which a selection dropped it."""
