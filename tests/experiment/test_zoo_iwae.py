from functools import partial

import jax
import jax.numpy as jnp
import pytest

from aejax.core import Examples, train_step
from aejax.experiment.zoo import iwae

ENCODER, DECODER = [(784, 200), (200, 200)], [(200, 200), (200, 784)]
ONE = [*ENCODER, (200, 50), (200, 50), (50, 200), *DECODER]
BETWEEN = [(100, 100), (100, 100), (100, 50), (100, 50), (50, 100), (100, 100), (100, 100), (100, 100)]
TWO = [*ENCODER, (200, 100), (200, 100), *BETWEEN, (100, 200), *DECODER]


@pytest.mark.parametrize(("cell", "kernels"), [(iwae.k50, ONE), (iwae.two_k50, TWO)])
def test_the_networks_have_the_paper_s_layers(cell, kernels):
    experiment = cell().resolve_for((28, 28, 1), 3000)
    init = partial(train_step.init, experiment.model, experiment.loss, experiment.optimizer)
    state = jax.eval_shape(init, Examples(jnp.zeros((1, 28, 28, 1))), jax.random.key(0))
    assert sorted(leaf.shape for leaf in jax.tree.leaves(state.params) if leaf.ndim == 2) == sorted(kernels)
