"""Keeps the trained states of a sweep's best trials, and makes an ordinary run of the best one.

models/ID.safetensors    the parts of a checkpoint and the rows of metrics: see `aejax.runs.array_file`
models/kept.json         by which metric they were chosen, and a number for each that is lower for a better one
"""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from aejax import training
from aejax.core import InputError, as_arrays, first_line, json_text, with_nan
from aejax.data import DataRecord
from aejax.metrics import Better
from aejax.runs import (
    Run,
    checkpoint_template,
    fill_parts,
    made_with,
    named_arrays,
    read_arrays,
    read_json,
    write_arrays,
    write_atomically,
)
from aejax.sweeps.objective import Objective
from aejax.sweeps.plan import Trial
from aejax.sweeps.result import Result
from aejax.sweeps.store import Sweep
from aejax.sweeps.summary import summarise
from aejax.trained import History, Trained
from aejax.training import Observer

log = logging.getLogger("aejax")


def keep_best(sweep: Sweep, trial: Trial, trained: Trained, result: Result, most: int) -> None:
    """Keeps the state of a trial that has just ended, if it is among the best `most` of those that were kept so far."""
    objective = sweep.objective or Objective()
    value = _worse(result, objective)
    if most < 1 or sweep.unranked or not math.isfinite(value):
        return
    index = sweep.folder / "models" / "kept.json"
    with sweep.lock():
        index.parent.mkdir(exist_ok=True)
        there = read_json(index) if index.exists() else {}
        # What was chosen by another metric is no rival.
        rivals = there["values"] if there.get("metric") == objective.metric else {}
        rivals = {id: other for id, other in rivals.items() if _file(sweep, id).exists()} | {trial.id: value}
        chosen = sorted(rivals, key=rivals.__getitem__)[:most]
        if trial.id in chosen:
            _write(sweep, trial, trained)
        for id in {*rivals, *there.get("values", {})} - {*chosen}:
            _file(sweep, id).unlink(missing_ok=True)
        content = {"metric": objective.metric, "values": {id: rivals[id] for id in chosen}}
        write_atomically(index, json_text(content))


def best_run(
    sweep: Sweep, out: str | Path = "runs", *, metric: str | None = None, better: Better | None = None
) -> Trained:
    """Makes an ordinary run of the best trial, and returns its model: of the best setting by its mean, the best seed.

    Its state is the one that the sweep has kept, or it is trained again, which is said.

    Args:
        sweep: the sweep.
        out: where the run directory is made, as `out/NAME/ID`.
        metric: the metric of the validation part to choose by; None: the sweep's own.
        better: which values are better; None: what the metric's declaration says.

    Raises:
        InputError: where nothing is the best, as without a validation part; and where the data are not there.
    """
    trial = summarise(sweep, metric, better=better).best_trial
    trained = kept_model(sweep, trial)
    if trained is None:
        log.warning("the state of trial %s was not kept: it is trained again", trial.id)
        trained = train_again(sweep, trial)
    return as_run(sweep, trial, trained, out)


def kept_model(sweep: Sweep, trial: Trial) -> Trained | None:
    """Returns a trial's model as the sweep has kept it; None where it has not, or where that is damaged."""
    if not (path := _file(sweep, trial.id)).exists():
        return None
    dataset = sweep.dataset(trial.experiment.data)
    experiment = trial.experiment.resolve(dataset)
    try:
        arrays, _ = read_arrays(path)
        parts = fill_parts(checkpoint_template(experiment, dataset.shape), arrays)
        rows = [with_nan(row) for row in json.loads(arrays["rows"].tobytes())]
    except Exception as error:  # damage can raise any exception, and all of them mean the same
        log.warning("%s is damaged (%s): the trial is trained again", path, first_line(error))
        return None
    parts = jax.tree.map(jnp.asarray, parts)
    shared = (dataset.shape, parts["preprocess"], parts["state"], History(rows))
    return Trained(experiment, *shared, data=DataRecord.of(dataset), reference=parts.get("reference"))


