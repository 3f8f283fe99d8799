"""Makes a training step: from a state and a batch to the next state and the batch's metrics.

`model` is a Linen module (static); `loss` and `optimizer` are pytrees of numbers (traced), so a new learning
rate or loss weight never compiles again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from aejax.core import linen
from aejax.core.examples import Examples, Preprocessing, as_seen
from aejax.core.keys import Stream, derive, model_keys
from aejax.core.linen import Model, Variables
from aejax.core.mean import Mean, Metrics
from aejax.core.optimizers import Optimizer
from aejax.core.pytrees import pytree

Measure = Callable[..., dict[str, Float[Array, " batch"]]]
"""The type of `measure(model, batch)`, which returns named values, one for each example.

A loss is a measure too. Training calls it as `loss(model, batch, True, step)` and minimises its `loss_nats`.
"""


@pytree
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
    """Linen's mutable collections: batch statistics, codebooks, counters, the state of a term of the loss."""

    @property
    def variables(self) -> Variables:
        """All that a model is applied with: the parameters and the collections."""
        return {"params": self.params, **self.collections}


def init(
    model: Model,
    loss: Measure,
    optimizer: Optimizer,
    batch: Examples,
    key: Key[Array, ""],
    sample: Examples | None = None,
) -> State:
    """Creates the state before the first step.

    Args:
        model: the model.
        loss: the loss, which determines the parameters that the model needs.
        optimizer: the optimiser.
        batch: a batch, of which only the shape matters.
        key: the key of the run.
        sample: preprocessed training examples for `Model.prime`; None: the model is not primed.
    """
    keys = {"params": derive(key, Stream.PARAMS), **model_keys(key, 0)}
    variables = dict(linen.init_variables(lambda model, batch: loss(model, batch, True), model, keys, batch))
    params = variables.pop("params")
    if sample is not None:
        params = model.prime(params, sample, loss)
    params = model.project(params)
    return State(jnp.zeros((), jnp.int32), params, optimizer.init(params), variables)


def priming_sample(preprocess: Preprocessing, sample: Examples | None, key: Key[Array, ""]) -> Examples | None:
    """Preprocesses the examples on which a model is primed, as those of a batch are.

    Args:
        preprocess: turns stored examples into the float32 batch that the model sees.
        sample: the examples, as stored; None: the model is not primed.
        key: the key of the run.
    """
    return None if sample is None else as_seen(preprocess, sample, derive(key, Stream.PRIME))


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
        variables, keys = replace(state, params=params).variables, model_keys(key, state.step)
        values, collections = linen.apply(loss, model, variables, keys, batch, True, state.step, mutable=True)
        return values["loss_nats"].sum() / count, (values, collections)

    gradient, (values, collections) = jax.grad(objective, has_aux=True)(state.params)
    params, opt_state = optimizer.update(across(gradient), state.opt_state, state.params, model.project)
    metrics = across({name: Mean.of(value) for name, value in values.items()})
    return State(state.step + 1, params, opt_state, collections), metrics
