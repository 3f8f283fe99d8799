"""`aejax sweep` and `aejax sweep show`: their fields are the flags, calling them runs them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from aejax import registry
from aejax.commands.common import check_out, watched
from aejax.errors import InputError


@dataclass(frozen=True)
class Sweep:
    """Trains every combination of settings; those that differ in numbers alone train as one program.

    An axis is PATH=VALUES, with the paths that `aejax show NAME` shows: lr as optimizer.learning-rate=1e-4,1e-3 or
    1e-4:1e-2:log:5 (five values evenly apart), seed=0..9 (ten seeds), model.latent.size=2,8,32,
    model.encoder.hidden=[128,64],[256], optimizer=adam,sgd, experiment=ae-keras,vae-flax, epochs=5.
    The same command goes on with a sweep that was stopped, and shares the work of one that runs.
    """

    name: Positional[str]
    """The experiment that is varied; a name that `aejax list` shows."""
    axes: Positional[tuple[str, ...]] = ()
    """PATH=VALUES, as many as there are."""
    grid: Path | None = None
    """A YAML file of more axes, as Weights & Biases writes grids."""
    out: Path | None = None
    """The sweep's folder; sweeps/NAME by default."""
    width: int = 32
    """At most so many trials are claimed at once: a GPU trains them side by side, each core of a CPU a few of them."""
    shared_order: bool = False
    """All trials of a group see the data in one order: faster on a GPU, and less independent."""
    patience: int | None = None
    """End a trial once its validation loss has not fallen for so many epochs."""
    halving: tuple[int, ...] = ()
    """After each of these epochs the worse half of the trials that are claimed together ends: 5 10 20."""
    measure_all: bool = False
    """Measure all that `aejax eval` does, not the loss, its terms and the squared error alone: slower."""
    plan: Annotated[bool, tyro.conf.arg(name="plan-only")] = False
    """Only show the plan."""

    def __call__(self) -> None:
        """Shows the plan, then a progress bar of trials."""
        from aejax.plan import grid, groups, parse_axis, read_axes

        if self.width < 1:
            raise InputError(f"--width is {self.width}, but at least 1 trial must train at once")
        base = registry.get(self.name)
        axes: dict[str, list[Any]] = {} if self.grid is None else read_axes(self.grid)
        for path, values in map(parse_axis, self.axes):
            if path in axes:
                raise InputError(f"the axis {path} is given twice: give all of its values at once")
            axes[path] = values
        if not axes:
            raise InputError(f"a sweep of {self.name} needs an axis: give PATH=VALUES, such as seed=0..4")
        trials = grid(base, axes)
        made = groups(trials)
        _resolve_all(made)
        selection = self._selection()

        from aejax import budget
        from aejax.devices import start

        budget.show(made, self.width, selection)
        if self.plan:
            return

        from aejax.sweep import Sweep as Folder
        from aejax.sweep import work
        from aejax.trained import Trained

        start()
        folder = Path("sweeps") / self.name if self.out is None else self.out
        sweep = Folder.create(folder, trials)
        measure: Any = Trained.evaluate
        if self.measure_all:
            from aejax import suite

            measure = suite.measure
        options = {"width": self.width, "shared_order": self.shared_order, "selection": selection, "measure": measure}
        with watched(len(trials), lambda: len(sweep.finished())) as events:
            work(sweep, events=events, **options)
        print(f"{folder}: {len(sweep.finished())} of {len(trials)} trials have a result; `aejax sweep show {folder}`")

    def _selection(self) -> Any:
        from aejax.selection import EarlyStopping, SuccessiveHalving

        if self.halving and self.patience is not None:
            raise InputError("--halving and --patience end trials in two ways: give one of them")
        if any(epoch < 1 for epoch in (*self.halving, *([] if self.patience is None else [self.patience]))):
            raise InputError(f"--halving {self.halving} and --patience {self.patience} count epochs: give at least 1")
        if self.halving:
            return SuccessiveHalving(self.halving)
        return None if self.patience is None else EarlyStopping(self.patience)


def _resolve_all(groups: Any) -> None:
    """Raises `InputError` for any trial that its data or its model would refuse, before any of them trains."""
    from aejax.data import load
    from aejax.trained import template

    datasets: dict[str, Any] = {}
    for group in groups:
        data = group[0].experiment.data
        if str(data) not in datasets:
            datasets[str(data)] = load(data)
        dataset = datasets[str(data)]
        resolved = [trial.experiment.resolve(dataset) for trial in group]
        template(resolved[0], dataset.shape)  # what a model refuses is its structure, which they share


@dataclass(frozen=True)
class SweepShow:
    """Shows what a sweep came to: for each setting the mean over its seeds, with a 95 % interval, and the best seed."""

    folder: Positional[Path]
    """A folder that `aejax sweep` has made."""
    metric: str = "loss_nats"
    """One of those that were measured."""
    part: Literal["validation", "test"] | None = None
    """By default validation, the part to choose by, where the data holds one out."""
    page: Path | None = None
    """Also write all of it, with figures, as one HTML page: sweep.html."""
    export: Path | None = None
    """Also write every trial as a line of a .csv or .parquet file."""

    def __call__(self) -> None:
        """Prints a row for each setting, by validation the best first, and writes what is asked for."""
        from aejax import outcomes
        from aejax.sweep import Sweep as Folder

        for path in (path for path in (self.page, self.export) if path is not None):
            check_out(path)
        sweep = Folder.open(self.folder)
        part = self.part or outcomes.part_of(sweep)
        rows = outcomes.summarise(sweep, self.metric, part)
        outcomes.show(rows, self.metric, part)
        if self.export is not None:
            outcomes.export(sweep, self.export)
            print(self.export)
        if self.page is not None:
            from aejax import page
            from aejax.figures import sweep as drawing
            from aejax.runs import write_atomically

            figures = drawing.draw(sweep, rows, self.metric)
            write_atomically(self.page, page.page(sweep, rows, self.metric, part, figures))
            print(self.page)
