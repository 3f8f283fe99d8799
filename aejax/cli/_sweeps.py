"""Holds the commands `aejax sweep` and `aejax sweep search`, `show` and `best`: the fields of each are its flags."""

import dataclasses
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from aejax.cli._common import check_out, watched
from aejax.core import InputError
from aejax.experiment import registry


@dataclass(frozen=True)
class _Training:
    """Holds the flags that grids and searches share."""

    name: Positional[str]
    """The experiment that is varied; a name that `aejax list` shows."""
    axes: Positional[tuple[str, ...]] = ()
    """The axes, each as PATH=VALUES."""
    out: Path | None = None
    """The sweep's folder; by default one in sweeps/NAME that is named by what varies."""
    metric: str | None = None
    """The metric of validation by which trials are compared, by default the loss; `aejax metrics` explains them all."""
    minimize: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of a metric that aejax does not know: lower values are better."""
    maximize: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of a metric that aejax does not know: higher values are better."""
    width: int = 32
    """Largest number of trials claimed at once: a GPU trains them side by side, each core of a CPU a few of them."""
    shared_order: bool = False
    """Let all trials of a group see the data in one order: faster on a GPU, but the trials are less independent."""
    buffer: float = 1.0  # `core.BUFFER`, whose module would import JAX before the command is parsed
    """Gigabytes: packed data whose training part is larger is streamed through as much memory, in one shared order."""
    measure_all: bool = False
    """Measure all that `aejax eval` does, not only the loss, its terms, the squared error and the metric: slower."""
    keep: int = 1
    """Number of the best trials so far whose trained state is kept, of which `aejax sweep best` makes a run."""
    workers: int = 0
    """Number of worker processes that submitit starts, here on the CPU or with --slurm as jobs; by default this process
    trains."""
    slurm: str | None = None
    """Settings of the workers' jobs: partition=gpu,timeout_min=60,gpus_per_node=1, and any other of SLURM's."""

    def __call__(self) -> None:
        """Runs the command."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises `InputError` where --width, --keep or --workers is out of range, or --slurm is without workers."""
        if self.width < 1:
            raise InputError(f"--width is {self.width}, but at least 1 trial must train at once")
        if self.keep < 0:
            raise InputError(f"--keep is {self.keep}: give how many trained states are kept, or 0")
        if self.workers < 0 or (self.slurm is not None and not self.workers):
            raise InputError(f"--workers is {self.workers}: give how many jobs SLURM is to start, or 0 without --slurm")

    def folder(self, axes: dict[str, Any], search: str = "") -> Path:
        """Returns the folder of the sweep: see `plan.folder_name`, which says what `search` is."""
        from aejax.sweeps import folder_name, holds

        if self.out is not None:
            return self.out
        named = Path("sweeps") / self.name
        return named if holds(named, axes, bool(search)) else named / folder_name(axes, search)

    def typed(self, *verb: str) -> str:
        """Returns the command as it is typed, without what only says where it runs."""
        words = ["aejax", "sweep", *verb, self.name, *self.axes]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in ("name", "axes", "workers", "slurm") and value != field.default:
                values = value if isinstance(value, tuple) else () if value is True else (value,)
                words += ["--" + field.name.replace("_", "-"), *map(str, values)]
        code = registry.code_of(self.name)
        return shlex.join([*words, *([] if code is None else ["--import", code])])

    def run(self, folder: Path, total: int, finished: Callable[[], int], work: Callable[[Any], None]) -> None:
        """Runs the work, or has workers run this same command, under a progress bar, and prints how far it came.

        Args:
            folder: the folder of the sweep.
            total: the number of trials.
            finished: returns how many trials have a result.
            work: trains the trials, and calls the observer that it is given.
        """
        if not self.workers:
            with watched(total, finished) as show:
                work(show)
        else:
            from aejax.sweeps import cluster

            command = dataclasses.replace(self, workers=0, slurm=None)
            jobs = cluster.submit(command, self.workers, folder / "jobs", self.slurm)
            with cluster.running(jobs), watched(total, finished) as show:
                while not all(job.done() for job in jobs):
                    time.sleep(1)
                    show([], None)
            cluster.check(jobs)
        again = registry.with_imports(f"aejax sweep show {folder}", self.name)
        print(f"{folder}: {finished()} of {total} trials have a result; `{again}`")


