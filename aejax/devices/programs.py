"""Compiles training's pure functions: as they are for one device, and by either strategy for several."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import PartitionSpec
from jaxtyping import Array, Int, Key

from aejax import core
from aejax.core import BATCH_AXIS, Examples, Metrics, Model, Optimizer
from aejax.data import Preprocess
from aejax.devices.parallel import Parallel

Epoch = tuple[core.State, Metrics]

init = jax.jit(core.init, static_argnames="model")

epoch = jax.jit(core.epoch, static_argnames=("model", "batch_size"))

evaluate = jax.jit(core.evaluate, static_argnames=("model", "batch_size"))

outputs = jax.jit(core.outputs, static_argnames=("model", "batch_size"))

_batches = jax.jit(core.batches, static_argnames=("size", "batch_size"))


def place(part: Examples, preprocess: Preprocess) -> Examples:
    """Places a part of a data set on the device, in the form in which its preprocessing holds it."""
    placed = jax.tree.map(jnp.asarray, part.read())
    return replace(placed, x=preprocess.place(placed.x))


def shuffled(seed: int, step: int, size: int, batch_size: int) -> Int[np.ndarray, "steps batch_size"]:
    """Returns the order of examples in `core.epoch`, made on the host's CPU because the device has other work.

    Args:
        seed: the seed of the experiment.
        step: the step at which the epoch begins.
        size: the number of examples in the part.
        batch_size: the number of examples in a batch.

    Returns:
        The places of the examples of each batch, held by the host.
    """
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return np.asarray(_batches(jax.random.key(seed), np.int32(step), size=size, batch_size=batch_size))


def shared_epoch(
    parallel: Parallel,
    model: Model,
    loss: core.Measure,
    optimizer: Optimizer,
    preprocess: Preprocess,
    state: core.State,
    part: Examples,
    key: Key[Array, ""],
    batch_size: int | None,
) -> Epoch:
    """Trains for one epoch, or a chunk of one, as `core.epoch` does, on all devices of a layout together.

    Args:
        parallel: the layout, resolved.
        model: the model, a static Linen module.
        loss: the loss, its numbers arrays.
        optimizer: the optimiser, its numbers arrays.
        preprocess: the fitted preprocessing, its numbers arrays.
        state: the state before the epoch; its memory is taken for the next state.
        part: the training part; without a `batch_size` a chunk of an epoch: its next batches, as
            `Parallel.distribute` gives them out.
        key: the key of the experiment's seed.
        batch_size: the number of examples in a batch; None: `part` is a chunk.

    Returns:
        The next state, and metrics with an axis of steps.
    """
    arguments = (loss, optimizer, preprocess, state, part, key)
    if parallel.strategy == "pmap":
        # pmap leaves each host with arrays of its own, which are made global again.
        following = _mapped(parallel, model, batch_size)(_own_ranks(parallel), *arguments)
        return multihost_utils.host_local_array_to_global_array(following, parallel.mesh, PartitionSpec())
    return _divided_epoch(parallel, model, *arguments, batch_size)


@partial(jax.jit, static_argnames=("parallel", "model", "batch_size"), donate_argnames="state")
def _divided_epoch(
    parallel: Parallel,
    model: Model,
    loss: core.Measure,
    optimizer: Optimizer,
    preprocess: Preprocess,
    state: core.State,
    part: Examples,
    key: Key[Array, ""],
    batch_size: int | None,
) -> Epoch:
    """Trains by the epoch of one device as it stands, which XLA divides as its batches are divided."""

    def advance(state: core.State, batch: Examples, key: Key[Array, ""]) -> Epoch:
        return core.step(model, loss, optimizer, state, parallel.divided(batch), key)

    batches, take = _source(part, key, state.step, batch_size)
    state, metrics = core.scan_batches(advance, preprocess, state, batches, key, take)
    return jax.lax.with_sharding_constraint((state, metrics), (parallel.of_state(state), parallel.whole))


@cache
def _mapped(parallel: Parallel, model: Model, batch_size: int | None) -> Any:
    """Returns the compiled epoch in which every device trains on its share of each batch, with keys of its own.

    The state and the metrics are the same on all devices.
    """

    def own_epoch(
        rank: Int[Array, ""],
        loss: core.Measure,
        optimizer: Optimizer,
        preprocess: Preprocess,
        state: core.State,
        part: Examples,
        key: Key[Array, ""],
    ) -> Epoch:
        advance = partial(core.step, model, loss, _Averaged(recipe=optimizer))

        def own(order: Int[Array, "steps batch"]) -> Int[Array, "steps share"]:
            return order.reshape(len(order), parallel.mesh.size, -1)[:, rank]

        batches, take = _source(part, key, state.step, batch_size, own)
        state, metrics = core.scan_batches(advance, preprocess, state, batches, jax.random.fold_in(key, rank), take)
        return state, jax.lax.psum(metrics, BATCH_AXIS)

    devices = list(parallel.mesh.devices.flat)
    axes = (0, *[None] * 4, 0 if batch_size is None else None, None)
    return jax.pmap(own_epoch, BATCH_AXIS, in_axes=axes, out_axes=None, donate_argnums=4, devices=devices)


def _source(
    part: Examples,
    key: Key[Array, ""],
    step: Int[Array, ""],
    batch_size: int | None,
    own: Callable[[Array], Array] = lambda order: order,
) -> tuple[Any, Callable[[Any], Examples]]:
    """Returns the batches to scan over, and the function that makes examples of each.

    The batches of a whole epoch are places of examples, of which `own` selects this device's. Those of a chunk
    are examples already.
    """
    if batch_size is None:
        return part, lambda batch: batch
    return own(core.batches(key, step, len(part), batch_size)), part.take


def _own_ranks(parallel: Parallel) -> Int[Array, " devices"]:
    devices = enumerate(parallel.mesh.devices.flat)
    return jnp.asarray([rank for rank, device in devices if device.process_index == jax.process_index()])


@dataclass(frozen=True)
class _Averaged(Optimizer):
    """Applies an optimiser to the mean of all devices' gradients; its state is that of this optimiser alone."""

    recipe: Optimizer = field(default_factory=Optimizer)

    def transformation(self) -> optax.GradientTransformation:
        """Returns the transformation of `recipe`, applied to the mean gradient."""
        inner = self.recipe.transformation()

        def update(gradient: Any, state: Any, params: Any = None) -> Any:
            return inner.update(jax.lax.pmean(gradient, BATCH_AXIS), state, params)

        return optax.GradientTransformation(inner.init, update)


