"""The page of a model: what is in it, and that in a browser it does what `Trained` does, whatever one does to it."""

import dataclasses
import re

import numpy as np
import pytest
from jax import lax

from aejax.core import Examples, InputError, known
from aejax.data import Data, Dataset, Standardise
from aejax.experiment import Experiment
from aejax.losses import KL, Gaussian, Loss, Reconstruction
from aejax.models import (
    Autoencoder,
    ConditionalAutoencoder,
    GaussianLatent,
    MLPDecoder,
    MLPEncoder,
    Plain,
    VariationalAutoencoder,
)
from tests.helpers.browser import Browser, needs_chromium
from tests.helpers.untrained import untrained


def images(n, seed):
    """Grey images with an empty edge."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, 6, 6, 1), np.uint8)
    x[:, 1:5, 1:5] = rng.integers(100, 256, (n, 4, 4, 1))
    return Examples(x, rng.integers(0, 3, n).astype(np.int32))


DATASET = Dataset("generated", images(40, 0), images(11, 1), images(10, 2))
ELBO = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
PARTS = (MLPEncoder((8,)), GaussianLatent(4), MLPDecoder((8,)))


def made(model, loss=None, dataset=DATASET, data=None):
    experiment = Experiment(model, loss or Loss(), data or Data("arrays"), name="small")
    return untrained(experiment, dataset.shape, dataset)


@pytest.fixture(scope="module")
def plain():
    return made(Autoencoder(MLPEncoder(), Plain(3, "tanh"), MLPDecoder()))


@pytest.fixture(scope="module")
def conditional():
    return made(ConditionalAutoencoder(*PARTS, classes=3), ELBO)


@pytest.fixture(scope="module")
def variational():
    return made(VariationalAutoencoder(PARTS[0], GaussianLatent(2), PARTS[2]), ELBO)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(80, 5)) * [1, 10, 100, 0.1, 1] + [0, 5, 1000, 0, 0]).astype(np.float32)
    dataset = dataclasses.replace(Dataset.of(x), columns=("age", "<weight>", "income", "share", "x"))
    model = Autoencoder(MLPEncoder((6,)), Plain(3), MLPDecoder((6,)))
    return made(model, Loss(Gaussian()), dataset, Data("arrays", preprocess=Standardise())), dataset


def test_the_page_refers_to_nothing_outside_itself_and_a_notebook_shows_it(plain, tmp_path):
    explorer = plain.explore(DATASET.test)
    page = explorer.save(tmp_path / "page.html").read_text()
    assert page == explorer.html
    assert not re.search(r"\{\{\w+\}\}|\bfetch\(|XMLHttpRequest|@import|\b(src|href)=|url\(", page)
    assert set(re.findall(r"https?://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}
    assert explorer._repr_html_().startswith("<iframe ")
    assert len(repr(explorer)) < 100


def test_examples_are_those_that_are_given_or_the_test_part_of_named_data(plain):
    assert '"count":10' in plain.explore(DATASET.test).html
    assert '"count":7' in plain.explore(DATASET.train.x, most=7).html
    with pytest.raises(InputError, match="give examples"):
        plain.explore()
    with pytest.raises(InputError, match="to hold 1 examples: give 2 or more"):
        plain.explore(DATASET.test, most=1)


def test_a_file_in_no_folder_is_refused(plain, tmp_path):
    with pytest.raises(InputError, match=r"none/page.html cannot be written \(No such file or directory\)"):
        plain.explore(DATASET.test).save(tmp_path / "none" / "page.html")


@known
class Looping(MLPDecoder):
    """A decoder with a loop."""

    def __call__(self, z, shape, train=False):
        return super().__call__(lax.fori_loop(0, 2, lambda i, z: z * z, z), shape, train)


def test_a_model_that_no_page_can_run_is_refused_when_the_page_is_made():
    trained = made(Autoencoder(MLPEncoder(), Plain(3), Looping()))
    with pytest.raises(InputError, match=r"the decoder uses the operation '(scan|while)', which a page cannot run"):
        trained.explore(DATASET.test)


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a model, whose weights are whole."""

    def open_page(trained, examples, **window):
        browser.errors.clear()
        browser.open(trained.explore(examples, precision="float32").save(tmp_path / "page.html"), **window)
        return browser

    yield open_page
    browser.value("1")
    assert browser.errors == []