@dataclass(frozen=True)
class SweepCommand(_Training):
    """Trains every combination of settings; trials that differ in numbers alone train together as one program.

    An axis is PATH=VALUES, with the paths that `aejax show NAME` shows: optimizer.learning-rate=1e-4,1e-3 or
    optimizer.learning-rate=1e-4:1e-2:log:5 (five values evenly apart), seed=0..9 (ten seeds),
    model.latent.size=2,8,32, model.encoder.hidden=[128,64],[256], optimizer=adam,sgd,
    experiment=ae-keras,vae-flax, epochs=5.
    The same command goes on with a sweep that was stopped, and shares the work of one that is running; with further
    values or seeds it adds to it, and trains only what is new.
    There are also `aejax sweep search NAME`, which trains proposed combinations alone, `aejax sweep show DIR`, and
    `aejax sweep best DIR`, which makes a run of the best trial.
    """

    grid: Path | None = None
    """A YAML file of more axes, as Weights & Biases writes grids."""
    patience: int | None = None
    """Number of epochs without a lower validation loss after which a trial ends."""
    halving: tuple[int, ...] = ()
    """Epochs, such as 5 10 20, after each of which the worse half of the trials that are claimed together ends."""
    plan: Annotated[bool, tyro.conf.arg(name="plan-only")] = False
    """Only show the plan."""

    def __call__(self) -> None:
        """Prints the plan, and trains under a progress bar of trials."""
        from aejax.sweeps import Objective, Reader, check, grid, groups, parse_axis, read_axes

        self.check()
        base = registry.get(self.name)
        given: dict[str, list[Any]] = {} if self.grid is None else read_axes(self.grid)
        axes = _distinct([*given.items(), *map(parse_axis, self.axes)])
        if not axes:
            raise InputError(f"a sweep of {self.name} needs an axis: give PATH=VALUES, such as seed=0..4")
        trials = grid(base, axes)
        folder = self.folder(axes)

        from aejax.sweeps import Sweep as Folder, run_sweep

        there = Folder.open(folder) if (folder / "sweep.json").exists() else None
        before, asked = ([], None) if there is None else (there.trials, there.objective)
        better = _better(self.minimize, self.maximize)
        metric = (self.metric, better) if self.metric or asked is None else (asked.metric, better or asked.better)
        objective = Objective.of([trial.experiment for trial in (*trials, *before)], *metric)
        selection = self._selection()
        read = Reader()
        records = check(trials, selection, self.width, read)

        from aejax.devices import enable_compilation_cache
        from aejax.sweeps import budget, measuring

        enable_compilation_cache()
        first = trials[0].experiment
        measure = measuring(objective, first, read(first.data), self.measure_all)
        budget.show(groups(trials), self.width, selection, read, self.buffer)
        if self.plan:
            return
        sweep = Folder.create(folder, trials, records, objective=objective, command=self.typed())
        if there is not None:
            new = len(sweep.trials) - len(before)
            print(
                f"{folder}: {len(there.finished())} of its {len(before)} trials have a result, {new} new ones are added"
            )
        options: dict[str, Any] = {"width": self.width, "shared_order": self.shared_order, "buffer": self.buffer}
        options |= {"selection": selection, "measure": measure, "keep": self.keep, "read": read}
        total = len(sweep.trials)
        self.run(
            folder, total, lambda: len(sweep.finished()), lambda show: run_sweep(sweep, observers=[show], **options)
        )

    def _selection(self) -> Any:
        from aejax.training import EarlyStopping, SuccessiveHalving

        if self.halving and self.patience is not None:
            raise InputError("--halving and --patience end trials in two ways: give one of them")
        if any(epoch < 1 for epoch in (*self.halving, *([] if self.patience is None else [self.patience]))):
            raise InputError(f"--halving {self.halving} and --patience {self.patience} count epochs: give at least 1")
        if self.halving:
            return SuccessiveHalving(self.halving)
        return None if self.patience is None else EarlyStopping(self.patience)


@dataclass(frozen=True)
class SweepSearchCommand(_Training):
    """Trains settings that Optuna proposes, a group at a time, each group guided by the results of those before it.

    An axis is PATH=RANGE: optimizer.learning-rate=1e-4:1e-2:log, loss.terms.kl.weight=0.5:4:lin, or for whole numbers
    model.latent.size=2..64; or it is PATH=VALUES as in `aejax sweep`: model.latent.size=2,8,32, epochs=5. Trials of one
    structure train as one program, so that few structures are faster than many.
    The same command goes on with a search that was stopped, and shares the work of one that is running: in the same
    folder or, with --storage postgresql://, on any machine. The trials of a killed worker are trained by the others.
    """

    width: int = 8
    """Largest number of trials proposed and trained at once: with fewer, each is guided by more results; with more, the
    search is faster."""
    trials: int = 64
    """Number of trials in all, those of all workers and of earlier calls together."""
    sampler: Literal["tpe", "random"] = "tpe"
    """What proposes settings: the tree-structured Parzen estimator, or chance."""
    storage: str | None = None
    """Where workers meet: postgresql://USER:PASSWORD@HOST/DATABASE, sqlite:///FILE, or the path of a journal; by
    default SQLite in the folder."""
    study: str | None = None
    """The name of the study in the storage; by default the experiment's."""

    def __call__(self) -> None:
        """Searches under a progress bar of trials."""
        from aejax.devices import enable_compilation_cache
        from aejax.sweeps import Search, parse_search_axis, run_search

        self.check()
        if self.trials < 1:
            raise InputError(f"--trials is {self.trials}: give at least 1")
        space = _distinct(list(map(parse_search_axis, self.axes)))
        if not space:
            raise InputError(f"a search of {self.name} needs an axis: give PATH=RANGE, such as seed=0..4")
        enable_compilation_cache()
        folder = self.folder(space, f"by {self.metric}")
        search = Search.open(
            registry.get(self.name),
            space,
            folder,
            trials=self.trials,
            metric=self.metric,
            better=_better(self.minimize, self.maximize),
            measure_all=self.measure_all,
            sampler=self.sampler,
            storage=self.storage,
            name=self.study,
            command=self.typed("search"),
        )
        options: dict[str, Any] = {"width": self.width, "shared_order": self.shared_order, "buffer": self.buffer}
        options["keep"] = self.keep
        self.run(folder, self.trials, search.finished, lambda show: run_search(search, observers=[show], **options))


