import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import binary_opening
from scipy.stats import kstest

from aejax.core import Examples, InputError, as_arrays
from aejax.evaluation._denoising import scaled_level
from aejax.losses import Clean, GaussianNoise, Holes, Loss, Masking
from aejax.losses.corruption import Clip, Composed, SaltAndPepper
from tests.helpers import compiled

KEY = jax.random.key(0)
X = jnp.full((200, 10, 10, 1), 0.5)
ALL = [GaussianNoise(0.3), Masking(0.3), SaltAndPepper(0.3), Composed((GaussianNoise(0.3), Clip()))]


@pytest.mark.parametrize("corruption", ALL, ids=lambda item: type(item).__name__)
def test_noise_is_fresh_for_every_key_and_value_and_the_same_for_the_same_key(corruption):
    noisy = corruption(X, KEY)
    np.testing.assert_array_equal(noisy, corruption(X, KEY))
    assert not np.array_equal(noisy, corruption(X, jax.random.key(1)))
    assert not np.array_equal(noisy[0], noisy[1])
    assert noisy.shape == X.shape


def test_gaussian_noise_is_normal_of_its_level_without_a_mean():
    noise = np.asarray(GaussianNoise(0.3)(X, KEY) - X)
    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert abs(noise.mean()) < 0.01
    assert kstest(noise.ravel() / 0.3, "norm").pvalue > 0.01


