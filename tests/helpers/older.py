"""Writes checkpoints as version 0.1.0 did: folders of Orbax's files, with a checksum over all of them."""

import shutil
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from aejax.runs import _older
from aejax.runs.array_file import read_arrays


def made_older(run: Path) -> Path:
    """Returns a copy of a run beside it, whose checkpoints are folders."""
    copy = shutil.copytree(run, run.with_name(f"{run.name}-older"))
    for file in (copy / "checkpoints").iterdir():
        folder = file.with_suffix("")
        places = {name: place for place, name in _older._PARTS.items()}
        arrays = {
            ".".join([places[name.split(".")[0]], *name.split(".")[1:]]): array
            for name, array in read_arrays(file)[0].items()
        }
        alone = ocp.options.MultiprocessingOptions(jax.process_index(), {jax.process_index()}, "of_0")
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
        ocp.Checkpointer(handler, multiprocessing_options=alone).save(folder.absolute(), arrays)
        (folder / "crc32").write_text(str(_older._checksum(folder)))
        file.unlink()
    return copy
