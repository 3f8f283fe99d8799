"""The commands of `aejax`, one dataclass each: its fields are the flags, calling it runs it.

Imports are inside the calls: only a command that needs JAX waits for it.
"""

from collections.abc import Callable
from typing import Any

from aejax.commands.data import Data, DataList, DataPack, DataPrepare
from aejax.commands.examples import Compress, Decode, Decompress, Denoise, Encode, Reconstruct, Score
from aejax.commands.experiments import Bench, Eval, Figures, List, Probe, Show, Train
from aejax.commands.generation import Interpolate, Sample
from aejax.commands.sweep import Sweep, SweepSearch, SweepShow

COMMANDS: dict[str, Callable[..., Any]] = {
    "list": List,
    "show": Show,
    "train": Train,
    "sweep": Sweep,
    "bench": Bench,
    "eval": Eval,
    "encode": Encode,
    "decode": Decode,
    "reconstruct": Reconstruct,
    "denoise": Denoise,
    "sample": Sample,
    "interpolate": Interpolate,
    "score": Score,
    "compress": Compress,
    "decompress": Decompress,
    "probe": Probe,
    "figures": Figures,
    "data": Data,
}
DATA_COMMANDS: dict[str, Callable[..., Any]] = {"list": DataList, "prepare": DataPrepare, "pack": DataPack}
SWEEP_COMMANDS: dict[str, Callable[..., Any]] = {"search": SweepSearch, "show": SweepShow}
"""Beside `aejax sweep NAME`."""
