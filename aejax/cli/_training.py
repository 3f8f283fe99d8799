"""Holds `aejax train NAME` and `aejax bench NAME`, in which every setting of an experiment is a flag."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from aejax.cli._devices import DevicesFlags, HostsFlags
from aejax.cli._parsing import as_list, parse
from aejax.core import InputError, setting_path
from aejax.experiment import registry

if TYPE_CHECKING:
    from aejax.experiment import Experiment

SETTINGS = """ Every setting below can be given; its present value is the default. Words may be joined by - or _.

Parts that have settings of their own are exchanged by name, as in --optimizer sgd:
"""

ABOUT = {
    "train": "Trains an experiment." + SETTINGS,
    "bench": "Measures how fast an experiment trains, beside what the machine reaches at its best." + SETTINGS,
}


def train(arguments: list[str]) -> None:
    """Runs `aejax train` with its arguments: trains an experiment, measures it and draws it."""
    from aejax.core import BUFFER
    from aejax.runs import Saving
    from aejax.training import Intervals

    base, arguments = _base(arguments)

    @dataclass(frozen=True)
    class Options:
        experiment: Annotated[_settings(), tyro.conf.arg(name="")]  # type: ignore[valid-type]
        out: Path = Path("runs")
        """Folder of the run directories: the run goes to OUT/NAME/ID."""
        resume: Path | None = None
        """A run directory to go on with; its settings are then the defaults."""
        config: Path | None = None
        """A run directory or a file as `aejax show` prints it, whose settings are the defaults of a new run."""
        name: str | None = None
        """What the run is called in `aejax runs`."""
        tag: tuple[str, ...] = ()
        """Words by which `aejax runs --tag` finds the run."""
        note: str | None = None
        """A remark on the run, for `aejax runs`."""
        track: tuple[Literal["wandb", "mlflow"], ...] = ()
        """Trackers that the run is sent to while it trains: see `aejax track`. A resumed run goes on with its own."""
        saving: Annotated[Saving, tyro.conf.arg(name="")] = field(default_factory=Saving)
        intervals: Annotated[Intervals, tyro.conf.arg(name="")] = field(default_factory=Intervals)
        patience: int | None = None
        """Measurements of validation, by default one an epoch, without a lower loss after which training ends."""
        buffer: float = BUFFER
        """Gigabytes: packed data whose training part is larger is streamed from disk through as much memory."""
        figures: bool = True
        """Draw the run's figures once it is trained."""
        generation: bool = False
        """Also generate 10,000 examples once it is trained, and measure how far they are from test: half a minute."""
        profile: bool = False
        """Leave a JAX profile of the first epochs in the run directory, and print where the time went."""
        on: Annotated[DevicesFlags, tyro.conf.arg(name="")] = field(default_factory=DevicesFlags)
        hosts: Annotated[HostsFlags, tyro.conf.arg(name="")] = field(default_factory=HostsFlags)

    options = _parse("train", Options, base, arguments)

    from aejax.devices import enable_compilation_cache, hosts
    from aejax.evaluation import profiled
    from aejax.training import fit

    def run() -> Any:
        return fit(
            _experiment(options.experiment),
            folder=options.out,
            resume=options.resume,
            parallel=options.on.layout(),
            saving=options.saving,
            intervals=options.intervals,
            patience=options.patience,
            buffer=options.buffer,
            show_progress=True,
            figures=options.figures,
            generation=options.generation,
            name=options.name,
            tags=options.tag,
            note=options.note,
            track=options.track,
        )

    enable_compilation_cache()
    with options.hosts.joined():
        if options.profile and hosts.first():
            profiled(run)
        else:
            run()


