"""Loads trained models from run directories."""

import logging
from pathlib import Path

from aejax.core import InputError, first_line
from aejax.data import NO_RECORD
from aejax.runs import NEWEST, Run, checkpoint_template
from aejax.trained.trained import Trained

log = logging.getLogger("aejax")


def load(run: str | Path) -> Trained:
    """Loads the trained model of a run directory, from its newest checkpoint that loads whole.

    `RUN/checkpoints/best` in place of `RUN` loads the checkpoint with the least validation loss, and
    `RUN/checkpoints/STEP` that of a step. Raises `InputError` where `run` is neither, or holds nothing that loads.
    """
    path, which = Path(run), NEWEST
    if path.parent.name == "checkpoints":
        path, which = path.parent.parent, path.name.removesuffix(".safetensors")
    opened = Run(path)
    try:
        experiment = opened.experiment.resolve_for(opened.shape, opened.steps_per_epoch)
        like = checkpoint_template(experiment, opened.shape)
    except Exception as error:  # settings that no model can be made of fail in ways of their own
        raise InputError(
            f"{path / 'experiment.json'} makes no model ({type(error).__name__}: {first_line(error)}): train it again"
        ) from error
    parts = opened.restore(like, which)
    if opened.data is None:
        log.warning(NO_RECORD, path)
    preprocess, state, reference = parts["preprocess"], parts["state"], parts.get("reference")
    return Trained(experiment, opened.shape, preprocess, state, opened.rows(), opened, opened.data, reference)