def array(browser, expression):
    return np.asarray(browser.value(f"Array.from({expression})"), np.float32)


def shows_what_the_model_gives(browser, trained, label=None, own=True):
    """That the page's code and output are those of the model, for the page's own input or code."""
    x, z, made = (array(browser, f"page.{name}") for name in ("x", "z", "made"))
    if own:
        np.testing.assert_allclose(z, trained.encode(x.reshape(1, *trained.shape), label)[0], atol=1e-5)
    np.testing.assert_allclose(made, trained.decode(z[None], label)[0].ravel(), atol=1e-4)
    return x, z, made


@needs_chromium
@pytest.mark.slow
def test_a_drawing_is_encoded_and_decoded_as_the_model_does(opened, conditional):
    page = opened(conditional, DATASET.test)
    label = [page.value("page.label")]
    shows_what_the_model_gives(page, conditional, label)
    page.click("#clear")
    x, before, _ = shows_what_the_model_gives(page, conditional, label)
    assert not x.any()
    page.click("#fit")
    page.drag("#pad", [(0.1, 0.9), (0.5, 0.9), (0.9, 0.9)])
    x, after, _ = shows_what_the_model_gives(page, conditional, label)
    image = x.reshape(6, 6)
    assert image[5].min() > 0.3
    assert not image[:4].any()
    assert not np.allclose(before, after)
    page.click("#fit")  # the data are in the middle, so the drawing goes there
    moved = shows_what_the_model_gives(page, conditional, label)[0].reshape(6, 6)
    rows = moved.sum(axis=1) / moved.sum()
    assert rows @ (np.arange(6) + 0.5) == pytest.approx(3, abs=0.3)
    page.click("#undo")
    assert not array(page, "page.x").any()


@needs_chromium
@pytest.mark.slow
def test_strokes_lie_over_the_example_and_the_rubber_takes_it_away(opened, plain):
    page = opened(plain, DATASET.test)
    page.click("#thumbs button:nth-child(3)")
    x, *_ = shows_what_the_model_gives(page, plain)
    np.testing.assert_allclose(x, np.asarray(DATASET.test.x[2], np.float32).ravel() / 255, atol=1e-6)
    page.click("#rubber")
    page.drag("#pad", [(0.05, 0.25), (0.95, 0.25)])
    y, *_ = shows_what_the_model_gives(page, plain)
    assert y[6:12].sum() < 0.3 * x[6:12].sum()
    np.testing.assert_allclose(y[18:], x[18:], atol=1e-6)


@needs_chromium
@pytest.mark.slow
def test_the_class_a_code_is_decoded_with_is_the_one_that_is_chosen(opened, conditional):
    page = opened(conditional, DATASET.test)
    for label in (2, 0):
        page.click(f"#classes button:nth-child({label + 1})")
        shows_what_the_model_gives(page, conditional, [label])


@needs_chromium
@pytest.mark.slow
def test_sliders_and_keys_move_the_code_and_take_it_back(opened, plain):
    page = opened(plain, DATASET.test)
    _, z, _ = shows_what_the_model_gives(page, plain)
    page.value("document.querySelector('#sliders input').focus()")
    page.send("Input.dispatchKeyEvent", type="rawKeyDown", key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    dimension = page.value("page.parts[2].rows[0].dimension")
    for _ in range(100):  # a browser hands a key on once it is ready, which takes long where others compute
        page.settle()
        if array(page, "page.z")[dimension] != z[dimension]:
            break
    _, moved, _ = shows_what_the_model_gives(page, plain, own=False)
    assert moved[dimension] < z[dimension]
    np.testing.assert_array_equal(np.delete(moved, dimension), np.delete(z, dimension))
    page.key("b")
    np.testing.assert_array_equal(array(page, "page.z"), z)


@needs_chromium
@pytest.mark.slow
def test_dragging_moves_the_code_within_the_plane(opened, plain):
    page = opened(plain, DATASET.test)
    z = array(page, "page.z")
    page.drag("#map", [(0.5, 0.5), (0.6, 0.5), (0.7, 0.2)])
    _, moved, _ = shows_what_the_model_gives(page, plain, own=False)
    axes = np.stack([array(page, f"page.parts[3].axes[{i}]") for i in (0, 1)])
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-5)
    step = moved - z
    np.testing.assert_allclose(axes.T @ (axes @ step), step, atol=1e-4)
    place = page.value("page.parts[3].at(0.7, 0.2)")
    np.testing.assert_allclose(page.value("page.parts[3].project(page.z)"), place, rtol=0.02, atol=0.02)


