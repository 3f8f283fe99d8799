"""Compiles training's pure functions: for one device, and by either strategy for several."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Int, Key

from aejax import core
from aejax.core import BATCH_AXIS, Batches, Examples, Metrics, Model, Optimizer, as_arrays
from aejax.data import Preprocess
from aejax.devices.parallel import Parallel
from aejax.experiment import Experiment

State = TypeVar("State", core.State, core.Members)

init = jax.jit(core.init, static_argnames="model")

epoch = jax.jit(core.epoch, static_argnames=("model", "batch_size"))

evaluate = jax.jit(core.evaluate, static_argnames=("model", "batch_size"))

outputs = jax.jit(core.outputs, static_argnames=("model", "batch_size"))


def place(part: Examples, preprocess: Preprocess) -> Examples:
    """Places a part of a data set on the device, in the form in which its preprocessing holds it."""
    placed = jax.tree.map(jnp.asarray, part.read())
    return replace(placed, x=preprocess.place(placed.x))


def states_of_epochs(
    model: Model,
    loss: core.Measure,
    optimizer: Optimizer,
    preprocess: Preprocess,
    part: Examples,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 0,
) -> Iterator[core.State]:
    """Trains a small model on one device, with no run and no data set: of codes, or for features of examples.

    Args:
        model: the model.
        loss: what is minimised, its numbers as arrays.
        optimizer: the optimiser likewise, with its horizon.
        preprocess: the preprocessing likewise, fitted.
        part: the examples.
        epochs: the number of passes over them.
        batch_size: the number of examples in a batch, at most as many as there are.
        seed: the seed of first parameters, order and noise.

    Yields:
        The state before the first epoch, and after each.
    """
    placed, key = place(part, preprocess), jax.random.key(seed)
    sample = core.priming_sample(preprocess, placed if model.primes else None, key)
    state = init(model, loss, optimizer, model.blank(part.x.shape[1:]), key, sample)
    yield state
    for _ in range(epochs):
        state, _ = epoch(model, loss, optimizer, preprocess, state, placed, key, batch_size=batch_size)
        yield state


@partial(jax.jit, static_argnames=("size", "batch_size"))
def epoch_order(
    key: Key[Array, "*members"], step: int | Int[Array, ""], size: int, batch_size: int
) -> Int[Array, "*members steps batch_size"]:
    """Draws on the device which examples make each batch of an epoch, as `core.epoch_order` does.

    Args:
        key: the key of the run, or those of several members.
        step: the step at which the epoch begins.
        size: the number of examples in the part.
        batch_size: the number of examples in a batch.

    Returns:
        The places of the examples of each batch, `[steps, batch_size]`, with an axis of members before where there
        are several keys.
    """
    draw = partial(core.epoch_order, step=step, size=size, batch_size=batch_size)
    return jax.vmap(draw)(key) if key.ndim else draw(key)


def epoch_order_on_host(seed: int, step: int, size: int, batch_size: int) -> Int[np.ndarray, "steps batch_size"]:
    """Draws the order of an epoch on the host's CPU, because the device has other work.

    Args:
        seed: the seed of the experiment.
        step: the step at which the epoch begins.
        size: the number of examples in the part.
        batch_size: the number of examples in a batch.

    Returns:
        The places of the examples of each batch, held by the host.
    """
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return np.asarray(epoch_order(jax.random.key(seed), step, size, batch_size))


@dataclass(frozen=True)
class Program:
    """Trains and evaluates states of one structure on the devices of a layout.

    A state is that of one model, or with an axis of members those of a population; the loss, the optimiser and the
    key then have this axis too.
    """

    parallel: Parallel
    """The layout, resolved."""
    model: Model
    """The model, a static Linen module."""
    loss: core.Measure
    """The loss, its numbers arrays."""
    optimizer: Optimizer
    """The optimiser, its numbers arrays."""
    preprocess: Preprocess
    """The fitted preprocessing, its numbers arrays."""
    key: Key[Array, "*members"]
    """The key of the experiment's seed."""

    @classmethod
    def of(cls, experiment: Experiment, preprocess: Preprocess, parallel: Parallel) -> "Program":
        """Returns the program of one experiment.

        Args:
            experiment: the experiment, resolved.
            preprocess: its fitted preprocessing.
            parallel: the layout, resolved.
        """
        loss, optimizer, fitted = as_arrays((experiment.loss, experiment.optimizer, preprocess))
        return cls(parallel, experiment.model, loss, optimizer, fitted, jax.random.key(experiment.seed))

    def init(self, shape: tuple[int, ...], sample: Examples | None = None) -> Any:
        """Creates the state before the first step, each array where the layout has it.

        Args:
            shape: the shape of one example.
            sample: training examples, as stored, on which the model is primed; None: it is not.
        """
        return _init(*self._fresh(shape), sample)

    def shapes(self, shape: tuple[int, ...]) -> Any:
        """Returns the shapes of the state for examples of `shape`, each with its layout."""
        fresh = _init.eval_shape(*self._fresh(shape))
        layout = self.parallel.of_members if self.key.ndim else self.parallel.of_state
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), fresh, layout(fresh)
        )

    def train(self, state: State, batches: Batches) -> tuple[State, Metrics]:
        """Dispatches the steps of some batches. It takes the memory of the state before them.

        Returns the next state, and metrics with an axis of steps (after that of members).
        """
        return _train(*self._training, state, batches, self.key)

    def evaluate(self, state: Any, part: Examples, batch_size: int, **place: Any) -> Metrics:
        """Measures the loss and its terms on examples.

        Args:
            state: the state that is measured.
            part: the examples, or a chunk of whole batches of them.
            batch_size: the number of examples in a batch.
            place: for a chunk, `first` and `size` of `core.outputs`.

        Returns:
            Metrics with an axis of batches (after that of members).
        """
        settings = (self.parallel, self.model, self.loss, self.optimizer, self.preprocess)
        return _evaluate(*settings, state, part, self.key, batch_size=batch_size, **place)

    def memory(self, shape: tuple[int, ...], batches: Batches, part: Examples | None, batch_size: int) -> int:
        """Compiles what training runs, and returns the most bytes that a program takes beside its examples.

        Args:
            shape: the shape of one example.
            batches: batches to train on; shapes are enough.
            part: examples to evaluate on; None: there are none.
            batch_size: the number of examples in a batch of evaluation.
        """
        _init.lower(*self._fresh(shape)).compile()
        state = self.shapes(shape)
        lowered = [(_train.lower(*self._training, state, batches, self.key), batches.examples)]
        if part is not None:
            settings = (self.parallel, self.model, self.loss, self.optimizer, self.preprocess)
            lowered.append((_evaluate.lower(*settings, state, part, self.key, batch_size=batch_size), part))
        return max(_bytes(program.compile().memory_analysis()) - core.nbytes(examples) for program, examples in lowered)

    @property
    def _training(self) -> tuple[Any, ...]:
        return self.parallel, self.model, self.loss, self.optimizer, self.preprocess

    def _fresh(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        return *self._training, self.model.blank(shape), self.key


@partial(jax.jit, static_argnames=("parallel", "model"))
def _init(
    parallel: Parallel,
    model: Model,
    loss: core.Measure,
    optimizer: Optimizer,
    preprocess: Preprocess,
    batch: Examples,
    key: Key[Array, "*members"],
    sample: Examples | None = None,
) -> Any:
    if key.ndim:
        members = core.init_members(model, loss, optimizer, batch, key, preprocess, sample)
        return jax.lax.with_sharding_constraint(members, parallel.of_members(members))
    state = core.init(model, loss, optimizer, batch, key, core.priming_sample(preprocess, sample, key))
    return jax.lax.with_sharding_constraint(state, parallel.of_state(state))


@partial(jax.jit, static_argnames=("parallel", "model"), donate_argnames="state")
def _train(
    parallel: Parallel,
    model: Model,
    loss: core.Measure,
    optimizer: Optimizer,
    preprocess: Preprocess,
    state: Any,
    batches: Batches,
    key: Key[Array, "*members"],
) -> tuple[Any, Metrics]:
    if key.ndim:
        trained = core.train_members(model, loss, optimizer, preprocess, state, batches, key)
        return jax.lax.with_sharding_constraint(trained, parallel.of_members(trained))
    if parallel.strategy == "pmap":
        return _mapped(parallel, model)(loss, optimizer, preprocess, state, batches, key)

    def advance(state: core.State, batch: Examples, key: Key[Array, ""]) -> tuple[core.State, Metrics]:
        return core.step(model, loss, optimizer, state, parallel.divided(batch), key)

    state, metrics = core.scan_batches(advance, preprocess, state, batches, key)
    return jax.lax.with_sharding_constraint((state, metrics), (parallel.of_state(state), parallel.whole))


def _mapped(parallel: Parallel, model: Model) -> Any:
    """Returns training in which every device takes its share of each batch, with keys of its own.

    The state and the metrics are the same on all devices.
    """

    def own(
        loss: core.Measure,
        optimizer: Optimizer,
        preprocess: Preprocess,
        state: core.State,
        batches: Batches,
        key: Key[Array, ""],
    ) -> tuple[core.State, Metrics]:
        rank = jax.lax.axis_index(BATCH_AXIS)
        if batches.order is not None:  # batches without an order come divided
            shares = batches.order.reshape(len(batches), parallel.mesh.size, -1)
            batches = replace(batches, order=shares[:, rank])
        advance = partial(core.step, model, loss, optimizer, across=lambda tree: jax.lax.psum(tree, BATCH_AXIS))
        return core.scan_batches(advance, preprocess, state, batches, jax.random.fold_in(key, rank))

    def mapped(*arguments: Any) -> Any:
        batches: Batches = arguments[4]
        whole = PartitionSpec()
        divided = PartitionSpec(None, BATCH_AXIS) if batches.order is None else whole
        specs = (whole, whole, whole, whole, divided, whole)
        return jax.shard_map(own, mesh=parallel.mesh, in_specs=specs, out_specs=whole, check_vma=False)(*arguments)

    return mapped


@partial(jax.jit, static_argnames=("parallel", "model", "batch_size"))
def _evaluate(
    parallel: Parallel,
    model: Model,
    loss: core.Measure,
    optimizer: Optimizer,
    preprocess: Preprocess,
    state: Any,
    part: Examples,
    key: Key[Array, "*members"],
    batch_size: int,
    **place: Any,
) -> Metrics:
    if key.ndim:
        return core.evaluate_members(model, loss, optimizer, preprocess, state, part, key, batch_size, **place)

    def divided(model: Any, batch: Examples) -> Any:
        return loss(model, parallel.divided(batch))

    used = optimizer.averaged(state)
    metrics = core.evaluate(model, (divided,), preprocess, used, part, key, batch_size, **place)
    return jax.lax.with_sharding_constraint(metrics, parallel.whole)


def _bytes(size: Any) -> int:
    return size.argument_size_in_bytes + size.output_size_in_bytes + size.temp_size_in_bytes
