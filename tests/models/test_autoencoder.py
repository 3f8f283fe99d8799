import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict

import aejax
from aejax.core import Examples, InputError
from aejax.models import Autoencoder, ConvDecoder, ConvEncoder, Decoder, Encoder, MLPDecoder, MLPEncoder, Plain
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
KEYS = {"params": jax.random.key(0)}
MLP = Autoencoder(MLPEncoder((6,)), Plain(3), MLPDecoder((6,)))
CONV = Autoencoder(ConvEncoder((3, 2)), Plain(3), ConvDecoder((2, 3)))
LINEAR = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder())
SHAPES = [(28, 28, 1), (27, 30, 3), (5,), (4, 4, 1)]
IMAGES = [shape for shape in SHAPES if len(shape) == 3]


def both(model, x):
    batch = Examples(x)
    code = model.encode(batch).mean
    return code, model.decode(code, batch)


@partial(jax.jit, static_argnums=0)
def init(model, x):
    return compiled.init(both, model, KEYS, x)


@partial(jax.jit, static_argnums=0)
def run(model, variables, x):
    return compiled.apply(both, model, variables, {}, x)[0]


def drawn(shape, batch=4):
    return jnp.asarray(np.random.default_rng(0).normal(size=(batch, *shape)), jnp.float32)


@pytest.mark.parametrize(
    ("model", "shape"), [*((MLP, shape) for shape in SHAPES), *((CONV, shape) for shape in IMAGES)]
)
def test_codes_have_the_latent_s_size_and_output_has_the_model_s_shape(model, shape):
    model = model.clone(shape=shape)
    x = drawn(shape)
    code, raw = jax.eval_shape(partial(run, model), jax.eval_shape(partial(init, model), x), x)
    assert code.shape == (4, 3)
    assert raw.shape == (4, *shape)
    assert code.dtype == raw.dtype == jnp.float32


@pytest.mark.parametrize("model", [MLP, CONV])
def test_the_output_may_have_another_shape_than_the_input(model):
    model = model.clone(shape=(4, 4, 1, 2))
    x = drawn((4, 4, 1))
    assert run(model, init(model, x), x)[1].shape == (4, 4, 4, 1, 2)


@pytest.mark.parametrize("model", [MLP, CONV])
def test_examples_of_a_batch_do_not_touch_each_other(model):
    model = model.clone(shape=(4, 4, 1))
    x = drawn((4, 4, 1))
    variables = init(model, x)
    changed = run(model, variables, x.at[0].add(1.0))
    for before, after in zip(run(model, variables, x), changed, strict=True):
        np.testing.assert_allclose(after[1:], before[1:], rtol=1e-5, atol=1e-6)
        assert not np.allclose(after[0], before[0])


def test_a_linear_autoencoder_is_two_matrix_products():
    model = LINEAR.clone(shape=(4, 4, 1))
    x = drawn((4, 4, 1))
    variables = jax.tree.map(lambda leaf: leaf + 0.1, init(model, x))
    params = jax.device_get(variables["params"])
    encode, decode = params["latent"]["code"], params["decoder"]["out"]
    code, raw = run(model, variables, x)
    expected = np.asarray(x).reshape(4, 16) @ encode["kernel"] + encode["bias"]
    np.testing.assert_allclose(code, expected, rtol=1e-5, atol=1e-6)
    expected = expected @ decode["kernel"] + decode["bias"]
    np.testing.assert_allclose(raw, expected.reshape(4, 4, 4, 1), rtol=1e-5, atol=1e-6)


def test_a_linear_autoencoder_has_no_other_parameters():
    variables = init(LINEAR.clone(shape=(5,)), drawn((5,)))
    shapes = {name: leaf.shape for name, leaf in flatten_dict(variables["params"], sep="/").items()}
    assert shapes == {
        "latent/code/kernel": (5, 2),
        "latent/code/bias": (2,),
        "decoder/out/kernel": (2, 5),
        "decoder/out/bias": (5,),
    }


