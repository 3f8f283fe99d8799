"""Pretrains a stack of dense layers greedily, layer by layer: by autoencoders, denoising ones, or RBMs.

    >>> parts = pretrain.layers(experiment, [layer] * 4, dataset)
    >>> trained = fit(experiment, dataset=dataset, params=pretrain.unroll(experiment, dataset, parts))

Each layer is an experiment of its own on the codes of the one before, whatever its model and loss:
an `Autoencoder` or a `TiedAutoencoder`, with a corruption, or with `rbm()`'s contrastive divergence.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from aejax import devices
from aejax.core import Examples, InputError, as_arrays
from aejax.data import Data, Dataset
from aejax.evaluation import finish
from aejax.experiment import Experiment
from aejax.losses import Bernoulli, ContrastiveDivergence, FreeEnergy, Loss, Reconstruction
from aejax.models import Autoencoder, Latent, ParamPath, Plain, parameters_at, traits
from aejax.trained import Trained
from aejax.training.loop import train


def rbm(steps: int = 1) -> Loss:
    """Makes the loss of an RBM: contrastive divergence; free energy and reconstruction error are logged only.

    `steps` is the number of Gibbs steps: 1 is the CD-1 of Hinton & Salakhutdinov 2006. The loss goes with a
    `TiedAutoencoder` without hidden layers.
    """
    terms = {
        "contrastive_divergence": ContrastiveDivergence(steps=steps),
        "free_energy": FreeEnergy(monitored=True),
        "reconstruction": Reconstruction(monitored=True),
    }
    return Loss(Bernoulli(), terms)


def layers(
    experiment: Experiment, recipes: Sequence[Experiment], dataset: Dataset, folder: str | Path | None = None
) -> list[Trained]:
    """Trains the encoder's dense layers one by one, each on the codes of all before it.

    Args:
        experiment: the one whose model is to be pretrained; of it only the model and the data are used.
        recipes: how each layer is trained, from the data upwards: loss, optimiser, epochs, and a model
            without hidden layers; its code's size and activation are taken from the stack.
        dataset: the data, as `experiment.data` names it.
        folder: where each layer's run directory is made, as `folder/NAME-layer-1/ID`; None: nothing is written.

    Raises:
        InputError: for a model that is no stack of dense layers, or another number of recipes.
    """
    stack = _stack(experiment.model)
    if len(recipes) != len(stack):
        raise InputError(f"the encoder has {len(stack)} dense layers, but {len(recipes)} recipes came: give one each")
    trained: list[Trained] = []
    for recipe, latent in zip(recipes, stack, strict=True):
        data = Data(f"codes of {len(trained)} layers") if trained else experiment.data
        name = f"{experiment.name}-layer-{len(trained) + 1}"
        layer = dataclasses.replace(recipe, data=data, model=recipe.model.clone(latent=latent), name=name)
        trained.append(train(layer, dataset, folder=folder))
        if folder is not None:
            finish(trained[-1], dataset, shown=False)
        dataset = encoded(trained[-1], dataset)
    return trained


def encoded(trained: Trained, dataset: Dataset) -> Dataset:
    """Encodes all parts of a data set: returns the data set of their codes, with the same labels."""
    parts = (dataset.train, dataset.validation, dataset.test)
    size = trained.experiment.model.latent.size
    codes = [trained.encode(part.x) if len(part) else np.zeros((0, size), np.float32) for part in parts]
    train, validation, test = (Examples(code, part.label) for code, part in zip(codes, parts, strict=True))
    return Dataset(dataset.name, train, validation, test, dataset.classes)


def unroll(experiment: Experiment, dataset: Dataset, parts: Sequence[Trained]) -> dict[str, Any]:
    """Puts pretrained layers together to the parameters of the whole model, for `fit(..., params=...)`.

    Every layer goes to its place in the encoder and in the decoder. The decoder's kernels are the layers' own, or
    the transposed kernels of the encoder where a layer was tied. Parameters that pretraining does not have, as
    those of normalisation, are freshly initialised.

    Args:
        experiment: the experiment of the whole model.
        dataset: its data.
        parts: the trained layers, as `layers` returns them.
    """
    fresh = flatten_dict(_fresh(experiment.resolve(dataset), dataset))
    model = experiment.model
    for part, into, out_of in zip(parts, model.up, reversed(model.down), strict=True):
        own = part.experiment.model
        code, back = (parameters_at(part.used.params, paths[-1]) for paths in (own.up, own.down))
        placed = _at(into, code) | _at(out_of, {"kernel": code["kernel"].T} | back)
        fresh |= {path: leaf for path, leaf in placed.items() if path in fresh}
    return unflatten_dict(fresh)


def _fresh(experiment: Experiment, dataset: Dataset) -> dict[str, Any]:
    loss, optimizer = as_arrays((experiment.loss, experiment.optimizer))
    batch = experiment.model.blank(dataset.shape)
    return devices.init(experiment.model, loss, optimizer, batch, jax.random.key(experiment.seed)).params


def _at(path: ParamPath, leaves: dict[str, jax.Array]) -> dict[ParamPath, jax.Array]:
    return {(*path, name): leaf for name, leaf in leaves.items()}


def _stack(model: Autoencoder) -> list[Latent]:
    """Returns the encoder's dense layers, from the data upwards, each as the code of a model of its own.

    Raises `InputError` for a model that is no stack of dense layers.
    """
    encoder, latent, decoder = model.encoder, model.latent, model.decoder
    if not {traits.DENSE_STACK, traits.DENSE_LAYER} <= {*model.meets}:
        raise InputError(
            "only a stack of dense layers can be pretrained: an MLPEncoder that is not gated and a Plain latent"
        )
    hidden = getattr(decoder, "hidden", encoder.hidden[::-1])  # one that is tied has the encoder's
    if hidden != encoder.hidden[::-1] or len(model.down) != len(model.up):
        raise InputError(
            f"the hidden layers of {type(decoder).__name__} are {hidden}, but must be the encoder's backwards to be "
            f"pretrained: {encoder.hidden[::-1]}"
        )
    return [*(Plain(size, encoder.activation) for size in encoder.hidden), latent]