def train_again(sweep: Sweep, trial: Trial, observers: Sequence[Observer] = ()) -> Trained:
    """Trains a trial as the sweep did, as far as it did, and returns the model; the same call goes on after a stop.

    Args:
        sweep: the sweep.
        trial: the trial.
        observers: called after every epoch, as those of `run_sweep`.

    Raises:
        InputError: where its data are not there, and where it diverges.
    """
    dataset, result = sweep.dataset(trial.experiment.data), sweep.result_of(trial)
    selection = None if result is None or result.stopped_after is None else _Until(result.stopped_after)
    # Not among the groups of the sweep, which may still be in training.
    options: dict[str, Any] = {"keep": sweep.folder / "again", "observers": observers, "selection": selection}
    (outcome,) = training.fit_each([trial.experiment], dataset=dataset, **options)
    if outcome.failed_at is not None:
        raise InputError(f"trial {trial.id} diverged at step {outcome.failed_at} when it was trained again")
    return outcome.trained


def as_run(sweep: Sweep, trial: Trial, trained: Trained, out: str | Path) -> Trained:
    """Writes a trial's model as an ordinary run, with its rows, test metrics and figures, and returns it with the run.

    Args:
        sweep: the sweep.
        trial: the trial.
        trained: its model.
        out: where the run directory is made, as `out/NAME/ID`.
    """
    from aejax.evaluation import finish  # two seconds of imports

    dataset = sweep.dataset(trial.experiment.data)
    made = {"sweep": str(sweep.folder), "trial": trial.id} | _made(sweep, trial)
    facts = (trial.experiment, dataset.shape, len(dataset.train) // trial.experiment.batch_size)
    run = Run.create(Path(out), *facts, data=DataRecord.of(dataset), origin=made)
    with run.writing():
        run.log(trained.history)
        run.checkpoints.save(int(trained.state.step), _parts(trained), 1, None)
    trained = replace(trained, run=run)
    finish(trained, dataset)
    return trained


@dataclass(frozen=True)
class _Until:
    """Ends training after an epoch, as a selection of the sweep had ended it."""

    epoch: int
    compares: ClassVar[bool] = False

    def keep(self, losses: Float[np.ndarray, "epochs members"]) -> Bool[np.ndarray, " members"]:
        return np.full(losses.shape[1], len(losses) < self.epoch)

    def why_idle(self, members: int, epochs: int) -> str | None:
        return None


def _parts(trained: Trained) -> dict[str, Any]:
    reference = {} if trained.reference is None else {"reference": trained.reference}
    return {"state": trained.state, "preprocess": as_arrays(trained.preprocess), **reference}


def _write(sweep: Sweep, trial: Trial, trained: Trained) -> None:
    rows = np.frombuffer(json_text(trained.history).encode(), np.uint8)
    made = made_with()
    try:
        _file(sweep, trial.id).parent.mkdir(exist_ok=True)
        parts = named_arrays({**_parts(trained), "rows": rows})
        write_arrays(_file(sweep, trial.id), parts, {"made": json_text(made)})
    except OSError as error:
        log.warning("%s cannot be written (%s): the trial can be trained again", _file(sweep, trial.id), error)


def _made(sweep: Sweep, trial: Trial) -> dict[str, Any]:
    """Returns what a kept state was made with; nothing where none is kept, so that it is made here and now."""
    try:
        return dict(json.loads(read_arrays(_file(sweep, trial.id))[1]["made"]))
    except Exception:
        return {}


def _file(sweep: Sweep, id: str) -> Path:
    return sweep.folder / "models" / f"{id}.safetensors"


def _worse(result: Result | None, objective: Objective) -> float:
    """Returns a number that is larger the worse a result is on validation; not finite where it has no value."""
    value = None if result is None or result.failed_at is not None else result.value(objective.metric, "validation")
    return math.inf if value is None else -value if objective.better == "higher" else value
