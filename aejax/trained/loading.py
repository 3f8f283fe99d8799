"""Loads trained models from run directories, from folders of saved ones, and from the Hugging Face hub."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import jax

from aejax.core import InputError, first_line
from aejax.data import NO_RECORD
from aejax.runs import NEWEST, Run, checkpoint_template, fill_parts, placed, read_arrays
from aejax.trained.history import History
from aejax.trained.hub import HUB, fetched
from aejax.trained.samplers import read_sampler
from aejax.trained.saving import ARRAYS
from aejax.trained.trained import Trained

log = logging.getLogger("aejax")


def load(run: str | Path) -> Trained:
    """Loads the trained model of a run directory, from its newest checkpoint that loads whole, or a saved one.

    Args:
        run: a run directory; `RUN/checkpoints/best`, the checkpoint with the least validation loss, or
            `RUN/checkpoints/STEP`, that of a step; a folder that `Trained.save` has written; or a model of the Hugging
            Face hub, `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION` (`pip install "aejax[hub]"`).

    Raises:
        InputError: where `run` is none of these, or holds nothing that loads.
    """
    path, which = fetched(str(run)) if str(run).startswith(HUB) else Path(run), NEWEST
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
    saved = path / ARRAYS
    parts = _saved(saved, like) if saved.exists() else opened.restore(like, which)
    if opened.data is None:
        log.warning(NO_RECORD, path)
    preprocess, state, reference = parts["preprocess"], parts["state"], parts.get("reference")
    return Trained(
        experiment,
        opened.shape,
        preprocess,
        state,
        History(opened.rows()),
        opened,
        opened.data,
        reference,
        given=opened.experiment,
        sampler=read_sampler(path, int(state.step), experiment.model.latent),
    )


def _saved(path: Path, like: dict[str, Any]) -> dict[str, Any]:
    """Reads the parts of a saved model, which has no optimiser's state. Raises `InputError` where it is damaged."""
    like = like | {"state": dataclasses.replace(like["state"], opt_state=())}
    try:
        arrays, _ = read_arrays(path)
        return jax.tree.map(placed, fill_parts(like, arrays), like)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({first_line(error)}): save or download the model again") from None
