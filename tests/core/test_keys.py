import jax
import numpy as np
import pytest

from aejax import core
from aejax.core import Stream, derive, model_keys

pytestmark = pytest.mark.usefixtures("strict")
KEY = jax.random.key(0)


def bits(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_a_derived_key_depends_on_seed_stream_and_step_alone():
    again = derive(jax.random.key(0), Stream.LATENT, 7)
    assert bits(derive(KEY, Stream.LATENT, 7)) == bits(again)
    assert bits(jax.jit(derive, static_argnums=1)(KEY, Stream.LATENT, 7)) == bits(again)


def test_it_is_the_seed_s_key_with_stream_and_step_folded_in():
    expected = jax.random.fold_in(jax.random.fold_in(KEY, 4), 7)
    assert bits(derive(KEY, Stream.LATENT, 7)) == bits(expected)


def test_seeds_streams_and_steps_all_give_different_keys():
    keys = [
        bits(derive(jax.random.key(seed), stream, step)) for seed in (0, 1) for stream in Stream for step in range(5)
    ]
    assert len(set(keys)) == 2 * len(Stream) * 5


def test_the_numbers_of_the_streams_never_change():
    assert {stream.name: int(stream) for stream in Stream} == {
        "PARAMS": 0,
        "ORDER": 1,
        "PREPROCESS": 2,
        "CORRUPTION": 3,
        "LATENT": 4,
        "DROPOUT": 5,
        "EVALUATION": 6,
        "CODES": 7,
        "VALUES": 8,
        "PRIME": 9,
    }


@pytest.mark.parametrize("name", ["corruption", "latent", "dropout"])
def test_models_and_losses_find_the_stream_they_ask_for(tiny, name):
    def ask(model):
        return jax.random.key_data(model.make_rng(name))

    drawn, _ = core.apply(ask, tiny.experiment.model, {}, model_keys(KEY, 3))
    other, _ = core.apply(ask, tiny.experiment.model, {}, model_keys(KEY, 4))
    assert not np.array_equal(drawn, other)
    assert bits(model_keys(KEY, 3)[name]) == bits(derive(KEY, Stream[name.upper()], 3))
