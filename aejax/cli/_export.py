"""Holds the command that writes a trained model as files for others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from aejax.cli._common import load_run


@dataclass(frozen=True)
class ExportCommand:
    """Writes a trained model as files for others: its weights with a card, or programs that run without aejax."""

    run: Positional[Path]
    """A run directory, runs/NAME/ID, its best checkpoint, runs/NAME/ID/checkpoints/best, a saved model, or
    hf:OWNER/NAME."""
    out: Path
    """The folder of the files, made where it is missing."""
    format: Literal["safetensors", "stablehlo", "onnx"] = "stablehlo"
    """safetensors: the weights, the settings and a model card, which every command takes as it takes a run; stablehlo:
    encoder and decoder for `jax.export.deserialize`, on CPU, CUDA and TPU; onnx: the same for runtimes of ONNX. The
    programs take any number of examples, and are compared with aejax's own output before they are kept."""

    def __call__(self) -> None:
        """Writes the files, and prints their paths and sizes."""
        trained = load_run(self.run)
        if self.format == "safetensors":
            paths = sorted(trained.save(self.out).iterdir())
        else:
            paths = trained.export(self.out, self.format)
        for path in paths:
            print(f"{path}: {path.stat().st_size:,} bytes")