def test_kernels_start_within_glorot_s_bound_and_biases_at_zero():
    variables = init(MLP.clone(shape=(5,)), drawn((5,)))
    for name, leaf in flatten_dict(variables["params"], sep="/").items():
        bound = np.sqrt(6 / sum(leaf.shape)) if name.endswith("kernel") else 0
        assert abs(leaf).max() <= bound
        assert leaf.ndim == 1 or abs(leaf).max() > bound / 2


@pytest.mark.parametrize("shape", [(5,), (4, 4)])
def test_convolutions_refuse_examples_that_are_not_images(shape):
    with pytest.raises(InputError, match=r"\(height, width, channels\).*MLP"):
        init(CONV.clone(shape=shape), drawn(shape))


def test_a_convolutional_decoder_refuses_a_shape_that_is_not_an_image():
    mixed = Autoencoder(MLPEncoder(), Plain(3), ConvDecoder((2, 3)), (5,))
    with pytest.raises(InputError, match=r"\(5,\)"):
        init(mixed, drawn((5,)))


def test_equal_models_are_one_value_and_share_a_trace():
    def count(model, x):
        traces.append(model)
        return x

    traces = []
    counted = jax.jit(count, static_argnums=0)
    one, same = (Autoencoder(MLPEncoder((6,)), Plain(3), MLPDecoder((6,)), (5,)) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    counted(one, 1.0), counted(same, 2.0)
    assert len(traces) == 1
    counted(one.clone(latent=Plain(4)), 1.0)
    assert len(traces) == 2


def test_applying_gives_back_the_collections_it_was_given():
    model = LINEAR.clone(shape=(5,))
    x = drawn((5,))
    variables = {**init(model, x), "counters": {"seen": jnp.zeros(3)}}
    for mutable in (False, True):
        _, collections = compiled.apply(both, model, variables, {}, x, mutable=mutable)
        assert jax.tree.structure(collections) == jax.tree.structure({"counters": {"seen": 0}})


def test_an_output_s_biases_start_where_they_are_told_to():
    decoder = MLPDecoder((3,), bias=-1.9)
    params = decoder.init(jax.random.key(0), jnp.zeros((1, 2)), (2, 2))["params"]
    np.testing.assert_allclose(params["out"]["bias"], -1.9)
    np.testing.assert_array_equal(params["Stack_0"]["Dense_0"]["bias"], 0)


class Unflattened(Encoder):
    @nn.compact
    def __call__(self, x, train=False):
        return nn.Conv(4, (3, 3))(x)


class Short(Decoder):
    @nn.compact
    def __call__(self, z, shape, train=False):
        return nn.Dense(5)(z)


class OfExamplesAlone(Encoder):
    @nn.compact
    def __call__(self, x):
        return x.reshape(len(x), -1)


class OfCodesAlone(Decoder):
    @nn.compact
    def __call__(self, z):
        return z


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            {"encoder": OfExamplesAlone()},
            r"OfExamplesAlone cannot be .*: define __call__\(self, x, train=False\)",
        ),
        (
            {"decoder": OfCodesAlone()},
            r"OfCodesAlone cannot be .* define __call__\(self, z, shape, train=False\)",
        ),
        (
            {"encoder": Unflattened()},
            r"Unflattened returned shape \(1, 4, 4, 4\) for 1 examples of shape \(4, 4, 1\): an encoder "
            r"returns \[batch, features\]",
        ),
        ({"decoder": Short()}, r"Short returned shape \(1, 5\) for 1 codes, not \(1, 4, 4, 1\): a decoder"),
    ],
)
def test_a_part_of_another_shape_is_named_with_what_it_should_return(tiny, part, said):
    experiment = dataclasses.replace(tiny.experiment, model=tiny.experiment.model.clone(**part))
    with pytest.raises(InputError, match=said):
        aejax.fit(experiment, tiny.dataset)
