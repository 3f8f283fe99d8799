"""Names registered experiments that stand for all: one for each way in which their models compute."""

import dataclasses

from flax import linen as nn

import aejax
from aejax.experiment.zoo import ENTRIES
from aejax.models import traits

_SAME = ("size", "hidden", "k", "classes", "shape", "start", "renormalise", "prior")
"""Fields by which models differ in the sizes of arrays, in how they are trained, or in nothing that encoder and decoder
compute."""

_OPERATIONS = ("activation", "scale")
"""Fields by which models differ in one operation for another."""


def _computes(value, like):
    """A value by its class and, of a module, by the fields that say what it computes, but for those like each other."""
    if not isinstance(value, nn.Module):
        return value if isinstance(value, str | bool | type(None)) else type(value)
    fields = [field.name for field in dataclasses.fields(value) if field.name not in ("parent", "name", *like)]
    return type(value), tuple((name, _computes(getattr(value, name), like)) for name in fields)


def _kind(name, like):
    experiment = aejax.get(name)
    loss, preprocess = experiment.loss, experiment.data.preprocess
    return repr((_computes(experiment.model, like), type(loss.likelihood), type(preprocess)))


def _one_of_each(like):
    names = list({_kind(name, like): name for name in reversed(ENTRIES)}.values())[::-1]
    return [
        name for name in names if traits.READS_INPUT not in aejax.get(name).model.meets
    ]  # whose codes do not decode


KINDS = _one_of_each((*_SAME, *_OPERATIONS))
KINDS_BY_OPERATIONS = _one_of_each(_SAME)


def shape_of(name):
    """The shape of one example of the data that a registered experiment trains on."""
    shapes = {"wbc": (30,), "synthetic-dictionary": (64,), "sprites": (32, 32, 1), "synthetic-counts": (100,)}
    shapes["tfds:cifar10"] = (32, 32, 3)
    return shapes.get(aejax.get(name).data.name, (28, 28, 1))


def small(name):
    """A registered experiment with hidden layers of 12 units, residual blocks of 4 channels, layers of a
    hierarchy of 2, and of planar flow one step of 20: less of the same."""
    experiment = aejax.get(name)
    model = experiment.model
    parts = {part: getattr(model, part) for part in ("encoder", "decoder")}
    changed = {
        part: module.clone(hidden=(12,) * len(module.hidden))
        for part, module in parts.items()
        if hasattr(module, "hidden")
    }
    for part, module in parts.items():
        if hasattr(module, "blocks"):
            changed[part] = module.clone(channels=(4,) * len(module.channels))
    if traits.TOP_DOWN in model.meets:
        changed["latent"] = model.latent.clone(channels=(2,) * len(model.latent.channels))
    if hasattr(model.latent, "steps"):
        changed["latent"] = model.latent.clone(size=20, steps=1)
    return dataclasses.replace(experiment, model=model.clone(**changed))
