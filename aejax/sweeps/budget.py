"""Estimates what a sweep will take before it runs: programs to compile, members side by side, memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aejax import training
from aejax.core import BUFFER, nbytes, print_table
from aejax.data import Data, Dataset
from aejax.runs import checkpoint_template
from aejax.sweeps.plan import Trial
from aejax.training import Selection


@dataclass(frozen=True)
class Budget:
    """Says how the trials of one structure will train, and how much memory they will take at least."""

    trials: int
    """Number of trials of this structure."""
    lanes: int
    """Number of groups that train at the same time."""
    members: int
    """Number of members in each group; they train as one program."""
    member_bytes: int
    """Bytes of one member, at least: its state before and after a step, and its gradient."""
    data_bytes: int
    """Bytes of the data, which is on the device once."""

    @classmethod
    def of(
        cls,
        trials: Sequence[Trial],
        width: int,
        selection: Selection | None,
        read: Callable[[Data], Dataset],
        buffer: float = BUFFER,
    ) -> "Budget":
        """Estimates the budget without compiling: activations and all else on the way to the gradient are not counted.

        Args:
            trials: the trials, of one structure.
            width: how many trials are claimed at once, at most.
            selection: the selection that drops members early, if there is one.
            read: what reads the data, as a `Reader`.
            buffer: gigabytes of the training part that a group may hold, where the data are packed and it is larger.
        """
        dataset = read(trials[0].experiment.data)
        first = trials[0].experiment.resolve(dataset)
        claimed = min(width, len(trials))
        lanes, members = training.side_by_side(first, dataset.shape, claimed, selection)
        state = checkpoint_template(first, dataset.shape)["state"]
        parts = (*vars(dataset.train).values(), *vars(dataset.validation).values())
        held = sum(array.nbytes for array in parts if array is not None)
        data = int(1e9 * buffer) * lanes if training.streams(dataset, buffer) else held
        each = 2 * nbytes(state) + nbytes(state.params)
        return cls(len(trials), min(lanes, math.ceil(claimed / members)), members, each, data)

    @property
    def bytes(self) -> int:
        """Returns the bytes of all that is held at a time: the data, and the members that train at the same time."""
        return self.data_bytes + self.lanes * self.members * self.member_bytes


def show(
    groups: Sequence[Sequence[Trial]],
    width: int,
    selection: Selection | None,
    read: Callable[[Data], Dataset],
    buffer: float = BUFFER,
) -> None:
    """Prints a row with the budget of each structure, and the settings that its trials share.

    Args:
        groups: the trials of each structure.
        width: how many trials are claimed at once, at most.
        selection: the selection that drops members early, if there is one.
        read: what reads the data of each, as a `Reader`.
        buffer: gigabytes of a packed training part that a group may hold.
    """
    total = sum(map(len, groups))
    title = f"{total} trials, {len(groups)} {'structure' if len(groups) == 1 else 'structures'}: each compiles once"
    heads = ("structure", "trials", "at once", "a member", "with data", "what they share")
    rows = []
    for number, group in enumerate(groups, 1):
        budget = Budget.of(group, width, selection, read, buffer)
        once = f"{budget.members}" if budget.lanes == 1 else f"{budget.lanes} x {budget.members}"
        memory = (f"{budget.member_bytes / 1e6:,.1f} MB", f"{budget.bytes / 1e6:,.0f} MB")
        shared = [
            f"{path}={value}"
            for path, value in group[0].settings.items()
            if all(trial.settings[path] == value for trial in group)
        ]
        rows.append((str(number), str(budget.trials), once, *memory, ", ".join(shared)))
    print_table(heads, rows, title, "memory without activations: at least so much")
