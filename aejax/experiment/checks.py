"""Checks an experiment's settings against each other and against its data, before any work is done."""

import dataclasses
import functools
import logging
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from aejax import core
from aejax.core import Examples, InputError, kebab
from aejax.data import Dataset, chunks
from aejax.experiment import registry
from aejax.models import require, traits

if TYPE_CHECKING:
    from aejax.experiment.experiment import Experiment


_log = logging.getLogger("aejax")


@functools.cache
def _warn_of_epochs(name: str, epochs: int, steps: int) -> None:
    """Says once that a number of epochs was given where the number of steps decides."""
    _log.warning("%s counts steps, %s of them: epochs=%d changes nothing, give steps", name, f"{steps:,}", epochs)


@functools.cache
def _warn_of_binary_colours(data: str, preprocess: str) -> None:
    """Says once that what a preprocessing makes of colours is no longer colour."""
    _log.warning(
        "%s holds images in colour, of which %s makes each value 0 or 1: for their colours, train vae-photos, or give "
        "--data.preprocess scale",
        data,
        preprocess,
    )


def check(experiment: "Experiment", dataset: Dataset) -> None:
    """Checks that an experiment can be trained on a data set. Raises `InputError` for the first thing that prevents it.

    `dataset` is the experiment's data as loaded, before preprocessing.
    """
    _check_positive(experiment)
    _check_seed(experiment)
    _check_images(experiment, dataset)
    if experiment.steps is not None and "epochs" in (registry.changes(experiment) or {}):
        _warn_of_epochs(experiment.name, experiment.epochs, experiment.steps)
    shapes = (_check_shape, _check_targets)
    for against_data in (
        _check_batch,
        _check_norm,
        _check_critic,
        _check_counts,
        _check_support,
        _check_labels,
        _check_probes,
        _check_levels,
        *shapes,
    ):
        against_data(experiment, dataset)
    _check_needs(experiment)
    if experiment.data.preprocess.binary and tuple(dataset.shape[2:]) == (3,):
        _warn_of_binary_colours(dataset.name, kebab(type(experiment.data.preprocess).__name__))


def check_optimizer(resolved: "Experiment", shape: tuple[int, ...]) -> None:
    """Raises `InputError` where a learning rate or an optimiser of its own is for parameters that a model has not.

    Args:
        resolved: the resolved experiment.
        shape: the shape of one example.
    """
    if resolved.optimizer.rates or resolved.optimizer.players:
        settings = (resolved.model, resolved.loss, resolved.optimizer, resolved.model.blank(shape))
        jax.eval_shape(lambda key: core.init(*settings, key), jax.random.key(0))


