"""Images of any size go through a model of one size by tiles, and nothing shows where these meet."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from sklearn.datasets import load_sample_images

from aejax.core import Examples, InputError
from aejax.data import Data, Dataset, Scale, Standardise, scaled
from aejax.experiment import Experiment
from aejax.losses import Clip, Composed, GaussianNoise, Holes, Loss, Masking
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.trained import require_pictures, tiling
from tests.helpers.untrained import untrained

TILE = (16, 16, 3)
SIZES = [(16, 16), (17, 16), (40, 31), (33, 90)]


def images(size, n=2, channels=3):
    return np.random.default_rng(0).random((n, *size, channels), np.float32)


def same(tiles, label):
    return tiles


@pytest.mark.parametrize("length", [7, 8, 9, 20, 101])
@pytest.mark.parametrize("side", [1, 2, 5, 7])
def test_the_weights_of_all_tiles_sum_to_one_at_each_place(length, side):
    starts, weights = tiling._axis(length, side)
    total = np.zeros(length)
    for start, own in zip(starts, weights, strict=True):
        total[start : start + side] += own
    np.testing.assert_allclose(total, 1, rtol=1e-15)
    assert (weights >= 0).all()
    assert starts[0] == 0
    assert starts[-1] == length - side


@pytest.mark.parametrize("size", SIZES)
def test_what_leaves_tiles_as_they_are_leaves_images_as_they_are(size):
    x = images(size)
    np.testing.assert_array_equal(tiling.blended(same, TILE, [x]), x)


@pytest.mark.parametrize("size", SIZES)
def test_a_function_of_near_pixels_gives_of_tiles_what_it_gives_of_the_whole_image(size):
    def blur(x, label=None):
        return uniform_filter(x, 5, mode="constant", axes=(1, 2))  # two pixels to each side: an eighth of a tile

    x = images(size)
    np.testing.assert_allclose(tiling.blended(blur, TILE, [x]), blur(x), rtol=1e-5)


def test_how_many_tiles_are_taken_at_a_time_changes_no_bit():
    x, label = images((40, 31)), np.array([0, 1])

    def function(tiles, label):
        return tiles**2 + label[:, None, None, None]

    whole = tiling.blended(function, TILE, [x], label)
    for at_once in (1, 5, 7):
        np.testing.assert_array_equal(tiling.blended(function, TILE, [x], label, at_once), whole)
    np.testing.assert_allclose(whole, function(x, label), rtol=1e-6)


def test_a_tile_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"tiles of shape \(16, 16, 3\) became \(16, 16, 1\)"):
        tiling.blended(lambda tiles, label: tiles[..., :1], TILE, [images((20, 20))])


@pytest.fixture(scope="module")
def wiener():
    """The best linear denoiser of 8 x 8 tiles of one photo, and another photo, clean and with its noise."""
    learned, shown = (photo.astype(np.float32) / 255 for photo in load_sample_images().images)
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, (420, 633), (6000, 2)).T
    clean = np.stack([learned[r : r + 8, c : c + 8].ravel() for r, c in zip(rows, columns, strict=True)])
    noisy = np.c_[clean + rng.normal(0, 0.1, clean.shape).astype(np.float32), np.ones(len(clean), np.float32)]
    weights = np.linalg.solve(noisy.T @ noisy, noisy.T @ clean)

    def denoise(tiles, label=None):
        flat = tiles.reshape(len(tiles), -1)
        return (flat @ weights[:-1] + weights[-1:]).reshape(tiles.shape)

    shown = shown[100:324, 200:424]
    return denoise, shown, (shown + rng.normal(0, 0.1, shown.shape)).astype(np.float32)


def jump(image, places):
    """How much larger steps between neighbours are at some places of an axis than at all others, over both axes."""
    sides = (image, image.swapaxes(0, 1))
    steps = sum(np.abs(np.diff(side, axis=0)).mean(axis=(1, 2)) for side in sides)
    there = np.isin(np.arange(len(steps)), places)
    return steps[there].mean() / steps[~there].mean()


def test_no_seam_is_seen_where_tiles_of_a_photo_meet(wiener):
    denoise, clean, noisy = wiener
    made = tiling.blended(denoise, (8, 8, 3), [noisy[None]])[0]
    apart = denoise(noisy.reshape(28, 8, 28, 8, 3).swapaxes(1, 2).reshape(-1, 8, 8, 3))
    apart = apart.reshape(28, 28, 8, 8, 3).swapaxes(1, 2).reshape(clean.shape)
    ends = np.arange(7, 223, 8)
    for places in (ends, np.arange(3, 223, 8), np.arange(0, 223, 4)):  # tiles begin half a tile apart
        assert jump(made, places) < 1.03 * max(jump(clean, places), 1)
    assert jump(apart, ends) > 1.3  # so it is measured, and side by side they show
    assert np.square(made - clean).mean() < np.square(apart - clean).mean()


def experiment(corruption, preprocess, classes=0):
    model = Autoencoder(MLPEncoder((8,)), Plain(6), MLPDecoder((8,)))
    return Experiment(model, Loss(corruption=corruption), Data("small", preprocess=preprocess), name="small")


@pytest.fixture(scope="module", params=[Scale(), Standardise()], ids=["scaled", "standardised"])
def trained(request):
    x = np.random.default_rng(1).integers(0, 256, (30, 6, 8, 1), np.uint8)
    parts = [Examples(part) for part in (x[:20], x[20:25], x[25:])]
    return untrained(experiment(Masking(0.5), request.param), (6, 8, 1), Dataset("small", *parts))


def levels(*shape):
    return np.random.default_rng(2).integers(0, 256, shape, np.uint8)


def test_images_of_the_training_size_are_reconstructed(trained):
    x = levels(5, 6, 8, 1)
    np.testing.assert_array_equal(trained.denoise(x), trained.reconstruct(x))
    np.testing.assert_array_equal(trained.denoise(x[..., 0]), trained.reconstruct(x))


def test_larger_images_are_joined_of_their_tiles(trained):
    x = levels(2, 6, 9, 1)
    one, other = trained.reconstruct(x[:, :, :8]), trained.reconstruct(x[:, :, 1:])
    made = trained.denoise(x)
    np.testing.assert_allclose(made[:, :, :1], one[:, :, :1], rtol=1e-6)
    np.testing.assert_allclose(made[:, :, 8:], other[:, :, 7:], rtol=1e-6)
    between = (made[:, :, 1:8] - one[:, :, 1:]) * (made[:, :, 1:8] - other[:, :, :7])
    assert (between <= 1e-9).all()
    as_shares = trained.denoise((x / 255).astype(np.float32))
    np.testing.assert_allclose(as_shares, made, rtol=1e-5, atol=1e-6)


def test_missing_pixels_alone_are_replaced_whatever_they_were(trained):
    x, missing = levels(3, 13, 11, 1), np.random.default_rng(3).random((13, 11)) < 0.3
    made = trained.denoise(x, missing=missing)
    given = np.where(missing[None, ..., None], 200, x)
    np.testing.assert_array_equal(trained.denoise(given, missing=missing), made)
    np.testing.assert_array_equal(made[:, ~missing], scaled(x)[:, ~missing])
    assert (np.abs(made - x / 255)[:, missing] > 0.01).mean() > 0.5
    each = np.stack([missing, ~missing, missing])
    np.testing.assert_allclose(trained.denoise(x, missing=each)[::2], made[::2], rtol=1e-5)


@pytest.mark.parametrize("corruption", [Masking(), Holes()], ids=["zeros", "means"])
def test_a_hole_is_given_as_in_training(trained, corruption):
    x, missing = levels(4, 6, 8, 1), np.zeros((6, 8), bool)
    missing[2:4, 3:6] = True
    loss = dataclasses.replace(trained.experiment.loss, corruption=corruption)
    trained = dataclasses.replace(trained, experiment=dataclasses.replace(trained.experiment, loss=loss))
    seen = np.array(trained.preprocess(jnp.asarray(x / 255, jnp.float32), None))
    seen[:, missing] = 0 if corruption == Masking() else seen[:, ~missing].mean(axis=(1, 2))[:, None, None]
    expected = trained.reconstruct(np.asarray(trained.preprocess.invert(jnp.asarray(seen))))
    made = trained.denoise(x, missing=missing)
    np.testing.assert_allclose(made[:, missing], expected[:, missing], rtol=1e-4, atol=1e-5)


def test_only_a_model_that_was_trained_to_fills_holes(trained):
    missing = np.zeros((6, 8), bool)
    for corruption in (GaussianNoise(), Composed((GaussianNoise(), Clip()))):
        loss = Loss(corruption=corruption)
        other = dataclasses.replace(trained, experiment=dataclasses.replace(trained.experiment, loss=loss))
        with pytest.raises(InputError, match="was not trained to fill in missing values: train one that is, by --loss"):
            other.denoise(levels(1, 6, 8, 1), missing=missing)
    assert Composed((GaussianNoise(), Holes())).masks


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 5, 8, 1), r"images have shape \(1, 5, 8, 1\), but this model was trained on \(n, 6, 8, 1\): give images"),
        ((1, 9, 9, 3), "of as many channels that are as large or larger"),
        ((0, 6, 8, 1), r"the examples have shape \(0, 6, 8, 1\)"),
        ((6, 8, 1), r"give a single one as x\[None\]"),
    ],
)
def test_images_that_no_tile_fits_are_refused(trained, shape, said):
    with pytest.raises(InputError, match=said):
        trained.denoise(levels(*shape))


@pytest.mark.parametrize("mask", [np.zeros((6, 9), bool), np.zeros((6, 8)), np.zeros((2, 6, 8), bool)])
def test_a_mask_of_another_size_or_type_is_refused(trained, mask):
    with pytest.raises(InputError, match="the mask of missing pixels is"):
        trained.denoise(levels(1, 6, 8, 1), missing=mask)


def test_numbers_in_another_unit_are_not_written_as_images(trained):
    require_pictures(trained)
    x = np.random.default_rng(0).normal(0, 100, (20, 6, 8, 1)).astype(np.float32)
    for values, said in ((x, "trained on numbers from -"), (np.tile(x, 2), r"shape \(6, 8, 2\) are no grey or colour")):
        dataset = Dataset("numbers", Examples(values), Examples(values[:0]), Examples(values[:0]))
        with pytest.raises(InputError, match=said):
            require_pictures(untrained(experiment(Masking(), Scale()), values.shape[1:], dataset))
