"""Every picture of a run says where it comes from and what it shows, and pictures of one run agree with each other."""

import dataclasses

import numpy as np
import pytest

import aejax
from aejax.core import Examples
from aejax.data import Data, Dataset, Standardise
from aejax.evaluation import _shown, report, suite
from aejax.losses import KL, Gaussian, Loss, Reconstruction
from aejax.metrics import Detector
from aejax.models import GaussianLatent, MLPDecoder, MLPEncoder, VariationalAutoencoder
from aejax.trained.shown import classes, shown_limits

NAMES = ("aeroplane", "automobile", "an owl that is young")


def part(n, seed=0):
    rng = np.random.default_rng(seed)
    return Examples(rng.integers(0, 256, (n, 6, 6, 1), np.uint8), np.sort(np.arange(n) % 3).astype(np.int32))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A run of a small variational autoencoder, and its figures by name."""
    dataset = Dataset("generated", part(60), part(12, 1), part(30, 2), classes=NAMES)
    model = VariationalAutoencoder(MLPEncoder((8,)), GaussianLatent(4), MLPDecoder((8,)))
    loss = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
    experiment = aejax.Experiment(model, loss, Data("generated"), batch_size=20, epochs=2, name="small")
    trained = aejax.fit(experiment, folder=tmp_path_factory.mktemp("runs"), dataset=dataset)
    report.finish(trained, dataset, samples=2)
    return trained, suite.draw(trained, dataset)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def rows(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.slow
def test_every_picture_names_the_experiment_the_run_the_data_and_what_it_shows(drawn):
    trained, figures = drawn
    expected = "loss reconstructions codes latent_units traversals samples interpolations"
    assert set(expected.split()) == set(figures)
    for name, figure in figures.items():
        title, source = figure.get_suptitle().rsplit("\n", 1)
        assert source == f"small, run {trained.run.path.name}, trained on generated", name
        assert len(title) > 10, name
        part_named = "test" in title or name == "samples"  # which come from the prior
        assert part_named, name


@pytest.mark.slow
def test_a_latent_unit_is_found_in_the_traversals_by_its_number_and_place(drawn):
    _, figures = drawn
    units = [label.get_text() for label in figures["latent_units"].axes[-1].get_xticklabels()]
    assert rows(figures["traversals"]) == [f"dimension {unit}" for unit in units]
    values = np.asarray(texts(figures["traversals"]), float).reshape(4, -1)
    assert (np.diff(values, axis=1) > 0).all()


@pytest.mark.slow
def test_the_ends_of_interpolations_are_labelled_by_what_they_are(drawn):
    _, figures = drawn
    heads = texts(figures["interpolations"])
    assert heads[0] == heads[-1] == "original"
    assert (heads[1], heads[-2]) == ("0%", "100%")
    short = {"aeroplane", "automobile", "an owl that…"}
    assert all(set(row.split(": ")[1].split(" to ")) <= short for row in rows(figures["interpolations"]))


@pytest.mark.slow
def test_examples_of_sorted_data_are_of_all_classes_and_named(drawn):
    _, figures = drawn
    said = texts(figures["reconstructions"])
    names = [text for text in said if not text[0].isdigit()]
    assert set(names) == {"aeroplane", "automobile", "an owl that…"}
    assert len(said) == 2 * len(names) == 20
    legend = figures["codes"].axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == sorted(NAMES)


@pytest.mark.slow
def test_the_test_part_is_in_the_loss_of_a_run_that_has_been_measured(drawn):
    trained, figures = drawn
    result = trained.run.result()
    for axes, name in zip(figures["loss"].axes, ("loss_nats", "kl_nats", "reconstruction_nats"), strict=False):
        mark = next(line for line in axes.lines if line.get_label() == "test")
        assert mark.get_ydata().tolist() == [result["test"][name]]
    alone = suite.draw_loss(dataclasses.replace(trained, run=None))
    assert not [line for line in alone.axes[0].lines if line.get_label() == "test" and len(line.get_xdata())]


def test_labels_that_are_no_classes_do_not_colour(tiny):
    label = np.arange(300, dtype=np.int32)
    model = _named(tiny.experiment)
    dataset = Dataset("generated", part(3), part(3), part(3))
    called, note = classes(model, dataset.classes, label, 20)
    assert called is None
    assert "300 different ones" in note
    sprites = _named(dataclasses.replace(tiny.experiment, data=Data("sprites")))
    called, note = classes(sprites, dataset.classes, np.array([0, 15360, 46079]), 20)
    assert called.tolist() == [0, 1, 2]
    assert note == "colours: shape"
    outliers = _named(dataclasses.replace(tiny.experiment, detector=Detector()))
    assert classes(outliers, dataset.classes, np.array([1, 0]), 20)[0].tolist() == ["outlier", "normal"]
    assert classes(model, dataset.classes, None, 20) == (None, "")


@pytest.mark.parametrize(
    ("low", "high", "ends"), [(0.0, 1.0, (0, 1)), (-1.0, 1.0, (-1, 1)), (-0.9, 0.8, (-1, 1)), (100.0, 4000.0, None)]
)
def test_data_are_drawn_on_the_scale_that_is_theirs(tiny, low, high, ends):
    x = np.random.default_rng(0).uniform(low, high, (40, 4, 4, 1)).astype(np.float32)
    x[0, 0, 0, 0], x[1, 0, 0, 0] = low, high
    some = Examples(x)
    trained = aejax.fit(
        dataclasses.replace(tiny.experiment, loss=Loss(Gaussian()), epochs=1), dataset=Dataset("d", some, some, some)
    )
    drawn = shown_limits(trained, trained.seen(x))
    if ends is not None:
        assert drawn == ends
    else:
        hot = x.copy()
        hot[3, 3, 3, 0] = 65_000  # a pixel that is broken
        assert low <= drawn[0] < drawn[1] <= high
        assert shown_limits(trained, hot)[1] < 1.1 * high


@pytest.mark.slow
def test_rows_of_numbers_are_drawn_standardised_where_the_model_sees_them_so(tiny):
    rng = np.random.default_rng(0)
    some = Examples((rng.normal(size=(40, 3)) * [1, 100, 10_000]).astype(np.float32))
    experiment = dataclasses.replace(
        tiny.experiment, loss=Loss(Gaussian()), data=Data("generated", preprocess=Standardise()), epochs=1
    )
    trained = aejax.fit(experiment, dataset=Dataset("generated", some, some, some))
    drawn, note = _shown.in_drawn_units(trained, trained.seen(some.x))
    np.testing.assert_allclose(drawn.std(axis=0), 1, rtol=1e-3)
    assert note == "values are standardised"
    figure = suite.draw_reconstructions(trained, Dataset("generated", some, some, some))
    assert note in figure.get_supxlabel()


def _named(experiment):
    return type("Named", (), {"experiment": experiment})


@pytest.mark.slow
def test_figures_that_a_resumed_run_does_not_draw_anew_are_set_aside(drawn, caplog):
    """As those of its sampler, where none is fitted to its new state: the page of the run shows what it has come to."""
    trained, figures = drawn
    folder = trained.run.path / "figures"
    (folder / "of_before.png").write_bytes(b"a picture")
    report.finish(trained, Dataset("generated", part(60), part(12, 1), part(30, 2), classes=NAMES), samples=2)
    assert {path.stem for path in folder.glob("*.png")} == {*figures}
    assert (folder / "earlier" / "of_before.png").read_bytes() == b"a picture"
    assert "not drawn anew: of_before" in caplog.text