def _better(minimize: bool, maximize: bool) -> Literal["lower", "higher"] | None:
    if minimize and maximize:
        raise InputError("--minimize and --maximize contradict each other: give one of them")
    return "lower" if minimize else "higher" if maximize else None


def _distinct(axes: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(axes)
    for path in found:
        if sum(path == other for other, _ in axes) > 1:
            raise InputError(f"the axis {path} is given twice: give all of its values at once")
    return found


@dataclass(frozen=True)
class SweepShowCommand:
    """Shows a sweep's results: for each setting the mean over its seeds, with a 95 % interval, and what is the best."""

    folder: Positional[Path]
    """A folder that `aejax sweep` has made, or sweeps/NAME where there is one sweep in it."""
    metric: str | None = None
    """The metric to show, one of those that were measured; by default that by which the trials were to be compared."""
    minimize: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of a metric that aejax does not know: lower values are better."""
    maximize: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of a metric that aejax does not know: higher values are better."""
    part: Literal["validation", "test"] | None = None
    """The part that was measured; by default validation, the part to choose by, where the data holds one out."""
    trials: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also show every trial: its id, its metric on validation and test, its time, and the command that trains it alone.
    """
    page: Path | None = None
    """Also write all of it, with figures, as one HTML page: sweep.html."""
    export: Path | None = None
    """Also write every trial as a line of a .csv, .json or .parquet file."""

    def __call__(self) -> None:
        """Prints a row for each setting, on validation the best first, and writes the files that are asked for."""
        from aejax.sweeps import Sweep as Folder, find, summary

        for path in (path for path in (self.page, self.export) if path is not None):
            check_out(path)
        sweep = Folder.open(find(self.folder))
        found = summary.summarise(sweep, self.metric, self.part, _better(self.minimize, self.maximize))
        summary.show(found)
        if self.trials:
            summary.show_trials(found)
        if self.export is not None:
            summary.export(sweep, self.export)
            print(self.export)
        if self.page is not None:
            from aejax.runs import write_atomically
            from aejax.sweeps import figures, page

            write_atomically(self.page, page.sweep_page(found, figures.draw_sweep(found)))
            print(self.page)


@dataclass(frozen=True)
class SweepBestCommand:
    """Makes an ordinary run of a sweep's best trial: of the best setting by the mean over its seeds, the best seed.

    Its state is the one that the sweep kept; where it kept none, the trial is trained again, and that is said.
    """

    folder: Positional[Path]
    """A folder that `aejax sweep` has made, or sweeps/NAME where there is one sweep in it."""
    out: Path = Path("runs")
    """Folder of the run directories: the run goes to OUT/NAME/ID."""
    metric: str | None = None
    """The metric of validation to choose by; by default that by which the trials were to be compared."""
    minimize: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of a metric that aejax does not know: lower values are better."""
    maximize: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of a metric that aejax does not know: higher values are better."""

    def __call__(self) -> None:
        """Says which trial is the best and where its state comes from, and prints the run's test metrics and folder."""
        from aejax.devices import enable_compilation_cache
        from aejax.sweeps import Sweep as Folder, find, models, summary

        sweep = Folder.open(find(self.folder))
        found = summary.summarise(sweep, self.metric, better=_better(self.minimize, self.maximize))
        trial = found.best_trial
        enable_compilation_cache()
        trained = models.kept_model(sweep, trial)
        summary.show_best(found, "its state was kept" if trained is not None else "it is trained again")
        if trained is None:
            with watched(1, lambda: 0) as show:
                trained = models.train_again(sweep, trial, [show])
        models.as_run(sweep, trial, trained, self.out)
