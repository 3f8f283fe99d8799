"""Saves a trained model as files that can be given away, without its optimiser's state.

    model.safetensors   parameters, collections, fitted preprocessing, the detector's rows: see `aejax.runs.array_file`
    experiment.json     as that of a run
    result.json         as that of a run, where something was measured
    README.md           the model card, and picture.png where there is one
    samplers/           what codes are drawn from, where that was fitted: see `aejax.trained.samplers`

Such a folder is a run's without what only training needs: `load` and all commands take it where they take a run.
"""

import dataclasses
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aejax.core import DISK_ERRORS, InputError, as_arrays, json_text
from aejax.data import scaled
from aejax.experiment import to_json
from aejax.runs import named_arrays, provenance_after, write_arrays, write_atomically, write_experiment
from aejax.trained import samplers
from aejax.trained.card import model_card, own_code
from aejax.trained.samplers import write_sampler

if TYPE_CHECKING:
    from aejax.core import Examples
    from aejax.trained.trained import Trained

log = logging.getLogger("aejax")

ARRAYS, PICTURE = "model.safetensors", "picture.png"

_SHOWN, _SCALE, _EDGE = 10, 4, 2
"""Number of examples in a picture, pixels for each of theirs, and pixels between two."""


def save(trained: "Trained", folder: str | Path, test: Any = None) -> Path:
    """Writes a trained model to a folder: see `Trained.save`."""
    folder, trained = Path(folder), _without_paths(trained)
    part = None if test is None else trained._examples(test).read()
    result = _result(trained, part)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / ARRAYS).exists():
            raise InputError(f"{folder} holds other files: give a folder that is new, empty or of a saved model")
        write_arrays(folder / ARRAYS, named_arrays(_parts(trained)))
        shutil.rmtree(folder / samplers.FOLDER, ignore_errors=True)  # of the model that was saved there before
        if trained.sampler is not None:
            write_sampler(folder, trained.sampler, int(trained.state.step))
        _describe(trained, folder)
        if result is not None:
            write_atomically(folder / "result.json", json_text(result, indent=2))
        picture = _picture(trained, part, folder / PICTURE)
        write_atomically(folder / "README.md", model_card(trained, result, PICTURE if picture else None))
    except OSError as error:
        if error.errno not in DISK_ERRORS and not isinstance(error, FileExistsError | NotADirectoryError):
            raise
        raise InputError(f"the model cannot be saved to {folder} ({error.strerror}): give another folder") from None
    return folder


def _parts(trained: "Trained") -> dict[str, Any]:
    """Returns what the file of arrays holds, by the names that a checkpoint has for it."""
    parts = {"state": trained.for_use.state, "preprocess": as_arrays(trained.preprocess)}
    return parts if trained.reference is None else parts | {"reference": trained.reference}


def _describe(trained: "Trained", folder: Path) -> None:
    """Writes the experiment.json of a saved model: settings, data, and what each part of training was made with."""
    made_with = [provenance_after(0)] if trained.run is None else trained.run.provenance
    given = trained.given or trained.experiment
    code = own_code(trained.experiment)
    write_experiment(folder, given, trained.shape, _steps(trained), ARRAYS, trained.data, made_with, [], code=code)


def _without_paths(trained: "Trained") -> "Trained":
    """Returns the model with data that have a path called by its last part: no file says where it was trained."""
    record = trained.data
    if record is None or record.path is None:
        return trained
    record, given = dataclasses.replace(record, name=Path(record.name).name, path=None), trained.given
    if given is not None:
        given = dataclasses.replace(given, data=dataclasses.replace(given.data, name=record.name))
    return dataclasses.replace(trained, data=record, given=given)


def _steps(trained: "Trained") -> int:
    """Returns the number of steps in an epoch."""
    if trained.run is not None or trained.data is None:
        return 1 if trained.run is None else trained.run.steps_per_epoch
    return max(trained.data.rows["train"] // trained.experiment.batch_size, 1)


def _result(trained: "Trained", part: "Examples | None") -> dict[str, Any] | None:
    """Returns what was measured on test: now, on the examples that were given, or else when the run ended."""
    data = to_json((trained.given or trained.experiment).data)
    if part is not None:
        measured = trained.evaluate(part)
        return {"name": trained.experiment.name, "data": data, "test": measured, "examples": len(part)}
    known = None if trained.run is None else trained.run.result()
    return None if known is None else known | {"data": data}


def _picture(trained: "Trained", part: "Examples | None", path: Path) -> bool:
    """Draws examples of images above their reconstructions, or copies the run's own figure; tells whether it could."""
    own = None if trained.run is None else trained.run.path / "figures" / "reconstructions.png"
    if part is not None and len(trained.shape) == 3 and trained.shape[2] in (1, 3):
        from PIL import Image

        few = part.take(np.arange(min(_SHOWN, len(part))))
        made = trained.reconstruct(few.x, few.label)
        rows = [np.concatenate([_framed(image) for image in images], axis=1) for images in (scaled(few.x), made)]
        Image.fromarray(np.concatenate(rows).squeeze()).save(path)
        return True
    if own is not None and own.exists():
        shutil.copyfile(own, path)
    elif trained.run is not None and (trained.run.path / PICTURE).exists() and trained.run.path != path.parent:
        shutil.copyfile(trained.run.path / PICTURE, path)
    return path.exists()


def _framed(image: np.ndarray) -> np.ndarray:
    """Returns an image of values in [0, 1] as enlarged levels with a white edge."""
    levels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    large = levels.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
    return np.pad(large, ((_EDGE, _EDGE), (_EDGE, _EDGE), (0, 0)), constant_values=255)