@needs_chromium
@pytest.mark.slow
def test_of_a_code_of_two_numbers_the_plane_is_the_code_and_is_decoded_everywhere(opened, variational):
    page = opened(variational, DATASET.test)
    page.wait("document.getElementById('tapestry').getAttribute('aria-pressed') === 'true'")
    page.drag("#map", [(0.25, 0.75), (0.3, 0.7)])
    _, z, _ = shows_what_the_model_gives(page, variational, own=False)
    np.testing.assert_allclose(z, page.value("page.parts[3].at(0.3, 0.7)"), rtol=0.02, atol=0.02)
    page.click("#sample")
    shows_what_the_model_gives(page, variational, own=False)


@needs_chromium
@pytest.mark.slow
def test_between_two_examples_lie_the_codes_of_interpolate(opened, plain):
    page = opened(plain, DATASET.test)
    page.click("#first")
    page.click("#thumbs button:nth-child(2)")
    page.click("#second")
    page.click("#thumbs button:nth-child(5)")
    for path, button in (("line", None), ("arc", "#arc")):
        if button:
            page.click(button)
        page.click("#strip canvas:nth-child(4)")
        made = shows_what_the_model_gives(page, plain, own=False)[2]
        want = plain.interpolate(DATASET.test.x[1:2], DATASET.test.x[4:5], steps=9, path=path)[0, 3]
        np.testing.assert_allclose(made, want.ravel(), atol=1e-3)


@needs_chromium
@pytest.mark.slow
def test_of_a_table_columns_have_names_and_their_values_can_be_changed(opened, table):
    trained, dataset = table
    page = opened(trained, dataset.test)
    names = "[...document.querySelectorAll('#input-values .value span:first-child')].map(x => x.textContent)"
    assert page.value(names) == list(dataset.columns)
    x, *_ = shows_what_the_model_gives(page, trained)
    page.drag("#input-values .value:nth-child(3) input", [(0.5, 0.5), (0.9, 0.5)])
    y, *_ = shows_what_the_model_gives(page, trained)
    assert (x != y).tolist() == [False, False, True, False, False]
    low, high = dataset.test.x[:, 2].min(), dataset.test.x[:, 2].max()
    assert low + 0.8 * (high - low) < y[2] <= high


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_it_fits_the_width_and_a_finger_draws(opened, plain, dark):
    page = opened(plain, DATASET.test, width=380, height=800, dark=dark, touch=True)
    assert page.value("document.documentElement.scrollWidth") <= 380
    assert page.value("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    page.click("#clear")
    page.click("#fit")
    page.touch("#pad", [(0.2, 0.2), (0.5, 0.5), (0.8, 0.8)])
    x, *_ = shows_what_the_model_gives(page, plain)
    assert np.diag(x.reshape(6, 6))[1:5].min() > 0.3


@needs_chromium
@pytest.mark.slow
def test_colour_images_are_drawn_in_colour(opened):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 6, 5, 3), np.uint8)
    dataset = Dataset.of(x)
    trained = made(Autoencoder(MLPEncoder((8,)), Plain(3), MLPDecoder((8,))), dataset=dataset)
    page = opened(trained, dataset.test)
    page.click("#clear")
    page.value("document.getElementById('colour').value = '#ff0000'")
    page.drag("#pad", [(0.1, 0.5), (0.9, 0.5)])
    drawn = shows_what_the_model_gives(page, trained)[0].reshape(6, 5, 3)
    assert drawn[..., 0].max() > 0.3
    assert not drawn[..., 1:].any()
