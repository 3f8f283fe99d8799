import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import (
    SGD,
    Adam,
    AdamW,
    Average,
    Cosine,
    ExponentialAverage,
    InputError,
    NoAverage,
    Rate,
    State,
    TailAverage,
    as_arrays,
    known_subclasses,
)
from aejax.core.optimizers import Averaging

PARAMS = {"encoder": {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}, "decoder": {"kernel": jnp.full((2, 3), 2.0)}}


def gradient(step):
    rng = np.random.default_rng(step)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), PARAMS)


def run(optimizer, steps=8, project=lambda params: params):
    """The parameters and the averages after each step."""
    optimizer = as_arrays(optimizer)
    update = jax.jit(lambda *arguments: optimizer.update(*arguments, project))
    params, opt_state, path = PARAMS, optimizer.init(PARAMS), []
    for step in range(steps):
        params, opt_state = update(gradient(step), opt_state, params)
        state = State(jnp.int32(step + 1), params, opt_state, {})
        path.append((params["decoder"]["kernel"], optimizer.averaged(state).params["decoder"]["kernel"]))
    return [np.asarray(part, np.float64) for part in zip(*path, strict=True)]


def exponential(latest):
    """Weights (1 - d) d^(t - i) over their sum, as Kingma & Ba correct a bias, in float64."""
    means = []
    for count in range(1, len(latest) + 1):
        weights = 0.1 * 0.9 ** np.arange(count)[::-1]
        means.append(np.tensordot(weights, latest[:count], 1) / (1 - 0.9**count))
    return np.stack(means)


def tail(latest):
    """The last quarter of 8 updates begins after the sixth."""
    return np.concatenate([latest[:6], latest[6:7], latest[6:].mean(axis=0, keepdims=True)])


BY_HAND = [(NoAverage(), lambda latest: latest), (ExponentialAverage(0.9), exponential), (TailAverage(0.25), tail)]


@pytest.mark.parametrize(("average", "by_hand"), BY_HAND)
def test_an_average_is_its_closed_form_after_every_update(average, by_hand):
    latest, averaged = run(SGD(0.1, Cosine(), horizon=8.0, average=average))
    np.testing.assert_allclose(averaged, by_hand(latest), rtol=1e-5)
    np.testing.assert_array_equal(latest, run(SGD(0.1, Cosine(), horizon=8.0))[0])  # training does not know of it


def test_every_average_is_compared():
    assert {type(average) for average, _ in BY_HAND} == set(known_subclasses(Average))


def test_all_updates_may_be_averaged():
    latest, averaged = run(SGD(0.1, horizon=8.0, average=TailAverage(1.0)))
    np.testing.assert_allclose(averaged[-1], latest.mean(axis=0), rtol=1e-5)


def test_steps_that_only_accumulate_are_no_updates():
    latest, averaged = run(SGD(0.1, horizon=8.0, accumulate=2, average=ExponentialAverage(0.9)))
    np.testing.assert_allclose(averaged[1::2], exponential(latest[1::2]), rtol=1e-5)
    np.testing.assert_array_equal(averaged[2::2], averaged[1:-1:2])


def test_the_average_is_that_of_the_parameters_after_their_projection():
    def to_ones(params):
        return {**params, "decoder": jax.tree.map(jnp.ones_like, params["decoder"])}

    latest, averaged = run(SGD(0.1, horizon=8.0, average=ExponentialAverage(0.9)), project=to_ones)
    np.testing.assert_array_equal(latest, np.ones_like(latest))
    np.testing.assert_allclose(averaged, latest, rtol=1e-6)


def test_without_an_average_the_state_is_the_transformation_s_own():
    optimizer = Adam(horizon=1.0)
    assert not isinstance(optimizer.init(PARAMS), Averaging)
    assert jax.tree.structure(optimizer.init(PARAMS)) == jax.tree.structure(optimizer.transformation().init(PARAMS))


# Rates of their own


def moved(optimizer):
    optimizer = as_arrays(optimizer)
    after, _ = jax.jit(optimizer.update)(gradient(0), optimizer.init(PARAMS), PARAMS)
    return jax.tree.map(lambda new, old: np.asarray(new - old), after, PARAMS)


@pytest.mark.parametrize("optimizer", [SGD(0.1, horizon=1.0), AdamW(0.1, weight_decay=0.5, horizon=1.0)])
def test_a_rate_of_its_own_scales_the_whole_update_of_the_parameters_that_it_matches(optimizer):
    rates = {"encoder": Rate("^encoder", 0.5), "biases": Rate("bias$", 0.0)}
    usual, own = moved(optimizer), moved(dataclasses.replace(optimizer, rates=rates))
    np.testing.assert_allclose(own["encoder"]["kernel"], 0.5 * usual["encoder"]["kernel"], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(own["decoder"]["kernel"], usual["decoder"]["kernel"])
    np.testing.assert_array_equal(own["encoder"]["bias"], np.zeros(2))


def test_a_rate_for_no_parameter_names_those_that_there_are():
    with pytest.raises(InputError, match=r"pattern is 'latent'.* there are decoder.kernel, encoder.bias, encod"):
        SGD(horizon=1.0, rates={"slow": Rate("latent")}).init(PARAMS)
    with pytest.raises(InputError, match=r"'\(' is no regular expression"):
        SGD(horizon=1.0, rates={"slow": Rate("(")}).init(PARAMS)


def test_the_horizon_is_set_once():
    assert Adam().over(7).over(9).horizon == 7.0