def test_masking_loses_its_share_and_leaves_the_rest():
    noisy = np.asarray(Masking(0.3)(X, KEY))
    assert (noisy == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert set(np.unique(noisy)) == {0.0, 0.5}


def test_holes_lose_their_share_in_whole_blocks_of_all_channels_that_begin_anywhere():
    x = jnp.asarray(np.random.default_rng(0).random((400, 11, 8, 3)), jnp.float32)
    noisy = np.asarray(Holes(0.3, side=3)(x, KEY))
    lost = noisy != x
    assert (lost == lost[..., :1]).all()
    assert (lost[0] != lost[1]).any()
    assert (noisy != Holes(0.3, side=3)(x, jax.random.key(1))).any()
    np.testing.assert_array_equal(noisy, Holes(0.3, side=3)(x, KEY))
    for before, after, own in zip(np.asarray(x), noisy, lost[..., 0], strict=True):
        if own.any() and not own.all():
            np.testing.assert_allclose(after[own] - before[~own].mean(axis=0)[None], 0, atol=1e-6)
    np.testing.assert_allclose(lost[..., 0].mean(axis=0), 0.3, atol=0.1)
    for image in lost[:20, ..., 0]:
        around = np.pad(image, 3, constant_values=True)  # blocks that the border cuts
        np.testing.assert_array_equal(binary_opening(around, np.ones((3, 3)))[3:-3, 3:-3], image)
    for ends in (lost[:, 1:] & ~lost[:, :-1], lost[:, :, 1:] & ~lost[:, :, :-1]):
        begins = ends[..., 0].mean(axis=0)  # a third of the shifts, times lost and then not
        np.testing.assert_allclose(begins, 0.07, atol=0.06)
        assert begins.min() > 0.02
    np.testing.assert_allclose((Holes(0.1, up_to=0.5)(x, KEY) != x).mean(), 0.3, atol=0.03)


@pytest.mark.parametrize(
    "corruption", [Masking(), Holes(), Composed((Clip(), Holes()))], ids=lambda of: type(of).__name__
)
def test_what_is_hidden_leaves_no_trace(corruption):
    x, lost = np.random.default_rng(0).random((5, 4, 6, 3)).astype(np.float32), np.zeros((5, 4, 6, 1), bool)
    lost[:2, 1:3, 2:4], lost[2] = True, True
    hidden = np.asarray(corruption.hide(jnp.asarray(x), jnp.asarray(lost)))
    np.testing.assert_array_equal(corruption.hide(jnp.asarray(np.where(lost, 7, x)), jnp.asarray(lost)), hidden)
    kept = np.broadcast_to(~lost, x.shape)
    np.testing.assert_array_equal(hidden[kept], x[kept])
    assert corruption.masks
    assert np.isfinite(hidden).all()


@pytest.mark.parametrize(("corruption", "x"), [(Holes(), X[:, 0, 0]), (Holes(side=0), X)])
def test_holes_are_of_images_and_of_pixels(corruption, x):
    with pytest.raises(InputError, match="cannot be made in examples of shape"):
        corruption(x, KEY)


@pytest.mark.parametrize("corruption", [SaltAndPepper(0.3), SaltAndPepper(0.1, up_to=0.5)], ids=["level", "range"])
def test_salt_and_pepper_are_as_many(corruption):
    noisy = np.asarray(corruption(X, KEY))
    assert (noisy == 0).mean() == pytest.approx(0.15, abs=0.01)
    assert (noisy == 1).mean() == pytest.approx(0.15, abs=0.01)


def test_clipping_after_noise_keeps_the_interval_and_parts_have_keys_of_their_own():
    clipped = Composed((GaussianNoise(2.0), Clip()))(X, KEY)
    assert 0 <= clipped.min() < clipped.max() <= 1
    twice = np.asarray(Composed((GaussianNoise(0.3), GaussianNoise(0.3)))(X, KEY) - X)
    assert twice.std() == pytest.approx(0.3 * np.sqrt(2), rel=0.02)  # 0.6 if both drew the same


@pytest.mark.parametrize("kind", [GaussianNoise, Masking, SaltAndPepper])
def test_in_a_range_every_example_draws_its_own_level(kind):
    noisy = np.asarray(kind(0.1, up_to=0.5)(X, KEY)).reshape(200, -1)
    spread = noisy.std(axis=1) if kind is GaussianNoise else (noisy != 0.5).mean(axis=1)
    assert spread.min() < 0.17
    assert spread.max() > 0.43
    assert spread.mean() == pytest.approx(0.3, abs=0.03)


def test_levels_are_traced():
    chex.clear_trace_counter()
    corrupt = jax.jit(chex.assert_max_traces(lambda corruption, x: corruption(x, KEY), n=1))
    for level in (0.1, 0.2, 0.3):
        corrupt(as_arrays(Composed((GaussianNoise(level), Masking(level)))), X)


def test_the_target_is_never_corrupted(tiny):
    """With everything masked the codes say nothing of the examples, and the error is still taken to the clean ones."""
    experiment = tiny.experiment.resolve(tiny.dataset)
    loss = dataclasses.replace(experiment.loss, corruption=Masking(1.0))
    batch = dataclasses.replace(tiny.dataset.test, x=jnp.asarray(tiny.dataset.test.x / 255, jnp.float32), label=None)
    keys = {"params": KEY, "latent": KEY, "corruption": KEY}
    variables = compiled.init(lambda model, batch: loss(model, batch, True), experiment.model, keys, batch)
    # At logits of 0 every target costs the same.
    variables = jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), variables)
    values, _ = compiled.apply(loss, experiment.model, variables, keys, batch)

    def of_nothing(model, batch):
        raw = model.decode(model.encode(Examples(jnp.zeros_like(batch.x))).mean, batch)
        return -loss.likelihood.log_prob(batch.x, raw)

    expected, _ = compiled.apply(of_nothing, experiment.model, variables, keys, batch)
    np.testing.assert_allclose(values["reconstruction_nats"], expected, rtol=1e-6)


def test_a_loss_is_clean_unless_it_says_so():
    assert Loss().corruption == Clean()
    np.testing.assert_array_equal(Clean()(X, KEY), X)


def test_levels_are_scaled_wherever_they_are():
    before = Composed((GaussianNoise(0.5), Masking(0.1, up_to=0.2), Clip()))
    assert scaled_level(before, 2.0) == Composed((GaussianNoise(1.0), Masking(0.4), Clip()))
