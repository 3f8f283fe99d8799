"""Makes a training step: from a state and a batch to the next state and the batch's metrics.

`model` is a Linen module (static); `loss` and `optimizer` are pytrees of numbers (traced), so a new learning
rate or loss weight never compiles again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from aejax.core import linen
from aejax.core.examples import Examples
from aejax.core.keys import Stream, derive, model_keys
from aejax.core.linen import Model
from aejax.core.mean import Mean, Metrics
from aejax.core.optimizers import Optimizer

Measure = Callable[..., dict[str, Float[Array, " batch"]]]
"""The type of `measure(model, batch)`, which returns named values, one for each example.

A loss is a measure too. Training calls it as `loss(model, batch, True, step)` and minimises its `loss_nats`.
"""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """Holds everything that training changes, all of it arrays."""

    step: Int[Array, ""]
    """The number of steps made so far."""
    params: Any
    """The model's parameters."""
    opt_state: Any
    """The state of the optimiser."""
    collections: Any
    """Linen's mutable collections: batch statistics, codebooks, counters."""


def init(model: Model, loss: Measure, optimizer: Optimizer, batch: Examples, key: Key[Array, ""]) -> State:
    """Creates the state before the first step.

    Args:
        model: the model.
        loss: the loss, which determines the parameters that the model needs.
        optimizer: the optimiser.
        batch: a batch, of which only the shape matters.
        key: the key of the run.
    """
    keys = {"params": derive(key, Stream.PARAMS), **model_keys(key, 0)}
    variables = dict(linen.init_variables(lambda model, batch: loss(model, batch, True), model, keys, batch))
    params = variables.pop("params")
    return State(jnp.zeros((), jnp.int32), params, optimizer.transformation().init(params), variables)


def step(
    model: Model,
    loss: Measure,
    optimizer: Optimizer,
    state: State,
    batch: Examples,
    key: Key[Array, ""],
    across: Callable[[Any], Any] = lambda tree: tree,
) -> tuple[State, Metrics]:
    """Makes one step of the optimiser along the gradient of the batch's mean loss.

    Args:
        model: the model that is trained.
        loss: the measure whose mean `loss_nats` over the batch is minimised.
        optimizer: the optimiser.
        state: the state before the step.
        batch: the preprocessed batch.
        key: the key of the run; the step's own keys are derived from it.
        across: adds up arrays over all devices that each have a share of the batch; the default is for one device.

    Returns:
        The state after the step, and the sum and count of each of the loss's values before it.
    """
    count = across(jnp.asarray(len(batch), jnp.float32))

    def objective(params: Any) -> tuple[Float[Array, ""], tuple[dict[str, Array], Any]]:
        variables = {"params": params, **state.collections}
        keys = model_keys(key, state.step)
        values, collections = linen.apply(loss, model, variables, keys, batch, True, state.step, mutable=True)
        return values["loss_nats"].sum() / count, (values, collections)

    gradient, (values, collections) = jax.grad(objective, has_aux=True)(state.params)
    updates, opt_state = optimizer.transformation().update(across(gradient), state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = across({name: Mean.of(value) for name, value in values.items()})
    return State(state.step + 1, params, opt_state, collections), metrics