def _check_positive(value: Any, path: str = "") -> None:
    """Checks that every field marked `positive` in a tree of settings is above zero and below its bound, or None.

    `value` is a dataclass or a dictionary of them; the error message puts `path` before the field's name.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            _check_positive(item, f"{path}{name}.")
    if not dataclasses.is_dataclass(value):
        return
    for item in dataclasses.fields(value):
        number = getattr(value, item.name, None)
        below = item.metadata.get("below", math.inf)
        if item.metadata.get("positive") and number is not None and not 0 < number < below:
            bound = "finite" if below == math.inf else f"below {below:g}"
            raise InputError(f"{path}{item.name} is {number}, but it must be above zero and {bound}")
        _check_positive(number, f"{path}{item.name}.")


def _check_seed(experiment: "Experiment") -> None:
    if not -(2**63) <= experiment.seed < 2**63:
        raise InputError(f"seed is {experiment.seed}, but it must fit in 64 bits: choose a smaller one")


def _check_images(experiment: "Experiment", dataset: Dataset) -> None:
    """Checks that data are images where the model takes, or makes, nothing else: before all that is of their values."""
    given = dataset.train.x if dataset.train.y is None else dataset.train.y
    model, other = experiment.model, "choose an experiment for rows, as ae-tabular (`aejax list` shows all)"
    dense = "give the critic --model.critic.encoder mlp-encoder --model.critic.encoder.hidden 256"
    parts = ((model.encoder, dataset.train.x, other), (model.decoder, given, other), (model.critic, given, dense))
    for part, values, remedy in parts:
        needing = [block for block in core.parts_within(part) if getattr(block, "of_images", False)]
        if needing and values.ndim < 4:
            raise InputError(
                f"{dataset.name} holds rows of {values.shape[1]:,} numbers, but {type(needing[0]).__name__} needs "
                f"images: {remedy}, or give images"
            )


def _check_needs(experiment: "Experiment") -> None:
    model, loss = experiment.model, experiment.loss
    detectors = () if experiment.detector is None else (experiment.detector,)
    for part in (*model.parts, loss.relaxation, *loss.terms.values(), *detectors):
        require(part, model, loss)


def _check_batch(experiment: "Experiment", dataset: Dataset) -> None:
    if experiment.batch_size > len(dataset.train):
        raise InputError(
            f"batch_size is {experiment.batch_size}, but the training part of {dataset.name} has only "
            f"{len(dataset.train)} examples: choose a batch of at most that many"
        )


def _check_norm(experiment: "Experiment", dataset: Dataset) -> None:
    if experiment.batch_size > 1:
        return
    for part in filter(_over_the_batch, core.parts_within(experiment.model)):
        raise InputError(
            f"batch_size is 1, but {type(part).__name__} normalises each batch by its own mean and variance, which "
            "of one example leave nothing: choose larger batches, or norm layer"
        )


def _check_critic(experiment: "Experiment", dataset: Dataset) -> None:
    """Checks that a critic of examples has features of its own, and no part statistics of examples of several kinds."""
    critic = experiment.model.critic
    if traits.EXAMPLE_CRITIC not in critic.meets:
        return
    for part in core.parts_within(critic):
        if traits.NO_LAYERS in getattr(part, "meets", ()):
            raise InputError(
                f"{type(part).__name__} of the critic has no layers, so that its features would be the values "
                "themselves: give it some (--model.critic.encoder.hidden 256)"
            )
        if _over_the_batch(part) or getattr(part, "dropout", 0.0) != 0:
            raise InputError(
                f"{type(part).__name__} of the critic has norm batch or dropout, but a critic is called as outside "
                "training, where neither does anything: use norm none or layer, and dropout 0"
            )
    for part in filter(_over_the_batch, core.parts_within(experiment.model.decoder)):
        raise InputError(
            f"{type(part).__name__} normalises over the batch, but for a critic of examples it decodes draws of "
            "the prior too, whose statistics are others: use norm none or layer"
        )


def _over_the_batch(part: Any) -> bool:
    """Tells whether a part of a model normalises over the batch."""
    return getattr(part, "norm", "none") == "batch"


def _check_counts(experiment: "Experiment", dataset: Dataset) -> None:
    """Checks that data are counts where the likelihood or the preprocessing takes them as such."""
    likelihood, preprocess = experiment.loss.likelihood, experiment.data.preprocess
    if not (likelihood.counts or preprocess.counts):
        return
    needs = f"{type(likelihood if likelihood.counts else preprocess).__name__} needs counts, whole numbers from 0 on"
    if not preprocess.counts:
        raise InputError(f"{needs}, as they are: give --data.preprocess counts in place of {type(preprocess).__name__}")
    for part in _parts(dataset):
        seen = 0
        for few in chunks(part.x if part.y is None else part.y):
            if few.dtype == np.uint8:
                raise InputError(f"{needs}, but {dataset.name} keeps uint8, grey levels: pack it again from int32")
            bad = (few < 0) | (few != np.rint(few))
            if bad.any():
                row, *place = np.argwhere(bad)[0].tolist()
                raise InputError(
                    f"{needs}, but {dataset.name} has {few[(row, *place)]:g} in example {seen + row}: give counts as "
                    "they were counted (in .h5ad maybe a layer: --data.array NAME), or use --loss.likelihood gaussian "
                    "and --data.preprocess standardise"
                )
            seen += len(few)


def _check_support(experiment: "Experiment", dataset: Dataset) -> None:
    """Checks that the data lie where the likelihood, the preprocessing and the prior have a meaning."""
    likelihood, preprocess, prior = experiment.loss.likelihood, experiment.data.preprocess, experiment.model.prior
    domains = [
        (preprocess, preprocess.domain, "--data.preprocess scale"),
        (likelihood, likelihood.support, "--loss.likelihood gaussian"),
        (prior, (-math.inf, math.inf) if prior is None else prior.domain, "--model.prior mixture-prior"),
    ]
    for part, (low, high), otherwise in domains:
        if low == -math.inf and high == math.inf:
            continue
        needs = f"{type(part).__name__} needs values in [{low:g}, {high:g}]"
        if not preprocess.bounded:
            raise InputError(f"{needs}, which {type(preprocess).__name__} does not give: use {otherwise}")
        for values in (part.x for part in _parts(dataset)):
            if values.dtype != "uint8" and not (low <= values.min() and values.max() <= high):
                raise InputError(
                    f"{needs}, but those of {dataset.name} run from {values.min():g} to {values.max():g}: "
                    f"{_way_to_scale(values)}, or use {otherwise}"
                )


def _way_to_scale(values: Any) -> str:
    """Says how values of a part are brought into [0, 1]: those that look like grey levels need but their type."""
    if values.min() >= 0 and values.max() <= 255 and all((few == np.rint(few)).all() for few in chunks(values)):
        return "save grey levels as uint8, which are divided by 255"
    return "scale the data"


def _check_labels(experiment: "Experiment", dataset: Dataset) -> None:
    model = experiment.model
    if not model.classes:
        return
    for part in _parts(dataset):
        if part.label is None:
            raise InputError(f"{dataset.name} has no labels, which a conditional model needs: use data that has them")
        if part.label.min() < 0 or part.label.max() >= model.classes:
            raise InputError(
                f"the labels of {dataset.name} run from {part.label.min()} to {part.label.max()}, but "
                f"model.classes is {model.classes}: they must be from 0 to one less than that"
            )
    seen = np.unique(np.asarray(dataset.train.label))
    if len(seen) < model.classes:
        _log.warning(
            "model.classes is %d, but the training part of %s has %d classes (%s): the others are never trained, give "
            "--model.classes %d",
            model.classes,
            dataset.name,
            len(seen),
            ", ".join(map(str, seen[:10])) + (", ..." if len(seen) > 10 else ""),
            seen.max() + 1,
        )


def _check_probes(experiment: "Experiment", dataset: Dataset) -> None:
    """Checks that there are classes which the probes can learn."""
    if experiment.probes:
        class_labels(dataset)


def class_labels(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels of train and of test. Raises `InputError` where they are missing or are no classes."""
    if dataset.train.label is None or dataset.test.label is None:
        raise InputError(f"{dataset.name} has no labels, which a probe needs: use a data set that has them")
    train, test = np.asarray(dataset.train.label), np.asarray(dataset.test.label)
    if len(np.unique(train)) < 2:
        raise InputError(
            f"all {len(train)} training examples of {dataset.name} have one label: a probe needs two classes or more"
        )
    if not np.isin(test, train).any():
        raise InputError(
            f"no label of {dataset.name}'s test part occurs in its train part, so that nothing can be learned from "
            "them: a probe needs data whose labels are classes"
        )
    return train, test


