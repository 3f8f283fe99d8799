"""An experiment is a value: a frozen dataclass that says all there is to say about a run, and its JSON form."""

import dataclasses
import functools
import json
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aejax.choices import kebab
from aejax.data import Data, Dataset
from aejax.data.stored import chunks
from aejax.errors import InputError
from aejax.losses import Levels, Loss, unmet
from aejax.models import Autoencoder, ConditionalAutoencoder, VampPrior
from aejax.optim import Adam, Optimizer
from aejax.pytree import known, known_class, positive


@known
@dataclass(frozen=True)
class Expected:
    """The published figure that an experiment reproduces."""

    metric: str
    """A key of the run's test metrics."""
    value: float
    """The published number."""
    tolerance: float = 0.0
    """By how much the measured number may be worse."""
    source: str = ""
    """Where it was published, and the protocol where ours differs."""
    tag: Literal["C", "V", "R", "M"] = "V"
    """C computed exactly, V read in the source, R quoted by another, M from memory and unverified."""
    higher_is_better: bool = False

    def met_by(self, measured: float) -> bool:
        """Whether the measured number is as good, within the tolerance."""
        worse = self.value - measured if self.higher_is_better else measured - self.value
        return worse <= self.tolerance


@known
@dataclass(frozen=True)
class Experiment:
    """What is trained, on what, how, and what it should achieve. `dataclasses.replace` makes a variant."""

    model: Autoencoder
    loss: Loss
    data: Data
    optimizer: Optimizer = field(default_factory=Adam)
    batch_size: int = positive(default=256)
    """Examples a step."""
    epochs: int = positive(default=50)
    """Passes over the training part."""
    seed: int = 0
    """Of everything random: weights, order, noise."""
    name: str = "unnamed"
    """Its name in the registry, and of its folder under runs."""
    expected: Expected | None = None
    """The published figure it reproduces."""

    def resolve(self, dataset: Dataset) -> "Experiment":
        """Checks every setting against the data, and fills in what only the data can say.

        Raises `InputError` for anything that cannot be trained.
        """
        _check_positive(self)
        if not -(2**63) <= self.seed < 2**63:
            raise InputError(f"seed is {self.seed}, but it must fit in 64 bits: choose a smaller one")
        if self.batch_size > len(dataset.train):
            raise InputError(
                f"batch_size is {self.batch_size}, but the training part of {dataset.name} has only "
                f"{len(dataset.train)} examples: choose a batch of at most that many"
            )
        self._check_support(dataset)
        self._check_labels(dataset)
        self._check_levels(dataset)
        self._check_terms()
        shape = self.loss.likelihood.raw_shape(dataset.shape)
        if self.model.shape not in ((), shape):
            raise InputError(
                f"model.shape is {self.model.shape}, but the examples of {dataset.name} need {shape}: "
                "leave it out, and it is taken from the data"
            )
        return self.filled(dataset.shape, len(dataset.train) // self.batch_size)

    def filled(self, shape: tuple[int, ...], steps_per_epoch: int) -> "Experiment":
        """With what only the data can say, from the shape of its examples and the steps that an epoch makes."""
        horizon = self.optimizer.horizon or float(self.epochs * steps_per_epoch)
        return dataclasses.replace(
            self,
            model=self.model.for_data(shape, self.loss.likelihood.raw_shape(shape)),
            loss=self.loss.for_data(steps_per_epoch * self.batch_size),
            optimizer=dataclasses.replace(self.optimizer, horizon=horizon),
        )

    def _check_terms(self) -> None:
        for need in unmet(self.model, self.loss):
            names = [kebab(term.__name__) for term in need.terms]
            raise InputError(
                f"{need.part} needs a term of the loss, {' or '.join(names)}, without which {need.otherwise}: "
                f"add it (--loss.terms.{names[0]} {names[0]})"
            )

    def _check_labels(self, dataset: Dataset) -> None:
        if not isinstance(self.model, ConditionalAutoencoder):
            return
        if isinstance(self.model.prior, VampPrior):
            raise InputError(
                "VampPrior's pseudo-inputs have no label, which a conditional model needs: use another prior"
            )
        for part in (part for part in (dataset.train, dataset.validation, dataset.test) if len(part)):
            if part.label is None:
                raise InputError(
                    f"{dataset.name} has no labels, which a conditional model needs: use data that has them"
                )
            if part.label.min() < 0 or part.label.max() >= self.model.classes:
                raise InputError(
                    f"the labels of {dataset.name} run from {part.label.min()} to {part.label.max()}, but "
                    f"model.classes is {self.model.classes}: they must be from 0 to one less than that"
                )

    def _check_support(self, dataset: Dataset) -> None:
        low, high = self.loss.likelihood.support
        if low == -math.inf and high == math.inf:
            return
        needs = f"{type(self.loss.likelihood).__name__} needs values in [{low:g}, {high:g}]"
        if not self.data.preprocess.bounded:
            preprocess = type(self.data.preprocess).__name__
            raise InputError(f"{needs}, which {preprocess} does not give: use --loss.likelihood gaussian")
        for values in (part.x for part in (dataset.train, dataset.validation, dataset.test) if len(part)):
            if values.dtype != "uint8" and not (low <= values.min() and values.max() <= high):
                raise InputError(
                    f"{needs}, but those of {dataset.name} run from {values.min():g} to {values.max():g}: scale the "
                    "data, or use --loss.likelihood gaussian"
                )

    def _check_levels(self, dataset: Dataset) -> None:
        likelihood, preprocess = self.loss.likelihood, self.data.preprocess
        if not isinstance(likelihood, Levels):
            return
        name, steps = type(likelihood).__name__, likelihood.levels - 1
        if steps < 1:
            raise InputError(f"{name}.levels is {likelihood.levels}: give at least 2")
        for part in (part for part in (dataset.train, dataset.validation, dataset.test) if len(part)):
            values = functools.reduce(np.union1d, map(np.unique, chunks(part.x)))
            seen = np.asarray(preprocess(preprocess.place(jnp.asarray(values)[:, None]), jax.random.key(0)))
            off = abs(seen * steps - np.round(seen * steps))
            if off.max() > 0.01:
                raise InputError(
                    f"{name} of {likelihood.levels} levels needs whole multiples of 1/{steps}, but {dataset.name} has "
                    f"{seen.flat[off.argmax()]:g}: give it the data's levels, or use --loss.likelihood gaussian"
                )


def _check_positive(value: Any, path: str = "") -> None:
    """Raises `InputError` for a field that is marked `positive` and is not, anywhere in a tree of settings."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_positive(item, f"{path}{name}.")
    if not dataclasses.is_dataclass(value):
        return
    for item in dataclasses.fields(value):
        number = getattr(value, item.name, None)
        if item.metadata.get("positive") and number is not None and not 0 < number < math.inf:
            raise InputError(f"{path}{item.name} is {number}, but it must be above zero and finite")
        _check_positive(number, f"{path}{item.name}.")


def to_json(value: Any) -> Any:
    """The JSON form of an experiment or any part of it: classes by registered name, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {name: to_json(getattr(value, name)) for name in _field_names(type(value))}
        return {"class": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    return value


def from_json(value: Any) -> Any:
    """The inverse of `to_json`. Restores registered classes only and imports nothing.

    Raises `InputError` for an unknown class, an unknown or missing field, or a field of the wrong type.
    """
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    # Settings may be named anything, "class" too: theirs is a dictionary, a class's name is not.
    if isinstance(value.get("class", {}), dict):
        return {name: from_json(item) for name, item in value.items()}
    fields = {name: from_json(item) for name, item in value.items() if name != "class"}
    cls = known_class(value["class"])
    types_ = typing.get_type_hints(cls)
    for name, item in fields.items():
        if name not in _field_names(cls):
            raise InputError(f"{cls.__name__} has no field {name!r}: its fields are {', '.join(_field_names(cls))}")
        if not _fits(item, types_[name]):
            came = type(item).__name__ if dataclasses.is_dataclass(item) else repr(item)
            raise InputError(f"{cls.__name__}.{name} is {came}, but it must be {_describe(types_[name])}")
    try:
        return cls(**fields)
    except TypeError as error:
        raise InputError(f"{cls.__name__} cannot be made from its JSON form: {error}") from None


def dumps(experiment: Experiment) -> str:
    """An experiment as JSON text; equal experiments give equal text."""
    return json.dumps(to_json(experiment), indent=2)


def differences(old: Experiment, new: Experiment) -> dict[str, tuple[Any, Any]]:
    """The settings in which two experiments differ, by path, as (old, new); what they expect is not a setting."""
    before, after = (_flatten(to_json(dataclasses.replace(item, expected=None))) for item in (old, new))
    paths = list(dict.fromkeys([*before, *after]))
    return {path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {
        name: leaf
        for key, item in value.items()
        for name, leaf in _flatten(item, f"{path}.{key}" if path else key).items()
    }


def _field_names(cls: type) -> list[str]:
    # A Linen module's `parent` and `name` say where it is mounted, not what it is.
    skip = ("parent", "name") if issubclass(cls, nn.Module) else ()
    return [item.name for item in dataclasses.fields(cls) if item.init and item.name not in skip]


def _fits(value: Any, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is None or not isinstance(annotation, type):
        return value is None
    return isinstance(value, annotation)


def _describe(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
