"""Lists the commands of `aejax`. Each is a dataclass, whose fields are the flags and whose call runs the command.

Heavy modules are imported inside the calls, so that only a command that needs JAX waits for it.
"""

from collections.abc import Callable
from typing import Any

from aejax.cli._data import DataCheckCommand, DataCommand, DataListCommand, DataPackCommand, DataPrepareCommand
from aejax.cli._doctor import DoctorCommand
from aejax.cli._examples import (
    CompressCommand,
    DecodeCommand,
    DecompressCommand,
    DenoiseCommand,
    EncodeCommand,
    ReconstructCommand,
    ScoreCommand,
)
from aejax.cli._experiments import (
    BenchCommand,
    EvalCommand,
    FiguresCommand,
    ListCommand,
    MetricsCommand,
    ProbeCommand,
    ResultsCommand,
    ShowCommand,
    TrainCommand,
)
from aejax.cli._export import ExportCommand, ImportCommand
from aejax.cli._features import FeaturesCommand
from aejax.cli._generation import ExploreCommand, InterpolateCommand, SampleCommand, SamplerCommand
from aejax.cli._report import ReportCommand
from aejax.cli._runs import RunsCommand, RunsNoteCommand, TrackCommand
from aejax.cli._sweeps import SweepBestCommand, SweepCommand, SweepSearchCommand, SweepShowCommand

COMMANDS: dict[str, Callable[..., Any]] = {
    "list": ListCommand,
    "metrics": MetricsCommand,
    "results": ResultsCommand,
    "show": ShowCommand,
    "train": TrainCommand,
    "sweep": SweepCommand,
    "runs": RunsCommand,
    "track": TrackCommand,
    "bench": BenchCommand,
    "eval": EvalCommand,
    "encode": EncodeCommand,
    "decode": DecodeCommand,
    "reconstruct": ReconstructCommand,
    "denoise": DenoiseCommand,
    "sample": SampleCommand,
    "sampler": SamplerCommand,
    "interpolate": InterpolateCommand,
    "score": ScoreCommand,
    "compress": CompressCommand,
    "decompress": DecompressCommand,
    "probe": ProbeCommand,
    "figures": FiguresCommand,
    "report": ReportCommand,
    "features": FeaturesCommand,
    "explore": ExploreCommand,
    "export": ExportCommand,
    "import": ImportCommand,
    "data": DataCommand,
    "doctor": DoctorCommand,
}

DATA_COMMANDS: dict[str, Callable[..., Any]] = {
    "list": DataListCommand,
    "check": DataCheckCommand,
    "prepare": DataPrepareCommand,
    "pack": DataPackCommand,
}

SWEEP_COMMANDS: dict[str, Callable[..., Any]] = {
    "search": SweepSearchCommand,
    "show": SweepShowCommand,
    "best": SweepBestCommand,
}
"""The commands under `aejax sweep`, beside `aejax sweep NAME`."""

_BELOW: dict[str, dict[str, Callable[..., Any]]] = {
    "data": DATA_COMMANDS,
    "sweep": SWEEP_COMMANDS,
    "runs": {"note": RunsNoteCommand},
}

TREE: dict[str, Callable[..., Any]] = {
    name: command
    for first, own in COMMANDS.items()
    for name, command in [(first, own), *((f"{first} {word}", below) for word, below in _BELOW.get(first, {}).items())]
}
"""All commands in the order of the help; those of two words stand behind their first."""
