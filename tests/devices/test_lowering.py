"""Every family leaves the CPU: its programs lower for accelerators, on a machine that has none.

Lowering finds what a platform has no rule for. Whether its compiler takes the program, and how fast that is, only
the platform can tell.
"""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from aejax import core
from aejax.core import Batches, Examples, as_arrays, blank_example
from aejax.experiment import get
from tests.helpers.zoo import shape_of

NAMES = (
    "vae-conv",
    "vae-photos",
    "ae-keras",
    "ae-conv",
    "cae",
    "dae-masking",
    "mae-photos",
    "sae-topk",
    "sae-wta",
    "vae-flax",
    "cvae-mnist",
    "vamp-mnist",
    "vq-vae-mnist",
    "iwae-k5",
    "iwae-2-k5",
)
BATCH = 4


def traced(name):
    """Traces an epoch, an evaluation and an epoch of a population of two, all of shapes without values."""
    shape = shape_of(name)
    experiment = dataclasses.replace(get(name), batch_size=BATCH).resolve_for(shape, steps_per_epoch=2)
    model, preprocess = experiment.model, as_arrays(experiment.data.preprocess)
    settings = as_arrays((experiment.loss, experiment.optimizer))
    part = Examples(jnp.zeros((2 * BATCH + 1, *shape), jnp.uint8), jnp.zeros(2 * BATCH + 1, jnp.int32))
    one, key = blank_example(shape), jax.random.key(0)
    state = jax.eval_shape(lambda key: core.init(model, *settings, one, key), key)
    epoch = jax.jit(core.epoch, static_argnames=("model", "batch_size"))
    yield epoch.trace(model, *settings, preprocess, state, part, key, batch_size=BATCH)
    evaluate = jax.jit(core.evaluate, static_argnames=("model", "batch_size"))
    yield evaluate.trace(model, settings[:1], preprocess, state, part, key, batch_size=BATCH)
    pairs, keys = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), settings), jnp.stack([key, key])
    members = jax.eval_shape(lambda pairs, keys: core.init_members(model, *pairs, one, keys, preprocess), pairs, keys)
    batches = Batches(part, jnp.zeros((2, 2, BATCH), jnp.int32))
    yield jax.jit(core.train_members, static_argnames="model").trace(model, *pairs, preprocess, members, batches, keys)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_training_evaluation_and_a_population_lower_for_accelerators(name):
    for program in traced(name):
        for platform in ("cuda", "tpu"):
            text = program.lower(lowering_platforms=(platform,)).as_text()
            assert "stablehlo.while" in text
            assert "callback" not in text  # the host has no part in it
