"""A masked autoencoder computes of what it sees alone, and its loss is of what it does not see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import core
from aejax.core import Adam, Examples, InputError, as_arrays
from aejax.losses import Gaussian, GaussianLearnedScale, Loss, MaskedReconstruction
from aejax.models import Identity, MaskedAutoencoder, PatchDecoder, PatchEncoder, from_patches, to_patches
from aejax.models.attention import TransformerBlock, attend
from aejax.models.patches import positions
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
RNG = np.random.default_rng(0)
SHAPE = (8, 12, 3)
PATCHES = 6
X = jnp.asarray(RNG.random((4, *SHAPE)), jnp.float32)
MODEL = MaskedAutoencoder(
    PatchEncoder(4, 8, 1, 2), Identity(8), PatchDecoder(4, 12, 1, 3), shape=SHAPE, seen=0.34
)  # sees 2 of 6 patches
LOSS = Loss(Gaussian(), {"masked": MaskedReconstruction()})
KEYS = {name: jax.random.key(number) for number, name in enumerate(("params", "corruption", "latent"))}


def moved(variables, seed=1):
    """Parameters none of which is zero or one."""
    noise = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + jnp.asarray(noise.normal(0, 0.1, leaf.shape), jnp.float32), variables)


@pytest.fixture(scope="module")
def variables():
    return moved(compiled.init(lambda model, batch: LOSS(model, batch, True), MODEL, KEYS, Examples(X)))


def order(n, seed=0):
    return jnp.asarray(np.stack([np.random.default_rng(seed + row).permutation(PATCHES) for row in range(n)]))


def pixels(patches):
    """Which values of `SHAPE` lie in the patches of each image, as zeros and ones."""
    of = np.zeros((len(patches), PATCHES, 4, 4, 3), np.float32)
    np.put_along_axis(of, np.asarray(patches)[..., None, None, None], 1, axis=1)
    return np.asarray(from_patches(jnp.asarray(of), SHAPE))


def test_patches_are_cut_row_by_row_and_joined_again(rng):
    patches = to_patches(X, 4)
    assert patches.shape == (4, PATCHES, 4, 4, 3)
    np.testing.assert_array_equal(patches[:, 4], X[:, 4:, 4:8])
    np.testing.assert_array_equal(from_patches(patches, SHAPE), X)
    deep = jnp.asarray(rng.random((2, 4, 4, 3, 2)), jnp.float32)
    np.testing.assert_array_equal(from_patches(to_patches(deep, 2), deep.shape[1:]), deep)


def test_attention_is_a_weighted_mean_of_values(rng):
    query, key, value = (rng.normal(size=(2, 3, length, width)) for length, width in ((5, 4), (6, 4), (6, 2)))
    expected = np.empty((2, 3, 5, 2))
    for place in np.ndindex(2, 3):
        for i in range(5):
            weight = np.exp([query[place][i] @ k / 2 for k in key[place]])
            expected[place][i] = weight / weight.sum() @ value[place]
    given = (jnp.asarray(array, jnp.float32) for array in (query, key, value))
    np.testing.assert_allclose(attend(*given), expected, rtol=1e-5, atol=1e-6)


def norm(x, own):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6) * own["scale"] + own["bias"]


def dense(x, own):
    return x @ own["kernel"] + own["bias"]


def numpy_block(x, own, heads):
    """A block of the transformer in float64, token by token."""
    given = dense(norm(x, own["before"]), own["given"])
    depth = x.shape[-1] // heads
    mixed = np.empty_like(x)
    for row in range(len(x)):
        query, key, value = np.split(given[row], 3, axis=-1)
        for head in range(heads):
            part = slice(head * depth, (head + 1) * depth)
            weight = np.exp(query[:, part] @ key[:, part].T / np.sqrt(depth))
            mixed[row][:, part] = weight / weight.sum(axis=1, keepdims=True) @ value[:, part]
    x = x + dense(mixed, own["mixed"])
    wide = dense(norm(x, own["between"]), own["wide"])
    gelu = wide / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
    return x + dense(gelu, own["narrow"])


def as_numpy(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def test_a_block_is_what_numpy_makes_of_its_parameters(rng):
    x = rng.normal(size=(2, 5, 12))
    block = TransformerBlock(3)
    own = moved(jax.jit(block.init)(jax.random.key(0), jnp.asarray(x, jnp.float32)))
    found = jax.jit(block.apply)(own, jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, numpy_block(x, as_numpy(own)["params"], 3), rtol=1e-4, atol=1e-5)


def test_the_places_of_patches_are_told_apart_and_rows_from_columns():
    found = np.asarray(positions(3, 5, 8))
    assert found.shape == (15, 8)
    for row in range(3):
        for column in range(5):
            waves = [f(place * rate) for place in (row, column) for f in (np.sin, np.cos) for rate in (1, 0.01)]
            np.testing.assert_allclose(found[5 * row + column], waves, atol=1e-6)


@pytest.fixture(scope="module")
def predict(variables):
    return jax.jit(lambda x, order: core.apply(MaskedAutoencoder.predict, MODEL, variables, {}, Examples(x), order)[0])


def test_what_is_hidden_has_no_influence_at_all(predict):
    given = order(1)
    slope = jax.jit(jax.jacrev(lambda x: predict(x, given)[0].reshape(-1)))(X[:1])
    reached = np.abs(slope).max(axis=0)[0]
    seen = pixels(given[:, :2])[0] == 1
    assert (reached[~seen] == 0).all()
    assert (reached[seen] > 0).all()


def test_the_encoder_computes_tokens_of_what_it_sees_alone(variables):
    given = order(4)

    def tokens(seen):
        return jax.jit(
            lambda x: MODEL.encoder.apply({"params": variables["params"]["encoder"]}, x, seen, method="tokens")
        )

    assert tokens(given[:, :2])(X).shape == (4, 2, 8)
    cost = {count: tokens(given[:, :count]).lower(X).compile().cost_analysis()["flops"] for count in (1, 2, 6)}
    assert cost[6] > 2.5 * cost[2] > 3.5 * cost[1]


def test_a_training_step_pays_for_what_it_sees_alone(variables):
    """The pass over all patches, which no term of the loss uses, is not compiled."""

    def gradient(loss):
        def total(params):
            return core.apply(loss, MODEL, {"params": params}, KEYS, Examples(X), True)[0]["loss_nats"].sum()

        return jax.jit(jax.grad(total)).lower(variables["params"]).compile().cost_analysis()["flops"]

    def whole(model, batch, train):
        forward = LOSS.forward(model, batch, train)
        return {"loss_nats": MaskedReconstruction()(forward) + forward.raw.sum((1, 2, 3)) + forward.code.sum(1)}

    assert gradient(LOSS) < 0.5 * gradient(whole)


def test_the_order_in_which_patches_are_seen_does_not_matter(predict):
    given = np.asarray(order(4))
    swapped = np.concatenate([given[:, :2][:, ::-1], given[:, 2:][:, ::-1]], axis=1)
    one, other = predict(X, given)[0], predict(X, jnp.asarray(swapped))[0]
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert np.abs(one - predict(X, jnp.roll(given, 1, axis=1))[0]).max() > 0.01  # others are


def test_a_patch_is_known_by_its_place(predict):
    """The same patches at exchanged places are another image."""
    given = jnp.asarray([[0, 1, 2, 3, 4, 5]])
    exchanged = from_patches(to_patches(X[:1], 4)[:, jnp.asarray([1, 0, 2, 3, 4, 5])], SHAPE)
    assert np.abs(predict(X[:1], given)[0] - predict(exchanged, given)[0]).max() > 0.01


@pytest.mark.parametrize("likelihood", [Gaussian(0.7), GaussianLearnedScale()], ids=lambda of: type(of).__name__)
def test_the_loss_is_of_the_hidden_patches_and_of_no_others(likelihood):
    model, loss = MODEL.clone(shape=likelihood.raw_shape(SHAPE)), Loss(likelihood, {"masked": MaskedReconstruction()})
    variables = moved(compiled.init(lambda model, batch: loss(model, batch, True), model, KEYS, Examples(X)))

    def nats(y):
        return core.apply(loss, model, variables, KEYS, Examples(X, y=y))[0]["masked_nats"]

    def drawn(model, batch):
        loss.forward(model, batch)  # which draws before the term does
        return model.predict(batch, model.hide(batch))

    raw, hidden = compiled.apply(drawn, model, variables, KEYS, Examples(X))[0]
    slope = np.asarray(jax.jit(jax.grad(lambda y: nats(y).sum()))(X / 2))
    mask = pixels(hidden)
    assert mask.mean() == pytest.approx(4 / 6)
    assert (slope[mask == 0] == 0).all()
    assert (slope[mask == 1] != 0).mean() > 0.99
    if type(likelihood) is Gaussian:
        density = np.square((X - raw) / 0.7) / 2 + np.log(0.7 * np.sqrt(2 * np.pi))
        np.testing.assert_allclose(jax.jit(nats)(X), (density * mask).sum((1, 2, 3)), rtol=1e-5)


def test_an_image_is_predicted_by_itself_whatever_else_is_in_the_batch(predict):
    given = order(4)
    twice = predict(jnp.concatenate([X, X]), jnp.concatenate([given, given]))[0]
    np.testing.assert_allclose(twice, np.concatenate([predict(X, given)[0]] * 2), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_it_learns_that_images_are_of_one_colour():
    """Hidden patches are told by those that are seen: the mean of all images has an error of 1 / 12."""
    model = MaskedAutoencoder(PatchEncoder(2, 16, 1, 2), Identity(16), PatchDecoder(2, 16, 1, 2), shape=(8, 8, 1))
    loss, optimizer = as_arrays((LOSS, Adam(3e-3, horizon=150.0)))

    @jax.jit
    def trained(key):
        def step(state, _):
            colour = jax.random.uniform(jax.random.fold_in(key, state.step), (64, 1, 1, 1))
            batch = Examples(jnp.broadcast_to(colour, (64, 8, 8, 1)))
            state, metrics = core.step(model, loss, optimizer, state, batch, key)
            return state, metrics["masked_nats"].sum / 64

        start = core.init(model, loss, optimizer, Examples(jnp.zeros((1, 8, 8, 1))), key)
        return jax.lax.scan(step, start, length=150)[1]

    with jax.numpy_dtype_promotion("standard"):  # as Adam needs it
        nats = np.asarray(trained(jax.random.key(0)))[-20:].mean()
    values = 48
    assert (nats - values * np.log(2 * np.pi) / 2) * 2 / values < 0.005


def test_masks_are_uniform_and_new_for_each_key_and_example(variables):
    many = Examples(jnp.zeros((500, *SHAPE)))
    hide = jax.jit(lambda key: core.apply(MaskedAutoencoder.hide, MODEL, variables, {"corruption": key}, many)[0])
    found = np.asarray(hide(KEYS["corruption"]))
    assert (np.sort(found, axis=1) == np.arange(PATCHES)).all()
    share = np.bincount(found[:, :2].ravel(), minlength=PATCHES) / 500
    np.testing.assert_allclose(share, 1 / 3, atol=0.07)
    assert (found != np.asarray(hide(jax.random.key(9)))).any()


def test_the_code_is_the_mean_token_of_the_whole_image(variables):
    def tokens(model, batch):
        return model.encode(batch).mean, model.encoder.tokens(batch.x)

    code, all_tokens = compiled.apply(tokens, MODEL, variables, {}, Examples(X))[0]
    np.testing.assert_allclose(code, all_tokens.mean(axis=1), rtol=1e-5, atol=1e-6)


def test_an_image_is_reconstructed_by_what_is_predicted_of_each_patch_where_it_is_hidden(variables, predict):
    made = compiled.apply(
        lambda model, batch: model.decode(jnp.zeros((4, 8)), batch), MODEL, variables, {}, Examples(X)
    )[0]
    dealt, total, count = np.random.default_rng(0).permutation(PATCHES), 0, 0
    for turn in range(3):
        turned = np.roll(dealt, -2 * turn)[None]
        mask = pixels(turned[:, 2:])
        total, count = total + mask * np.asarray(predict(X, jnp.asarray(np.repeat(turned, 4, 0)))[0]), count + mask
    assert (count == 2).all()
    np.testing.assert_allclose(made, total / count, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (MODEL.clone(seen=0.6), "the encoder would see 4: give --model.seen a share of at most 0.5"),
        (MODEL.clone(seen=0.01), "the encoder would see 0"),
        (MODEL.clone(latent=Identity(9)), "gives 8 features and the code has a size of 9"),
        (MODEL.clone(decoder=PatchDecoder(2, 12, 1, 3)), "a side of 4, the decoder's 2: give"),
        (MODEL.clone(encoder=PatchEncoder(5, 8), decoder=PatchDecoder(5)), "8 x 12 pixels cannot be cut"),
        (MODEL.clone(encoder=PatchEncoder(4, 8, 1, 3)), "3 heads cannot share a width of 8"),
        (MODEL.clone(encoder=PatchEncoder(4, 6, 1, 3), latent=Identity(6)), "a width of 6 cannot hold"),
    ],
)
def test_settings_that_do_not_fit_are_refused(model, said):
    with pytest.raises(InputError, match=said):
        compiled.init(lambda model, batch: LOSS(model, batch, True), model, KEYS, Examples(X))
