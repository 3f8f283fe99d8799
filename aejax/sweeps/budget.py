"""What a sweep will take, before it does: groups, programs to compile, members side by side, memory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from aejax import training
from aejax.core import nbytes
from aejax.data import load
from aejax.runs import checkpoint_template
from aejax.sweeps.plan import Trial
from aejax.training import Selection


@dataclass(frozen=True)
class Budget:
    """Of the trials of one structure."""

    trials: int
    lanes: int
    """Groups that train at the same time."""
    members: int
    """Of each group; they share its program."""
    member_bytes: int
    """Of one member at least: its state before and after a step, and its gradient."""
    data_bytes: int
    """Of the data, which is on the device once."""

    @classmethod
    def of(cls, trials: Sequence[Trial], width: int, selection: Selection | None) -> "Budget":
        """Without compiling: what is computed on the way to the gradient is not counted."""
        dataset = load(trials[0].experiment.data)
        first = trials[0].experiment.resolve(dataset)
        claimed = min(width, len(trials))
        lanes, members = training.side_by_side(first, dataset.shape, claimed, selection)
        state, _ = checkpoint_template(first, dataset.shape)
        data = nbytes((dataset.train, dataset.validation))
        each = 2 * nbytes(state) + nbytes(state.params)
        return cls(len(trials), min(lanes, math.ceil(claimed / members)), members, each, data)

    @property
    def bytes(self) -> int:
        """Of all that is held at a time."""
        return self.data_bytes + self.lanes * self.members * self.member_bytes


def show(groups: Sequence[Sequence[Trial]], width: int, selection: Selection | None) -> None:
    """Prints a row for each structure, with the settings that its trials share."""
    total = sum(map(len, groups))
    title = f"{total} trials, {len(groups)} {'structure' if len(groups) == 1 else 'structures'}: each compiles once"
    heads = ("structure", "trials", "at once", "a member", "with data", "what they share")
    table = Table(*heads, title=title, title_justify="left", caption="memory without activations: at least so much")
    for number, group in enumerate(groups, 1):
        budget = Budget.of(group, width, selection)
        once = f"{budget.members}" if budget.lanes == 1 else f"{budget.lanes} x {budget.members}"
        memory = (f"{budget.member_bytes / 1e6:,.1f} MB", f"{budget.bytes / 1e6:,.0f} MB")
        shared = [
            f"{path}={value}"
            for path, value in group[0].settings.items()
            if all(trial.settings[path] == value for trial in group)
        ]
        table.add_row(str(number), str(budget.trials), once, *memory, ", ".join(shared))
    Console().print(table)