@partial(jax.jit, static_argnames=("parallel", "model", "batch_size"))
def shared_evaluate(
    parallel: Parallel,
    model: Model,
    measures: tuple[core.Measure, ...],
    preprocess: Preprocess,
    state: core.State,
    part: Examples,
    key: Key[Array, ""],
    batch_size: int,
    first: int | Int[Array, ""] = 0,
    size: int | Int[Array, ""] | None = None,
) -> Metrics:
    """Evaluates measures as `core.evaluate` does, on all devices of a layout together, whichever its strategy.

    Args:
        parallel: the layout, resolved.
        model: the model, a static Linen module.
        measures: what is measured of each example, their numbers arrays.
        preprocess: the fitted preprocessing, its numbers arrays.
        state: the state that is measured.
        part: the examples, or a chunk of whole batches of them.
        key: the key of the experiment's seed.
        batch_size: the number of examples in a batch.
        first: the number of the batch with which a chunk begins.
        size: the number of examples in the whole part, where `part` is a chunk of it.

    Returns:
        Metrics with an axis of batches.
    """

    def dividing(measure: core.Measure) -> core.Measure:
        return lambda model, batch: measure(model, parallel.divided(batch))

    divided = tuple(map(dividing, measures))
    metrics = core.evaluate(model, divided, preprocess, state, part, key, batch_size, first, size)
    return jax.lax.with_sharding_constraint(metrics, parallel.whole)