def bench(arguments: list[str]) -> None:
    """Runs `aejax bench` with its arguments: parses settings as `aejax train` does, and measures how fast it trains."""
    from aejax.core import BUFFER

    base, arguments = _base(arguments)

    @dataclass(frozen=True)
    class Options:
        experiment: Annotated[_settings(), tyro.conf.arg(name="")]  # type: ignore[valid-type]
        config: Path | None = None
        """A run directory or a file as `aejax show` prints it, whose settings are the defaults."""
        rounds: int = 3
        """Number of epochs that are timed, after one that compiles; their median counts."""
        buffer: float = BUFFER
        """Gigabytes: packed data whose training part is larger is streamed from disk through as much memory."""
        on: Annotated[DevicesFlags, tyro.conf.arg(name="")] = field(default_factory=DevicesFlags)

    options = _parse("bench", Options, base, arguments)
    if options.rounds < 1:
        raise InputError(f"--rounds is {options.rounds}: give at least 1")

    from aejax.data import load
    from aejax.evaluation import show_numbers
    from aejax.training import bench

    experiment = _experiment(options.experiment)
    measured = bench(experiment, load(experiment.data), options.rounds, options.on.layout(), options.buffer)
    show_numbers(measured, experiment.name)


@cache
def _settings() -> type:
    """Returns the class of experiments whose fields are flags, but its name and its published figure."""
    from aejax.experiment import Expected, Experiment

    @dataclass(frozen=True)
    class Settings(Experiment):
        name: tyro.conf.Suppress[tyro.conf.Fixed[str]] = "unnamed"
        expected: tyro.conf.Suppress[tyro.conf.Fixed[Expected | None]] = None

    return Settings


def _experiment(settings: Any) -> "Experiment":
    from aejax.experiment import Experiment

    return Experiment(**vars(settings))


def _parse(command: str, options: Any, experiment: "Experiment", arguments: Sequence[str]) -> Any:
    """Parses the options of a command on one experiment, whose settings are among the flags."""
    from aejax.experiment import choose_parts, kinds_with, part_choices

    def elsewhere(flag: str) -> str:
        kinds = kinds_with(experiment, setting_path(flag.removeprefix("--")))
        return f"{flag.rpartition('.')[0]} {' or '.join(kinds)} has it" if kinds else ""

    experiment, left = choose_parts(experiment, [*arguments])
    parts = [f"--{path}\n{as_list(known, '    ')}" for path, known in part_choices(experiment)]
    return parse(
        options,
        f"aejax {command} {experiment.name}",
        left,
        elsewhere,
        default=options(_settings()(**vars(experiment))),
        description="\n".join([ABOUT[command], *parts]),
        config=(tyro.conf.AvoidSubcommands,),
    )


def _base(arguments: list[str]) -> tuple["Experiment", list[str]]:
    """Returns the experiment whose settings are the defaults, and the arguments without its name.

    It is the registered one of that name; that of the run with --resume, or of --config, whose names need not be given.
    """
    name = None if arguments[0].startswith("-") else arguments[0]
    arguments = arguments if name is None else arguments[1:]
    given = {flag: _value(flag, arguments) for flag in ("--resume", "--config")}
    sources = {flag: value for flag, value in given.items() if value is not None}
    if len(sources) > 1:
        raise InputError("--resume goes on with a run and --config begins a new one: give one of them")
    if name is not None:
        registered = registry.get(name)
    if not sources:
        if name is None:
            raise InputError(f"an experiment's name comes before {arguments[0]}: `aejax list` shows all")
        return registered, arguments
    from aejax.runs import Run, read_experiment

    ((flag, source),) = sources.items()
    found = Run(Path(source)).experiment if flag == "--resume" else read_experiment(Path(source))
    if name not in (None, found.name):
        raise InputError(f"{source} is of {found.name}, not of {name}: give {flag} with that name, or without one")
    return found, arguments


def _value(flag: str, arguments: Sequence[str]) -> str | None:
    """Returns what is given to a flag; None where it is not there."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == flag:
            return value if equals else next(iter(arguments[place + 1 :]), "")
    return None
