"""The masked network: what it depends on, that its conditionals make a distribution, and draws one by one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import InputError
from aejax.models import MADE

pytestmark = pytest.mark.usefixtures("strict")
KEY = jax.random.key(0)


def built(network, x, context=None):
    """The network's variables, all of them random."""
    variables = jax.eval_shape(network.init, KEY, x, context)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), variables)


@pytest.mark.parametrize(
    ("size", "features", "hidden", "order", "context"),
    [
        (5, 1, (16, 16), "natural", 3),
        (4, 3, (7,), (2, 0, 3, 1), 0),
        (4, 2, (), "reversed", 2),
        (6, 1, (2,), "natural", 0),
        pytest.param(1, 2, (4,), "natural", 2, marks=pytest.mark.slow),
    ],
    ids=["deep", "features", "linear", "narrow", "one dimension"],
)
def test_a_dimension_s_outputs_depend_on_those_before_it_alone(size, features, hidden, order, context):
    network = MADE(3, hidden, "tanh", order)
    rng = np.random.default_rng(1)
    x, given = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((size, features), (context,)))
    given = given if context else None
    variables = built(network, x, given)
    slopes = jax.device_get(jax.jit(jax.jacobian(network.apply, argnums=(1, 2)))(variables, x, given))
    depends = (slopes[0] != 0).any(axis=(1, 3))
    turns = list(network.turns(size))
    earlier = np.tril(np.ones((size, size), bool), -1)
    if len(hidden) and hidden[0] < size:  # then dimensions share units, and some pairs have none between them
        assert depends[np.ix_(turns, turns)].any()
        assert not (depends[np.ix_(turns, turns)] & ~earlier).any()
    else:
        np.testing.assert_array_equal(depends[np.ix_(turns, turns)], earlier)
    if context:
        assert (slopes[1] != 0).all()


@pytest.mark.parametrize("categories", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_probabilities_of_all_vectors_add_up_to_one(categories):
    network = MADE(categories, (9,), "tanh", (1, 2, 0))
    every = jnp.asarray(list(itertools.product(range(categories), repeat=3)))
    hot = jax.nn.one_hot(every, categories)
    logits = jax.jit(network.apply)(built(network, hot), hot)
    log_prob = jnp.sum(jax.nn.log_softmax(logits) * hot, axis=(1, 2))
    assert np.ptp(log_prob) > 1
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, rtol=1e-5)


def test_dimensions_are_drawn_one_after_the_other_as_often_as_the_probabilities_say():
    network = MADE(2, (9,), "tanh", "reversed")
    every = jnp.asarray(list(itertools.product(range(2), repeat=3)))
    hot = jax.nn.one_hot(every, 2)
    variables = built(network, hot)
    probability = np.exp(jnp.sum(jax.nn.log_softmax(jax.jit(network.apply)(variables, hot)) * hot, axis=(1, 2)))

    def choose(network, values, place):
        logits = network(jax.nn.one_hot(values, 2))
        return jax.random.categorical(jax.random.fold_in(KEY, place), logits[:, place])

    drawn = jax.jit(lambda: network.apply(variables, jnp.zeros((20_000, 3), jnp.int32), choose, method="fill"))()
    often = np.bincount(np.asarray(drawn) @ [4, 2, 1], minlength=8) / len(drawn)
    assert probability.max() > 2 * probability.min()
    np.testing.assert_allclose(often, probability, atol=5 * np.sqrt(0.25 / len(drawn)))


def test_a_context_of_each_example_serves_several_codes_of_it():
    network = MADE(2, (6,), "tanh")
    rng = np.random.default_rng(1)
    x, context = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, 4, 5, 1), (4, 2)))
    variables = built(network, x, context)
    together = jax.jit(network.apply)(variables, x, context)
    one = jax.jit(network.apply)(variables, x[1], context)
    np.testing.assert_allclose(together[1], one, rtol=1e-5, atol=1e-6)


def test_an_order_that_leaves_a_dimension_out_is_refused():
    with pytest.raises(InputError, match=r"the order \(0, 2\) does not name each of 2 dimensions once: give 0 to 1"):
        MADE(order=(0, 2)).init(KEY, jnp.zeros((2, 1)))