def _check_levels(experiment: "Experiment", dataset: Dataset) -> None:
    likelihood, preprocess = experiment.loss.likelihood, experiment.data.preprocess
    if likelihood.levels is None:
        return
    name, steps = type(likelihood).__name__, likelihood.levels - 1
    if steps < 1:
        raise InputError(f"{name}.levels is {likelihood.levels}: give at least 2")
    for part in _parts(dataset):
        values = functools.reduce(np.union1d, map(np.unique, chunks(part.x)))
        seen = np.asarray(preprocess(preprocess.place(jnp.asarray(values)[:, None]), jax.random.key(0)))
        off = abs(seen * steps - np.round(seen * steps))
        if off.max() > 0.01:
            raise InputError(
                f"{name} of {likelihood.levels} levels needs whole multiples of 1/{steps}, but {dataset.name} has "
                f"{seen.flat[off.argmax()]:g}: give it the data's levels, or use --loss.likelihood gaussian"
            )


def _check_shape(experiment: "Experiment", dataset: Dataset) -> None:
    train = dataset.train
    target = tuple((train.x if train.y is None else train.y).shape[1:])
    shape = experiment.loss.likelihood.raw_shape(target)
    if target != tuple(dataset.shape) and experiment.model.shape == ():
        raise InputError(
            f"{dataset.name} has targets of shape {target} for examples of shape {tuple(dataset.shape)}: give "
            f"--model.shape {' '.join(map(str, shape))} to a model that decodes other values than it encodes"
        )
    if experiment.model.shape not in ((), shape):
        raise InputError(
            f"model.shape is {experiment.model.shape}, but the examples of {dataset.name} need {shape}: "
            "leave it out, and it is taken from the data"
        )


def _check_targets(experiment: "Experiment", dataset: Dataset) -> None:
    """Checks that targets of their own, which nothing preprocesses, are in the units of the model's output."""
    preprocess = experiment.data.preprocess
    if dataset.train.y is not None and preprocess.converts:
        raise InputError(
            f"{dataset.name} has targets y, which are used as they are, but {type(preprocess).__name__} would turn the "
            "model's output into the units of x: scale x and y in the file, and give --data.preprocess scale"
        )


def _parts(dataset: Dataset) -> Iterator[Examples]:
    return (part for part in (dataset.train, dataset.validation, dataset.test) if len(part))
