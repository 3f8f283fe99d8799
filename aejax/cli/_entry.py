"""Runs the command line: parses it first, and imports heavy modules afterwards."""

import itertools
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from aejax import core
from aejax.cli import _data
from aejax.cli._commands import COMMANDS, DATA_COMMANDS, SWEEP_COMMANDS
from aejax.cli._devices import DevicesFlags, HostsFlags
from aejax.core import DISK_ERRORS, MEMORY_FULL, DiskError, DivergedError, HostLost, InputError, Stopped, first_line
from aejax.experiment import import_code, import_from_environment, registry

if TYPE_CHECKING:
    from aejax.experiment import Experiment
    from aejax.trained import Trained

ABOUT = """Autoencoders in JAX and Flax: train registered experiments and use what they learned.
Every command takes --import MODULE or --import FILE.py, for experiments and classes of your own; those that
AEJAX_IMPORT names are always imported."""

SETTINGS = """ Every setting below can be given; its present value is the default.
A part that has settings of its own is exchanged by name:
"""

ABOUT_SETTINGS = {
    "train": "Trains an experiment." + SETTINGS,
    "bench": "Measures how fast an experiment trains, beside what the machine reaches at its best." + SETTINGS,
}


def main() -> None:
    """Runs one command of the command line.

    The exit code is 0, 1 (the command failed), 2 (bad input), 130 (stopped by Ctrl-C) or 143 (stopped by SIGTERM).
    """
    logging.basicConfig(format="aejax: %(message)s")
    try:
        _run(sys.argv[1:])
    except InputError as error:
        _exit(2, error)
    except (DivergedError, DiskError, HostLost) as error:
        _exit(1, error)
    except Stopped as error:
        print(f"aejax: {error}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(128 + error.number)  # any other way to end would wait for the epoch that is under way
    except KeyboardInterrupt:
        _exit(130, "stopped")
    except BrokenPipeError:
        sys.stderr.close()
    except RuntimeError as error:
        if not str(error).startswith(MEMORY_FULL):
            raise
        _exit(1, f"the device's memory is full ({first_line(error)}): smaller batches take less of it")
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        _exit(1, f"{error.filename or 'a file'} cannot be written: {error.strerror}")


def _run(arguments: list[str]) -> None:
    arguments = _import_own_code(arguments)
    commands, prog = COMMANDS, "aejax"
    if arguments[:1] == ["data"]:
        commands, prog, arguments = DATA_COMMANDS, "aejax data", arguments[1:]
    if arguments and not arguments[0].startswith("-"):
        core.require_known("command", arguments[0], commands, f"{prog} --help")
    if commands is DATA_COMMANDS and arguments[:1] in (["check"], ["pack"]) and _gives_name(arguments[1:]):
        (_data.check if arguments[0] == "check" else _data.pack)(arguments[1:])
    elif arguments[:1] == ["sweep"] and arguments[1:2] and arguments[1] in SWEEP_COMMANDS:
        tyro.cli(SWEEP_COMMANDS[arguments[1]], prog=f"aejax sweep {arguments[1]}", args=arguments[2:])()
    elif commands is COMMANDS and arguments[:1] in (["train"], ["bench"]) and _gives_name(arguments[1:]):
        (_train if arguments[0] == "train" else _bench)(arguments[1], arguments[2:])
    else:
        tyro.extras.subcommand_cli_from_dict(commands, prog=prog, args=arguments or ["--help"], description=ABOUT)()


def _import_own_code(arguments: list[str]) -> list[str]:
    """Imports the modules and files of every --import and of AEJAX_IMPORT; returns the other arguments."""
    flag, left, given = "--import", [], []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == flag or argument.startswith(f"{flag}="):
            given.append(argument.removeprefix(flag).removeprefix("=") or next(remaining, ""))
        else:
            left.append(argument)
    if "" in given:
        raise InputError(f"{flag} names nothing: give a module or a file that ends in .py")
    import_from_environment()
    for name in given:
        import_code(name)
    return left


def _gives_name(arguments: list[str]) -> bool:
    return bool(arguments) and not arguments[0].startswith("-")


def _train(name: str, arguments: list[str]) -> None:
    """Parses the settings of one experiment, in which every field is a flag, and trains it."""
    from aejax.core import BUFFER
    from aejax.experiment import Experiment
    from aejax.runs import Saving
    from aejax.training import Intervals

    @dataclass(frozen=True)
    class Options:
        experiment: Annotated[Experiment, tyro.conf.arg(name="")]
        out: Path = Path("runs")
        """Folder of the run directories: the run goes to OUT/NAME/ID."""
        resume: Path | None = None
        """A run directory to go on with; its settings are then the defaults."""
        saving: Annotated[Saving, tyro.conf.arg(name="")] = field(default_factory=Saving)
        intervals: Annotated[Intervals, tyro.conf.arg(name="")] = field(default_factory=Intervals)
        patience: int | None = None
        """Measurements of validation, by default one an epoch, without a lower loss after which training ends."""
        buffer: float = BUFFER
        """Gigabytes: packed data whose training part is larger is streamed from disk through as much memory."""
        profile: bool = False
        """Leave a JAX profile of the first epochs in the run directory, and print where the time went."""
        on: Annotated[DevicesFlags, tyro.conf.arg(name="")] = field(default_factory=DevicesFlags)
        hosts: Annotated[HostsFlags, tyro.conf.arg(name="")] = field(default_factory=HostsFlags)

    options = _parse("train", Options, _base(name, arguments), arguments)

    from aejax.devices import enable_compilation_cache, hosts
    from aejax.evaluation import finish, profiled
    from aejax.training import data_of, fit

    def train() -> "Trained":
        trained = fit(
            options.experiment,
            folder=options.out,
            resume=options.resume,
            dataset=dataset,
            parallel=options.on.layout(),
            saving=options.saving,
            intervals=options.intervals,
            patience=options.patience,
            buffer=options.buffer,
            show_progress=True,
        )
        if trained.run is not None:
            finish(trained, dataset.within(options.buffer))
        return trained

    enable_compilation_cache()
    with options.hosts.joined():
        dataset = data_of(options.experiment, options.resume)
        if options.profile and hosts.first():
            profiled(train)
        else:
            train()


def _bench(name: str, arguments: list[str]) -> None:
    """Parses the settings of one experiment as training does, and measures how fast it trains."""
    from aejax.core import BUFFER
    from aejax.experiment import Experiment

    @dataclass(frozen=True)
    class Options:
        experiment: Annotated[Experiment, tyro.conf.arg(name="")]
        rounds: int = 3
        """Number of epochs that are timed, after one that compiles; their median counts."""
        buffer: float = BUFFER
        """Gigabytes: packed data whose training part is larger is streamed from disk through as much memory."""
        on: Annotated[DevicesFlags, tyro.conf.arg(name="")] = field(default_factory=DevicesFlags)

    options = _parse("bench", Options, registry.get(name), arguments)
    if options.rounds < 1:
        raise InputError(f"--rounds is {options.rounds}: give at least 1")

    from aejax.data import load
    from aejax.evaluation import show_numbers
    from aejax.training import bench

    dataset = load(options.experiment.data)
    measured = bench(options.experiment, dataset, options.rounds, options.on.layout(), options.buffer)
    show_numbers(measured, name)


def _parse(command: str, options: Any, experiment: "Experiment", arguments: list[str]) -> Any:
    """Parses the options of a command on one experiment, whose settings are among the flags."""
    from aejax.experiment import choose_parts, part_choices

    experiment, left = choose_parts(experiment, arguments)
    about = ABOUT_SETTINGS[command] + "\n".join(
        f"  --{path} {{{','.join(known)}}}" for path, known in part_choices(experiment)
    )
    prog = f"aejax {command} {experiment.name}"
    avoid = (tyro.conf.AvoidSubcommands,)
    return tyro.cli(options, default=options(experiment), prog=prog, args=left, description=about, config=avoid)


def _base(name: str, arguments: list[str]) -> "Experiment":
    """Returns the registered experiment, or with --resume that of the run."""
    experiment = registry.get(name)
    flags = dict(itertools.pairwise(arguments)) | dict(
        argument.split("=", 1) for argument in arguments if "=" in argument
    )
    if "--resume" not in flags:
        return experiment
    from aejax.runs import Run

    resumed = Run(Path(flags["--resume"])).experiment
    if resumed.name != name:
        raise InputError(f"{flags['--resume']} is a run of {resumed.name}, not of {name}: resume it under that name")
    return resumed


def _exit(code: int, error: object) -> None:
    print(f"aejax: {error}", file=sys.stderr)
    if "aejax.devices.hosts" in sys.modules:  # other processes may train with this one: do not wait
        sys.modules["aejax.devices.hosts"].leave(code)
    sys.exit(code)
