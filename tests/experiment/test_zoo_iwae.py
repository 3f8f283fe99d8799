from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Examples, as_arrays, train_step
from aejax.experiment.zoo import iwae


def test_the_stages_are_the_paper_s_over_its_3280_epochs():
    rates = [1e-3 * 10 ** (-i / 7) for i in range(8) for _ in range(3**i)]
    assert len(rates) == 3280
    middles = (np.arange(3280) + 0.5) / 3280
    found = 1e-3 * jax.vmap(as_arrays(iwae.STAGES))(jnp.asarray(middles, jnp.float32))
    np.testing.assert_allclose(found, rates, rtol=1e-5)


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
