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
    """At most so many trials train at once."""
    shared_order: bool = False
    """All trials of a group see the data in one order: faster, and less independent."""
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
        _show_plan(made, self.width)
        if self.plan:
            return

        from aejax import suite
        from aejax.devices import start
        from aejax.sweep import Sweep as Folder
        from aejax.sweep import work
        from aejax.trained import Trained

        start()
        folder = Path("sweeps") / self.name if self.out is None else self.out
        sweep = Folder.create(folder, trials)
        measure = suite.measure if self.measure_all else Trained.evaluate
        with watched(len(trials), lambda: len(sweep.finished())) as events:
            work(sweep, width=self.width, shared_order=self.shared_order, measure=measure, events=events)
        print(f"{folder}: {len(sweep.finished())} of {len(trials)} trials have a result; `aejax sweep show {folder}`")


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


def _show_plan(groups: Any, width: int) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{sum(map(len, groups))} trials"
    table = Table("group", "trials", "programs of", "what they share", title=title, title_justify="left")
    for number, group in enumerate(groups, 1):
        shared = [
            f"{path}={value}"
            for path, value in group[0].settings.items()
            if all(trial.settings[path] == value for trial in group)
        ]
        table.add_row(str(number), str(len(group)), str(min(width, len(group))), ", ".join(shared))
    Console().print(table)


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
