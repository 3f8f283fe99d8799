import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal
from scipy.special import softmax

from aejax import core
from aejax.core import Adam, Examples, InputError, as_arrays, named_leaves
from aejax.losses import DiscretisedLogistic
from aejax.models import Autoencoder, Plain, ResidualDecoder, ResidualEncoder, VectorQuantised
from aejax.models.residual import GroupNorm, ResidualBlock, SelfAttention, enlarged
from tests.helpers.small import same_bits
from tests.helpers.zoo import small

SHAPES = [(16, 16, 1), (16, 256, 3), (17, 31, 2), (28, 28, 1), (33, 50, 3), (100, 75, 5), (255, 256, 3), (32, 32, 3, 2)]


def images(*shape):
    return np.random.default_rng(0).normal(1, 2, shape).astype(np.float32)


def begun(layer, *args):
    """A layer's output for some images and its parameters, as they begin."""
    return jax.jit(lambda key, *args: layer.init_with_output(key, *args))(jax.random.key(0), *args)


def moved(variables):
    """The same with every parameter, of zeros too, moved at random."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: leaf + jnp.asarray(rng.normal(0, 0.3, leaf.shape), jnp.float32), variables)


def autoencoder(encoder, decoder, shape, latent=None):
    return Autoencoder(encoder, latent or Plain(6), decoder, shape)


def both_ways(model, x):
    features = model.encoder(x, True)
    return features, model.raw(model.latent(features, True).mean, True)


def shapes_of(model, x):
    """What the model makes of examples, as shapes without values."""
    keys = {"params": jax.random.key(0), "latent": jax.random.key(1)}
    return jax.eval_shape(lambda x: model.init_with_output(keys, x, method=both_ways)[0], x)


@pytest.mark.parametrize("strides", [(), (1, 2, 3), (4, 1, 2)], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_of_any_size_are_encoded_and_decoded(shape, strides):
    parts = ResidualEncoder((3, 2, 5), strides, 1), ResidualDecoder((4, 3, 2), strides[::-1], 1)
    features, raw = shapes_of(autoencoder(*parts, shape), jnp.zeros((2, *shape)))
    rows, columns = shape[:2]
    for stride in strides or (2, 2, 2):
        rows, columns = math.ceil(rows / stride), math.ceil(columns / stride)
    assert features.shape == (2, rows * columns * 5)
    assert raw.shape == (2, *shape)


@pytest.mark.parametrize("layer", [ResidualBlock(), ResidualBlock(5, "relu"), SelfAttention()], ids=repr)
def test_a_block_begins_as_the_identity(layer):
    x = images(2, 5, 3, 6)
    out, variables = begun(layer, x)
    np.testing.assert_array_equal(out, x)
    assert any(np.ptp(leaf) > 0 for leaf in jax.tree.leaves(variables))


LINEAR = {
    "encoder": (ResidualEncoder((4, 6), (2, 3), attention=3), (15, 9, 3), ()),
    "decoder": (ResidualDecoder((6, 4), (3, 2), attention=3), (5,), ((15, 9, 3),)),
}


@pytest.mark.parametrize(("part", "shape", "more"), LINEAR.values(), ids=LINEAR)
def test_encoder_and_decoder_begin_as_linear_functions(part, shape, more):
    x, y = jnp.asarray(images(2, *shape)), jnp.asarray(images(2, *shape))
    variables = jax.jit(lambda key: part.init(key, x, *more))(jax.random.key(0))
    made = jax.jit(lambda x: part.apply(variables, x, *more))
    np.testing.assert_allclose(made(x + 2 * y), made(x) + 2 * made(y), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (3, 1), (8, 2), (20, 5), (28, 7), (32, 8), (64, 8), (37, 1)])
def test_group_normalisation_is_that_of_groups_of_neighbouring_channels(channels, groups):
    x = images(2, 3, 4, channels)
    variables = moved(begun(GroupNorm(), x)[1])
    np.testing.assert_allclose(jax.jit(GroupNorm().apply)(variables, x), normalised(x, variables, groups), atol=2e-5)


def normalised(x, variables, groups):
    """Group normalisation in float64, with a loop over the groups."""
    own = variables["params"]["GroupNorm_0"] if "params" in variables else variables["GroupNorm_0"]
    width, out = x.shape[-1] // groups, np.empty(x.shape)
    for start in range(0, x.shape[-1], width):
        part = x[..., start : start + width].astype(np.float64)
        mean, variance = (of(part, axis=(1, 2, 3), keepdims=True) for of in (np.mean, np.var))
        out[..., start : start + width] = (part - mean) / np.sqrt(variance + 1e-6)
    return out * np.asarray(own["scale"]) + np.asarray(own["bias"])


def test_a_block_adds_two_convolutions_of_what_is_normalised_and_activated():
    x = images(2, 5, 4, 8)
    variables = moved(begun(ResidualBlock(activation="tanh"), x)[1])
    params = variables["params"]

    def convolved(y, own):
        planes = np.zeros(y.shape)
        for image, given, made in itertools.product(range(2), range(8), range(8)):
            kernel = np.asarray(own["kernel"], np.float64)[:, :, given, made]
            planes[image, ..., made] += signal.correlate2d(y[image, ..., given], kernel, mode="same")
        return planes + np.asarray(own["bias"])

    y = convolved(np.tanh(normalised(x, params["GroupNorm_0"], 2)), params["Convolution_0"])
    y = convolved(np.tanh(normalised(y, params["GroupNorm_1"], 2)), params["Convolution_1"])
    out = jax.jit(ResidualBlock(activation="tanh").apply)(variables, x)
    np.testing.assert_allclose(out, x + y, rtol=1e-4, atol=1e-4)


def test_attention_adds_each_pixel_s_mean_of_all_weighed_by_the_softmax_of_likeness():
    x = images(2, 3, 4, 8)
    variables = moved(begun(SelfAttention(), x)[1])
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    expected = np.array(x, np.float64)
    for image, pixels in enumerate(normalised(x, params["GroupNorm_0"], 2).reshape(2, 12, 8)):
        given = pixels @ params["given"]["kernel"] + params["given"]["bias"]
        query, key, value = given[:, :8], given[:, 8:16], given[:, 16:]
        for place in range(12):
            weight = softmax(key @ query[place] / np.sqrt(8))
            made = (weight @ value) @ params["out"]["kernel"] + params["out"]["bias"]
            expected[image, place // 4, place % 4] += made
    np.testing.assert_allclose(jax.jit(SelfAttention().apply)(variables, x), expected, rtol=1e-4, atol=1e-4)


def test_attention_is_where_the_maps_have_its_height():
    def count(part, given, *shape):
        variables = jax.eval_shape(lambda key: part.init(key, given, *shape), jax.random.key(0))
        return sum("SelfAttention" in path for path, _ in named_leaves(variables))

    x, z = jnp.zeros((1, 20, 30, 3)), jnp.zeros((1, 4))
    each = count(ResidualEncoder((4, 4, 4), blocks=1, attention=5), x)
    assert each == 6  # a norm and two dense layers, of two arrays each
    assert count(ResidualEncoder((4, 4, 4), blocks=2, attention=10), x) == 2 * each
    assert count(ResidualDecoder((4, 4, 4), blocks=2, attention=10), z, (20, 30, 3)) == 2 * each
    assert count(ResidualEncoder((4, 4, 4)), x) == 0


@pytest.mark.parametrize("stride", [1, 2, 3])
def testenlarged_images_have_each_pixel_again_and_are_cut_at_the_far_ends(stride):
    x, size = images(2, 3, 4, 5), (3 * stride - (stride > 1), 4 * stride - (stride > 2))
    expected = np.kron(x.transpose(0, 3, 1, 2), np.ones((stride, stride)))[..., : size[0], : size[1]]
    np.testing.assert_array_equal(enlarged(jnp.asarray(x), size, stride), expected.transpose(0, 2, 3, 1))


def test_a_spatial_decoder_begins_with_each_place_of_its_code_alone():
    decoder, z = ResidualDecoder((3, 2), spatial=True), jnp.asarray(images(1, 3 * 2 * 5))
    variables = begun_decoder(decoder, z)

    def small(z):
        _, kept = decoder.apply(variables, z, (10, 7, 3), capture_intermediates=True)
        return kept["intermediates"]["Convolution_0"]["__call__"][0][0]

    slopes = jax.jit(jax.jacobian(small))(z)[..., 0, :].reshape(3, 2, 3, 3, 2, 5)
    depends = np.abs(slopes).max(axis=(2, 5))
    np.testing.assert_array_equal(depends.reshape(6, 6) > 0, np.eye(6, dtype=bool))


def begun_decoder(decoder, z):
    return jax.jit(lambda key: decoder.init(key, z, (10, 7, 3)))(jax.random.key(0))


def test_slots_of_a_codebook_are_places_of_the_maps_and_likelihoods_may_need_more_outputs():
    shape = DiscretisedLogistic().raw_shape((16, 24, 3))
    model = autoencoder(
        ResidualEncoder((3, 4)), ResidualDecoder((4, 3), spatial=True), shape, VectorQuantised(24, 2, 5)
    )
    assert shapes_of(model, jnp.zeros((2, 16, 24, 3)))[1].shape == (2, *shape)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_computed_again_parameters_and_gradient_are_the_same_and_less_is_kept(precision):
    x = images(2, 9, 7, 3)
    settings = {"blocks": 2, "attention": 3, "dropout": 0.2}
    kept = autoencoder(
        ResidualEncoder((4, 8), (3, 1), **settings), ResidualDecoder((8, 4), (1, 3), **settings), x.shape[1:]
    )
    kept = kept.clone(precision=precision)
    again = kept.clone(encoder=kept.encoder.clone(remat=True), decoder=kept.decoder.clone(remat=True))
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    begun = [jax.jit(lambda x, model=model: model.init(keys, x, method=both_ways))(x) for model in (kept, again)]
    jax.tree.map(np.testing.assert_array_equal, *begun)
    variables = moved(begun[0])

    def reconstructed(model, batch):
        return model.raw(model.encode(batch, True).mean, True)

    def squares(model):
        def total(variables, x):
            made = model.apply(variables, Examples(jnp.asarray(x)), method=reconstructed, rngs=keys)
            return jnp.sum(jnp.square(made - x))

        return total

    slopes = [jax.jit(jax.grad(squares(model)))(variables, x) for model in (kept, again)]
    one, other = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(slope)]) for slope in slopes)
    assert np.linalg.norm(other - one) < {"float32": 1e-5, "bfloat16": 2e-2}[precision] * np.linalg.norm(one)

    def held(model):
        back = jax.eval_shape(lambda variables: jax.vjp(squares(model), variables, x)[1], variables)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(back))

    assert held(again) < 0.7 * held(kept)


@pytest.mark.slow
def test_the_largest_entry_trains_in_bfloat16_with_blocks_computed_again_and_gradients_accumulated():
    experiment = small("vae-photos").resolve_for((32, 32, 3), 4)
    model = experiment.model.clone(precision="bfloat16")
    model = model.clone(encoder=model.encoder.clone(remat=True), decoder=model.decoder.clone(remat=True))
    loss, optimizer = as_arrays((experiment.loss, Adam(accumulate=2, horizon=4.0)))
    batch = Examples(jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)) / 255, jnp.float32))
    state = jax.jit(lambda key: core.init(model, loss, optimizer, batch, key))(jax.random.key(0))
    step = jax.jit(lambda state: core.step(model, loss, optimizer, state, batch, jax.random.key(0)))
    states, lost = [state], []
    for _ in range(4):
        state, metrics = step(states[-1])
        states.append(state)
        lost.append(float(metrics["loss_nats"].sum))
    assert np.isfinite(lost).all()
    moved = [not same_bits(before.params, after.params) for before, after in itertools.pairwise(states)]
    assert moved == [False, True, False, True]
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}


X = jnp.zeros((1, 20, 30, 3))
REFUSED = {
    "vectors": (ResidualEncoder(), (X[:, 0, :, 0],), "needs images"),
    "no stage": (ResidualEncoder(()), (X,), r"channels is \(\) and strides is \(\)"),
    "other strides": (ResidualEncoder((4, 4), (2,)), (X,), "as many of one as of the other"),
    "no stride": (ResidualDecoder((4, 4), (2, 0)), (X[0, 0], (20, 30, 3)), "each of at least 1"),
    "attention": (ResidualEncoder(attention=20), (X,), "20 x 30 have the heights 10, 5, 3: give one of these, or 0"),
    "spatial": (ResidualDecoder(spatial=True), (X[0, 0], (20, 30, 3)), "an image of 3 x 4 places, which 3 values"),
}


@pytest.mark.parametrize(("part", "given", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(part, given, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(lambda key: part.init(key, *given), jax.random.key(0))
