"""Holds the commands that hand trained models over to others and to other libraries, and take theirs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from aejax.cli._common import load_run
from aejax.core import InputError


def _dictionary(trained: Any, name: str, out: Path) -> str:
    """Writes a dictionary to a folder of another library, and says what is there."""
    from aejax.trained import freeze, write_dictionary

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already: give --out a folder that is empty or not there yet")
    frozen = freeze(trained)
    write_dictionary(frozen, name, out)
    values, units = frozen.kernel.shape
    return f"{units:,} units of {values:,} values"


def _weights(trained: Any, name: str, out: Path) -> str:
    """Writes the weights, the settings and a model card."""
    return _listed(sorted(trained.save(out).iterdir()))


def _programs(trained: Any, name: str, out: Path) -> str:
    """Writes encoder and decoder as programs."""
    return _listed(trained.export(out, name))


def _listed(paths: list[Path]) -> str:
    return ", ".join(f"{path.name} ({path.stat().st_size:,} bytes)" for path in paths)


FORMATS: dict[str, Callable[[Any, str, Path], str]] = {
    "safetensors": _weights,
    "stablehlo": _programs,
    "onnx": _programs,
    "saelens": _dictionary,
    "sparsify": _dictionary,
}
"""What writes each format: it is given the model, the format's name and the place, and says what it has written."""


@dataclass(frozen=True)
class ExportCommand:
    """Writes a trained model for others: its weights and a card, programs without aejax, files of other libraries."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, its best checkpoint, runs/NAME/ID/checkpoints/best, a saved model, or
    hf:OWNER/NAME."""
    out: Path
    """The folder to write."""
    format: Literal["safetensors", "stablehlo", "onnx", "saelens", "sparsify"] = "stablehlo"
    """safetensors: the weights, the settings and a model card, which every command takes as it takes a run; stablehlo:
    encoder and decoder for `jax.export.deserialize`, on CPU, CUDA and TPU; onnx: the same for runtimes of ONNX; saelens
    and sparsify: of a dictionary, a folder that these load, with all that it does in plain weights. Programs take any
    number of examples, and are compared with aejax's own output before they are kept."""

    def __call__(self) -> None:
        """Writes it, and prints what is where."""
        said = FORMATS[self.format](load_run(self.run), self.format, self.out)
        print(f"{self.out}: {said}")


@dataclass(frozen=True)
class ImportCommand:
    """Makes a run of a dictionary that SAELens or sparsify has saved, which all other commands take."""

    folder: Positional[Path]
    """The folder, with cfg.json and a file of safetensors."""
    out: Path = Path("runs")
    """Where the run's folder is made, as OUT/NAME/ID."""
    name: str = "dictionary"
    """The name of the experiment."""

    def __call__(self) -> None:
        """Writes the run directory, and prints its path."""
        from aejax.trained import keep, read_dictionary, thaw

        frozen = read_dictionary(self.folder)
        run = keep(thaw(frozen, self.name), self.out, str(self.folder))
        print(f"{run.path}: {len(frozen.rows):,} units of {len(frozen.kernel):,} values")
