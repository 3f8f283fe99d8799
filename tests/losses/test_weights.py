import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from aejax.losses import Bernoulli, Loss, WeightL2
from aejax.losses.weights import WeightL1
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from tests.losses.test_loss import MLP, built, values_of

NORMED = Autoencoder(MLPEncoder((6,), norm="layer"), Plain(3), MLPDecoder((6,)))
CLOSED = {WeightL1: lambda kernel: np.abs(kernel).sum(), WeightL2: lambda kernel: 0.5 * (kernel**2).sum()}


@pytest.mark.parametrize("term", CLOSED)
@pytest.mark.parametrize("model", [MLP, NORMED], ids=["plain", "normalised"])
def test_a_penalty_counts_every_kernel_and_nothing_else(term, model):
    loss = Loss(Bernoulli(), {"decay": term()})
    made = built(loss, model)
    leaves = flatten_dict(made[1]["params"], sep="/")
    kernels = [np.asarray(leaf, np.float64) for name, leaf in leaves.items() if name.endswith("kernel")]
    assert len(kernels) == 4
    values = values_of(loss, *made)["decay_nats"]
    np.testing.assert_allclose(values, np.full(5, sum(map(CLOSED[term], kernels))), rtol=1e-6)
