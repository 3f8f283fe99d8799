import jax
import numpy as np
import pytest

from aejax.data import FACTORS, Data, Dataset, cache, catalog, load, sprites

CENTRE = {"shape": 0, "scale": 1.0, "rotation": 0.0, "x": 0.0, "y": 0.0}
SHAPES = [0, 1, 2]
PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset("sprites", **sprites.read())


def whole(dataset, name):
    return np.concatenate([getattr(dataset.part(part), name) for part in PARTS])


def image(**factors) -> np.ndarray:
    """One image in [0, 1]."""
    drawn = sprites.render(*(np.array([value]) for value in (CENTRE | factors).values()))
    return drawn[0, ..., 0] / 255


@pytest.mark.slow
def test_every_combination_of_the_factors_is_there_once_and_no_two_images_are_alike(dataset):
    x, label = whole(dataset, "x"), whole(dataset, "label")
    assert x.shape == (46_080, 32, 32, 1)
    assert x.dtype == np.uint8
    assert label.dtype == np.int32
    assert len({example.tobytes() for example in x}) == 46_080
    assert sorted(label) == list(range(len(FACTORS["sprites"])))
    assert [len(dataset.part(name)) for name in ("train", "validation", "test")] == [33_280, 2_560, 10_240]


@pytest.mark.slow
def test_every_value_of_every_factor_is_about_as_frequent_in_each_part(dataset):
    factors = FACTORS["sprites"]
    for name in ("train", "validation", "test"):
        values = factors.values(dataset.part(name).label)
        for column, size in zip(values.T, factors.sizes.values(), strict=True):
            shares = np.bincount(column, minlength=size) / len(column)
            np.testing.assert_allclose(shares, 1 / size, rtol=0.25)


@pytest.mark.slow
def test_a_label_says_where_and_how_large_its_sprite_is(dataset):
    shape, scale, _, x, y = FACTORS["sprites"].values(dataset.test.label).T
    grey = dataset.test.x[..., 0] / 255
    area = grey.sum(axis=(1, 2))
    places = (np.arange(32) + 0.5) / 16 - 1
    right, up = (grey.sum(axis=1) @ places) / area, (grey.sum(axis=2) @ -places) / area
    np.testing.assert_allclose(right, x / 15 - 0.5, atol=0.02)
    np.testing.assert_allclose(up, y / 15 - 0.5, atol=0.02)
    for each in SHAPES:
        unit = area[shape == each] / (0.5 + scale[shape == each] / 10) ** 2
        np.testing.assert_allclose(unit, unit.mean(), rtol=0.07)


@pytest.mark.parametrize(("shape", "area"), [(0, 2.0), (1, np.pi / 2), (2, 3.662 / 1.3**2)])
def test_a_sprite_covers_its_area(shape, area):
    """Of a square, an ellipse and a heart in the unit circle, in a circle of 8 pixels."""
    assert image(shape=shape, rotation=0.3).sum() == pytest.approx(64 * area, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_quarter_turn_is_the_image_turned(shape):
    np.testing.assert_allclose(image(shape=shape, rotation=np.pi / 2), np.rot90(image(shape=shape)), atol=0.26)
    assert np.abs(image(shape=shape, rotation=np.pi / 2) - np.rot90(image(shape=shape))).mean() < 0.002


def test_only_a_square_looks_the_same_after_a_quarter_turn():
    change = [np.abs(image(shape=shape, rotation=np.pi / 2) - image(shape=shape)).mean() for shape in SHAPES]
    assert change[0] < 0.002
    assert min(change[1:]) > 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_of_one_pixel_moves_the_image_by_one_pixel(shape):
    moved = image(shape=shape, x=1 / 16, y=2 / 16)
    np.testing.assert_array_equal(moved, np.roll(image(shape=shape), (-2, 1), axis=(0, 1)))


def test_none_is_cut_off():
    for shape in SHAPES:
        for rotation in np.linspace(0, 2 * np.pi, 9):
            middle, corner = image(shape=shape, rotation=rotation), image(shape=shape, rotation=rotation, x=0.5, y=0.5)
            np.testing.assert_allclose(corner.sum(), middle.sum(), rtol=0.02)


@pytest.mark.slow
def test_drawing_again_gives_the_same_bits(dataset):
    """By a program compiled again, for other numbers of images."""
    jax.clear_caches()
    for few in (dataset.test.label[:700], dataset.train.label[-1:]):
        np.testing.assert_array_equal(sprites.drawn(few), whole(dataset, "x")[np.isin(whole(dataset, "label"), few)])


@pytest.mark.slow
def test_the_split_is_the_one_that_results_were_measured_on(dataset):
    assert dataset.test.label[:3].tolist() == [28988, 27590, 30210]


@pytest.mark.slow
def test_it_is_loaded_by_name_and_its_own_parts_are_kept(dataset, monkeypatch):
    monkeypatch.setitem(catalog._EMBEDDED, "sprites", lambda: {name: dataset.part(name) for name in PARTS})
    loaded = load(Data("sprites", validation=0.5))
    assert cache.path("sprites").exists()
    np.testing.assert_array_equal(loaded.validation.x, dataset.validation.x)
    np.testing.assert_array_equal(load(Data("sprites")).test.label, dataset.test.label)
