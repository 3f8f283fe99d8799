"""Makes a trained model, with a run directory, of a dictionary's plain weights."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aejax import core
from aejax.core import as_arrays
from aejax.data import ARRAYS, Data, Scale
from aejax.experiment import Experiment
from aejax.losses import L0, Gaussian, Loss, Reconstruction
from aejax.models import Dictionary, ExactTopK, JumpReLU, Rectified, UnitNormDecoder, Units
from aejax.runs import Run
from aejax.trained.frozen import FrozenDictionary
from aejax.trained.trained import Trained


def thaw(frozen: FrozenDictionary, name: str = "dictionary") -> Trained:
    """Returns a trained model that does what plain weights do, with rows of length 1.

    Its units are `ExactTopK` where k are kept, `JumpReLU` where there are thresholds, and else `Rectified`.

    Args:
        frozen: the plain weights, in the units of the data.
        name: the experiment's name.
    """
    (values, units), out = frozen.kernel.shape, frozen.rows.shape[1]
    latent: Units = Rectified(units)
    own: dict[str, Any] = {"code": {"kernel": frozen.kernel, "bias": frozen.bias}}
    if frozen.k is not None:
        latent = ExactTopK(units, frozen.k)
    elif np.any(np.asarray(frozen.threshold) > 0):
        latent = JumpReLU(units)
        own |= {"threshold": frozen.threshold}
    subtract = not frozen.transcodes
    if subtract:
        own["code"]["bias"] = frozen.bias + frozen.offset @ frozen.kernel
    model = Dictionary(
        latent=latent,
        decoder=UnitNormDecoder(start="mean", renormalise=True, skip=frozen.skip is not None),
        shape=() if out == values else (out,),
        subtract=subtract,
        tied_start=subtract,
    )
    loss = Loss(Gaussian(), {"reconstruction": Reconstruction(), "l0": L0(monitored=True)})
    experiment = Experiment(model, loss, Data(ARRAYS), name=name, steps=1)
    resolved = experiment.resolve_for((values,), 1)
    decoder = {"out": {"kernel": frozen.rows, "bias": frozen.offset}}
    params = {"latent": own, "decoder": decoder | ({} if frozen.skip is None else {"skip": {"kernel": frozen.skip}})}
    settings = as_arrays((resolved.loss, resolved.optimizer))
    state = jax.jit(core.init, static_argnums=0)(
        resolved.model, *settings, resolved.model.blank((values,)), jax.random.key(0)
    )
    params = jax.tree.map(lambda own, like: jnp.asarray(own, like.dtype), params, state.params)
    return Trained(resolved, (values,), Scale(), dataclasses.replace(state, params=params))


def keep(trained: Trained, folder: Path, origin: str) -> Run:
    """Writes a trained model that has no run directory as a new one below a folder, which is returned.

    Args:
        trained: the model.
        folder: where the run's folder is made, as `folder/NAME/ID`.
        origin: where the model comes from, which its provenance says.
    """
    run = Run.create(folder, trained.experiment, trained.shape, 1, data=trained.data, origin={"imported": origin})
    with run.writing():
        run.checkpoints.save(0, {"state": trained.state, "preprocess": as_arrays(trained.preprocess)}, 1, None)
    return run
