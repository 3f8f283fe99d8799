import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL import Image

import aejax
from aejax.cli import _generation
from aejax.core import Examples, InputError, spread
from aejax.data import Dataset
from aejax.evaluation import figures, finish, suite
from aejax.evaluation.figures import images, style
from aejax.losses import Gaussian, GaussianNoise, Loss
from aejax.sweeps._thumbnails import read_thumbnails, thumbnails
from aejax.trained import Trained
from aejax.training import loop
from tests.helpers.pictures import pixels, places


@pytest.fixture(scope="module")
def digits():
    """Of their shape, and no two alike."""
    return np.random.default_rng(1).integers(0, 256, (50, 28, 28, 1)) / 255.0


def texts(figure):
    """All that a figure says beside its images, in the order in which it was written."""
    return [text.get_text() for text in figure.axes[0].texts]


def caption(figure):
    return " ".join(figure.get_supxlabel().split())


def title(figure):
    return " ".join(figure.get_suptitle().split())


def history(values, name="loss_nats", split="train"):
    return [{"epoch": i, "split": split, name: value} for i, value in enumerate(values, 1)]


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


LACKING = {  # Machado et al. 2009, table of severity 1: linear RGB as those see it who lack a cone
    "none": np.eye(3),
    "long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize(("cone", "least"), [("none", 0.17), ("long", 0.12), ("middle", 0.12), ("short", 0.12)])
def test_the_colours_of_ten_classes_are_told_apart_by_those_who_lack_a_cone_too(cone, least):
    """Distances in Oklab (Ottosson 2020): in matplotlib's tab10 there are two of 0.113, and of 0.007 without long."""
    value = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in style.CLASSES]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.68069955, 0.10739696],
        [0.08830246, 0.28171884, 0.6299787],
    ]
    lab = [
        [0.21045426, 0.79361779, -0.00407205],
        [1.977998495, -2.4285922, 0.45059371],
        [0.0259040, 0.78277177, -0.80867577],
    ]
    seen = np.cbrt(np.clip(linear @ np.transpose(LACKING[cone]), 0, 1) @ np.transpose(cones)) @ np.transpose(lab)
    apart = np.linalg.norm(seen[:, None] - seen, axis=2) + 9 * np.eye(10)
    assert len(seen) == 10
    assert apart.min() > least


@pytest.mark.parametrize("shape", [(12, 28, 28, 1), (12, 32, 32, 1), (12, 16, 16, 3), (12, 5, 9, 1)])
def test_reconstructions_draw_the_arrays_that_were_passed(rng, tmp_path, shape):
    originals, reconstructed = rng.uniform(size=(2, *shape))
    figure = figures.reconstructions(originals, reconstructed, 7)
    chosen = spread(12, 7)
    expected = np.concatenate([originals[chosen], reconstructed[chosen]])
    np.testing.assert_array_equal(pixels(figure).reshape(expected.shape), expected)
    figures.save(figure, tmp_path / "figure.png")


def test_originals_are_above_reconstructions_and_without_ticks(digits):
    axes = figures.reconstructions(digits, digits**2, title="Digits").axes[0]
    bottom, top = axes.get_ylim()
    original, reconstruction = axes.get_yticks()
    assert top < original < reconstruction < bottom
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "reconstruction"]
    assert axes.get_xticks().size == 0
    assert all(tick.tick1line.get_markersize() == 0 for tick in axes.yaxis.get_major_ticks())
    assert axes.figure.get_suptitle() == "Digits"


def test_the_squared_error_of_each_reconstruction_stands_below_it(rng):
    originals, reconstructed = rng.uniform(size=(2, 12, 8, 8, 1))
    figure = figures.reconstructions(originals, reconstructed, 5)
    chosen = spread(12, 5)
    errors = np.square(originals - reconstructed)[chosen].sum(axis=(1, 2, 3))
    np.testing.assert_allclose([float(text) for text in texts(figure)], errors, rtol=0.005)
    bottoms = [bottom for *_, bottom in places(figure)[5:]]
    assert all(0 <= text.get_position()[1] - end < 1 for text, end in zip(figure.axes[0].texts, bottoms, strict=True))
    assert "squared error" in caption(figure)


def test_each_label_is_level_with_its_row(digits):
    rows = {"clean": digits[:4, :20], "noisy": digits[4:8, :20], "denoised": digits[8:12, :20]}
    above = {"noisy": list("abcd")}
    figure = figures.image_rows(rows, above=above, below=above)
    np.testing.assert_array_equal(pixels(figure)[..., None], np.concatenate(list(rows.values())))
    boxes = places(figure)
    np.testing.assert_allclose(figure.axes[0].get_yticks(), [(boxes[i][1] + boxes[i][3]) / 2 for i in (0, 4, 8)])
    assert len(set(boxes)) == 12
    assert all(one[3] < other[1] for one, other in zip(boxes[:8], boxes[4:], strict=True))
    assert texts(figure) == [text for each in "abcd" for text in (each, each)]


@pytest.mark.parametrize(("shape", "count"), [((12, 9), 7), ((3, 784), 10), ((1, 1), 1)])
def test_vectors_are_overlaid_one_panel_an_example(rng, tmp_path, shape, count):
    originals, reconstructed = rng.normal(size=(2, *shape))
    figure = figures.reconstructions(originals, reconstructed, count)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == min(count, shape[0])
    chosen = spread(shape[0], count)
    for axes, original, reconstruction in zip(panels, originals[chosen], reconstructed[chosen], strict=True):
        np.testing.assert_array_equal(line(axes, "original").get_ydata(), original)
        np.testing.assert_array_equal(line(axes, "reconstruction").get_ydata(), reconstruction)
    figures.save(figure, tmp_path / "figure.png")


def test_images_stand_upright_on_the_page(tmp_path):
    corner = np.array([[1.0, 1.0], [1.0, 0.0]]).reshape(1, 2, 2, 1)
    figures.save(figures.image_grid(corner), tmp_path / "figure.png")
    page = imread(tmp_path / "figure.png")[..., 0]
    dark, frame = np.nonzero(page < 0.1), np.nonzero(abs(page - float(style.OFF)) < 0.05)
    for found, edges in zip(dark, frame, strict=True):  # its rows, then its columns
        assert found.min() > edges.min() + 0.45 * np.ptp(edges)


def test_arrays_of_jax_are_drawn(digits):
    figure = figures.image_grid(jnp.asarray(digits[:3]))
    np.testing.assert_allclose(pixels(figure)[..., None], digits[:3], rtol=1e-6)


def test_values_outside_the_range_are_clipped_for_the_eye(rng):
    images = rng.normal(size=(2, 8, 8, 3))
    np.testing.assert_array_equal(pixels(figures.image_grid(images)), np.clip(images, 0, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_data_of_another_range_are_drawn_from_its_low_to_its_high_end(rng, channels):
    """One scale for grey and colour, and the caption says which."""
    images = rng.uniform(-1, 1, size=(3, 8, 8, channels))
    figure = figures.image_grid(images, limits=(-1, 1))
    light = pixels(figure) if channels == 3 else (pixels(figure)[..., None] + 1) / 2
    np.testing.assert_allclose(light, (images + 1) / 2)
    if channels == 1:
        assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert caption(figure) == "black is -1, white 1"
    assert caption(figures.image_grid(images)) == ""


def test_each_channel_of_four_is_a_panel(rng):
    images = rng.uniform(size=(2, 5, 6, 4))
    figure = figures.image_grid(images)
    drawn = pixels(figure)
    assert drawn.shape == (2, 11, 13)
    for channel, (top, left) in enumerate([(0, 0), (0, 7), (6, 0), (6, 7)]):
        np.testing.assert_array_equal(drawn[:, top : top + 5, left : left + 6], images[..., channel])
    assert np.isnan(drawn[:, 5]).all()
    assert "each of its 4 channels" in caption(figure)
    assert figures.panels(rng.uniform(size=(2, 3, 3, 50)), gap=0.5).shape == (2, 15, 15, 1)


@pytest.mark.parametrize(("columns", "rows_of"), [(None, 4), (3, 3), (50, 7)])
def test_a_grid_is_filled_row_by_row(digits, columns, rows_of):
    figure = figures.image_grid(digits[:7], columns)
    assert len({left for left, *_ in places(figure)}) == rows_of
    np.testing.assert_array_equal(pixels(figure)[..., None], digits[:7])


def test_a_plane_has_its_images_where_their_codes_are(digits, tmp_path):
    figure = figures.image_plane(digits[:6], [-1.0, 0.0, 1.0], [2.0, 4.0])
    axes = figure.axes[0]
    sheet = axes.images[0].get_array()
    assert sheet.shape == (56, 84)
    np.testing.assert_array_equal(sheet[:28, 28:56], digits[1, ..., 0])
    np.testing.assert_array_equal(sheet[28:, 56:], digits[5, ..., 0])
    assert axes.get_xticks().tolist() == [14, 42, 70]
    assert axes.get_xlabel() == "dimension 0 of the code"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["4", "2"]  # the second axis ascends upwards
    figures.save(figure, tmp_path / "figure.png")
    figures.save(figures.image_plane(np.zeros((400, 2, 2, 3)), np.arange(20), np.arange(20)), tmp_path / "figure.png")


def test_weights_share_one_scale_centred_on_zero(rng):
    kernel = rng.normal(size=(20, 6))
    figure = figures.weights(kernel, (4, 5))
    np.testing.assert_array_equal(pixels(figure), kernel.T.reshape(6, 4, 5))
    limit = np.abs(kernel).max()
    assert figure.axes[0].images[0].get_clim() == (-limit, limit)
    assert len(figure.axes) == 2  # the second is the colour bar
    assert figure.axes[1].get_ylim() == (-limit, limit)
    assert texts(figure) == [str(unit) for unit in range(6)]
    assert caption(figure) == "6 of 6 units, above each its number"


def test_one_weight_far_from_all_others_does_not_take_their_contrast_and_is_said(rng):
    kernel = rng.uniform(-1, 1, size=(20, 60))
    kernel[0, 0] = 1000
    figure = figures.weights(kernel, (4, 5))
    low, high = figure.axes[0].images[0].get_clim()
    assert -low == high <= 1
    assert "beyond it, up to 1e+03" in caption(figure)


def test_weights_of_colour_images_are_grey_where_they_are_zero(rng):
    kernel = rng.normal(size=(48, 2))
    kernel[:3, 0] = 0
    figure = figures.weights(kernel, (4, 4, 3))
    half = kernel.T.reshape(2, 4, 4, 3) / (2 * np.abs(kernel).max())
    np.testing.assert_allclose(pixels(figure), 0.5 + half)
    assert f"±{np.abs(kernel).max():.3g}" in caption(figure)


def test_at_most_a_hundred_units_and_none_of_zero_scale():
    figure = figures.weights(np.zeros((4, 130)), (2, 2, 1))
    assert len(places(figure)) == 100
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


def test_curves_hold_the_history_one_line_a_split():
    train, validation = np.linspace(120, 90, 40), np.linspace(125, 96, 40)
    rows = history(train) + history(validation, split="validation")
    axes = figures.loss_curves(rows, title="Run").axes[0]
    np.testing.assert_array_equal(line(axes, "train").get_xdata(), np.arange(1, 41))
    np.testing.assert_array_equal(line(axes, "train").get_ydata(), train)
    np.testing.assert_array_equal(line(axes, "validation").get_ydata(), validation)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "validation"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "nats per example")
    low, high = axes.get_ylim()
    assert low < 90 < 125 < high


def test_the_test_part_is_a_marker_in_the_loss_curves():
    rows = [*history(np.linspace(120, 90, 40)), {"epoch": 40, "split": "test", "loss_nats": 95.0}]
    axes = figures.loss_curves(rows).axes[0]
    mark = line(axes, "test")
    assert (mark.get_xdata().tolist(), mark.get_ydata().tolist()) == ([40], [95])
    assert mark.get_marker() == "D"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]


def test_every_term_has_a_panel_with_its_unit_and_a_repeated_loss_has_none():
    row = {"epoch": 1, "split": "train", "loss_nats": 3.0, "reconstruction_nats": 2.0, "l0_units": 1.0, "seconds": 9}
    turned = dict(reversed(row.items()))
    titles = [[axes.get_title(loc="left") for axes in figures.loss_curves([given]).axes] for given in (row, turned)]
    assert titles == [["loss", "reconstruction", "l0 (units)"], ["loss", "l0 (units)", "reconstruction"]]
    assert figures.loss_curves([row], ["l0_units"]).axes[0].get_ylabel() == "units per example"
    same = {**row, "reconstruction_nats": 3.0}
    final = {"epoch": 1, "split": "test", "loss_nats": 4.0}
    titles = [axes.get_title(loc="left") for axes in figures.loss_curves([same, final]).axes]
    assert titles == ["loss", "l0 (units)"]
    assert len(figures.loss_curves([row], ["l0_units"]).axes) == 1


def test_rows_inside_an_epoch_lie_between_whole_ones_and_those_of_less_than_one_are_placed_by_step():
    def drawn(*places):
        rows = [{"epoch": epoch, "step": step, "split": "train", "loss_nats": 1.0} for epoch, step in places]
        axes = figures.loss_curves(rows).axes[0]
        return line(axes, "train").get_xdata().tolist(), axes.get_xlabel()

    assert drawn((1, 4), (1, 8), (2, 12), (2, 16), (3, 18)) == ([0.5, 1.0, 1.5, 2.0, 2.25], "epoch")
    assert drawn((1, 8), (2, 16)) == ([1.0, 2.0], "epoch")
    assert drawn((1, 2), (1, 4)) == ([2.0, 4.0], "step")


def test_a_single_epoch_shows_as_a_marker(tmp_path):
    figure = figures.loss_curves(history([100.0]))
    axes = figure.axes[0]
    figures.save(figure, tmp_path / "figure.png")
    assert line(axes, "train").get_marker() == "o"
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]


@pytest.mark.parametrize(
    ("early", "note"),
    [
        ([5000.0], "↑ epoch 1: 5000"),
        ([183.0], "↑ epoch 1: 183"),
        ([177.0], ""),
        ([900.0, 800.0], "↑ epochs 1 to 2: 900"),
    ],
)
def test_first_epochs_that_tower_leave_the_range_to_the_others(early, note):
    axes = figures.loss_curves(history([*early, *np.linspace(120, 90, 38)])).axes[0]
    low, high = axes.get_ylim()
    assert low < 90 < 120 < high
    assert (high < max(early)) == bool(note)
    assert axes.get_title(loc="right") == note


def test_a_diverged_run_still_has_a_picture(tmp_path):
    rows = history([500.0, 100.0, 95.0, 94.0, float("inf"), float("nan")])
    figures.save(figures.loss_curves(rows), tmp_path / "figure.png")
    figures.save(figures.loss_curves(history([float("nan")] * 5)), tmp_path / "figure.png")


def test_a_code_of_two_is_drawn_as_it_is_with_a_legend_of_its_labels(rng):
    codes, labels = rng.normal(size=(60, 2)), np.arange(60) % 10
    axes = figures.code_scatter(codes, labels).axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), codes)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [str(i) for i in range(10)]
    colours = axes.collections[0].get_facecolors()
    assert len(np.unique(colours, axis=0)) == 10
    np.testing.assert_array_equal(colours[:10], colours[10:20])
    assert axes.get_xlabel() == "dimension 0 of the code"
    assert axes.get_ylabel() == "dimension 1 of the code"


def test_codes_far_from_all_others_leave_the_picture_to_them_and_are_counted(rng):
    codes = rng.normal(size=(1000, 2))
    assert caption(figures.code_scatter(codes)) == ""
    codes[:2] = [[1e4, 0], [0, -1e4]]
    figure = figures.code_scatter(codes)
    assert caption(figure) == "2 of 1,000 codes lie far outside the picture"
    (left, right), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert max(right - left, top - bottom) < 20


def test_twenty_classes_have_a_legend_and_more_a_colour_bar(rng):
    codes = rng.normal(size=(63, 2))
    classes = figures.code_scatter(codes, np.arange(63) % 20).axes
    assert len(classes) == 1
    assert len(classes[0].get_legend().get_texts()) == 20
    assert sum(len(points.get_offsets()) for points in classes[0].collections) == 63
    axes, bar = figures.code_scatter(codes, np.arange(63) % 21).axes
    assert axes.get_legend() is None
    assert bar.get_ylim() == (0, 20)


def test_a_longer_code_is_drawn_on_its_principal_components(rng):
    codes = rng.normal(size=(200, 32)) * np.linspace(3, 0.1, 32)
    axes = figures.code_scatter(codes).axes[0]
    centred = codes - codes.mean(0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    share = singular**2 / (singular**2).sum()
    assert axes.get_xlabel() == f"principal component 1 ({share[0]:.1%} of variance)"
    assert axes.get_ylabel() == f"principal component 2 ({share[1]:.1%} of variance)"
    points = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(np.abs(points), np.abs(left[:, :2] * singular[:2]), atol=1e-8)


def test_shares_of_variance_of_the_caller_are_on_the_axes(rng):
    axes = figures.code_scatter(rng.normal(size=(5, 2)), explained=(0.25, 0.125)).axes[0]
    assert axes.get_xlabel() == "principal component 1 (25.0% of variance)"
    assert axes.get_ylabel() == "principal component 2 (12.5% of variance)"


def test_a_code_of_one_is_a_strip_a_label_or_a_histogram(rng):
    codes, labels = rng.normal(size=(60, 1)), np.arange(60) % 3
    strip = figures.code_scatter(codes, np.array(["a", "b", "c"])[labels]).axes[0]
    points = np.asarray(strip.collections[0].get_offsets())
    np.testing.assert_array_equal(points[:, 0], codes[:, 0])
    np.testing.assert_array_equal(points[:, 1].round(), labels)
    assert [label.get_text() for label in strip.get_yticklabels()] == ["a", "b", "c"]
    histogram = figures.code_scatter(codes).axes[0]
    assert sum(bar.get_height() for bar in histogram.patches) == 60
    continuous = figures.code_scatter(codes, codes[:, 0] ** 2).axes[0]
    np.testing.assert_array_equal(continuous.collections[0].get_offsets()[:, 1], codes[:, 0] ** 2)


@pytest.mark.parametrize("codes", [np.ones((6, 1)), np.ones((6, 2)), np.ones((6, 5)), np.eye(2, 3)])
def test_collapsed_and_few_codes_have_a_picture(tmp_path, codes):
    figures.save(figures.code_scatter(codes, np.arange(len(codes))), tmp_path / "figure.png")


IMAGES, VECTORS = np.zeros((3, 4, 4, 1)), np.zeros((3, 9))
BAD = {
    "reconstructions of another shape": lambda: figures.reconstructions(IMAGES, IMAGES[:, :3]),
    "fewer reconstructions": lambda: figures.reconstructions(IMAGES, IMAGES[:2], 2),
    "vectors for images": lambda: figures.reconstructions(IMAGES, VECTORS),
    "no rows": lambda: figures.image_rows({}),
    "no examples": lambda: figures.reconstructions(IMAGES, IMAGES, 0),
    "no vectors": lambda: figures.reconstructions(VECTORS, VECTORS, 0),
    "no channels": lambda: figures.image_grid(np.zeros((3, 4, 4, 0))),
    "a plane with gaps": lambda: figures.image_plane(IMAGES, [0.0, 1.0], [0.0, 1.0]),
    "vectors in a grid": lambda: figures.image_grid(VECTORS),
    "bytes": lambda: figures.image_grid(np.full((3, 4, 4, 1), 255, np.uint8)),
    "no columns": lambda: figures.image_grid(IMAGES, 0),
    "a kernel of another size": lambda: figures.weights(np.zeros((10, 3)), (3, 3)),
    "a convolution's kernel": lambda: figures.weights(np.zeros((3, 3, 1, 8)), (3, 3)),
    "an empty history": lambda: figures.loss_curves([]),
    "an unknown metric": lambda: figures.loss_curves(history([1.0]), ["kl_nats"]),
    "labels of another length": lambda: figures.code_scatter(VECTORS, np.zeros(2)),
    "a code that is not a matrix": lambda: figures.code_scatter(np.zeros(3)),
    "a code with NaN": lambda: figures.code_scatter(np.full((3, 2), np.nan)),
    "shares of another code": lambda: figures.code_scatter(VECTORS, explained=(0.5, 0.5)),
    "one code": lambda: figures.code_scatter(VECTORS[:1]),
    "too many names": lambda: figures.code_scatter(np.zeros((21, 2)), np.arange(21).astype(str)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(name):
    with pytest.raises(InputError, match=r"\A[A-Z0-9][^\n]+\.\Z") as error:
        BAD[name]()
    assert ". " not in str(error.value)


def test_save_replaces_and_leaves_nothing_else(digits, tmp_path):
    path = tmp_path / "figure.png"
    path.write_text("old")
    figures.save(figures.image_grid(digits[:2]), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_save_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_text("old")

    def fail(self, temporary, *_, **__):
        temporary.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.save(Figure(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_equal_arrays_give_equal_files(rng, tmp_path):
    codes, labels = rng.normal(size=(50, 1)), np.arange(50) % 4
    for name in "ab":
        figures.save(figures.code_scatter(codes, labels), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (32, 8), (100, 10), (64, 8), (30, 6), (10, 5)])
def test_a_grid_leaves_as_few_gaps_as_it_can(count, columns):
    assert images._columns(count) == columns


def test_activation_density_counts_every_unit_once_and_the_dead_aside(tmp_path):
    (axes,) = figures.activation_density([0.0, 0.01, 0.01, 0.1, 1.0, 0.0]).axes
    bars = [(bar.get_x(), bar.get_x() + bar.get_width(), bar.get_height()) for bar in axes.patches if bar.get_height()]
    assert [height for *_, height in bars] == [2, 1, 1]
    for share, (low, high, _) in zip((0.01, 0.1, 1), bars, strict=True):
        assert low * 0.999 <= share <= high * 1.001
    assert axes.get_xscale() == "log"
    assert axes.get_title(loc="right") == "dead: 2 of 6"
    (axes,) = figures.activation_density([0.9, 0.95, 0.99]).axes  # where no share is ten times another
    assert axes.get_xscale() == "linear"
    assert sum(bar.get_height() for bar in axes.patches) == 3
    assert all(tick == round(tick) for tick in axes.get_yticks())
    figures.save(figures.activation_density(np.zeros(3)), tmp_path / "all_dead.png")


@pytest.mark.parametrize("draw", [figures.activation_density, figures.code_usage])
@pytest.mark.parametrize("shares", [[], [[0.5]], [1.5], [np.nan]])
def test_shares_that_are_none_are_refused(shares, draw):
    with pytest.raises(InputError, match="from 0 to 1"):
        draw(shares)


def test_code_usage_shows_every_code_once_the_most_used_first(tmp_path):
    axes = figures.code_usage([0.25, 0.0, 0.5, 0.25, 0.0]).axes[0]
    (stairs,) = axes.patches
    np.testing.assert_array_equal(stairs.get_data().values, [0.5, 0.25, 0.25, 0.125, 0.125])
    assert axes.get_ylim()[0] == 0.125
    assert axes.get_title(loc="right") == "dead: 2 of 5"
    figures.save(figures.code_usage([1.0]), tmp_path / "one.png")


def test_latent_units_are_named_in_the_order_of_traversals_with_the_active_ones_in_colour(tmp_path):
    figure = figures.latent_units([0.001, 0.5, 0.02, 0.0], 0.01, [0.3, 1.0, 2.0, 0.1])
    variance, rate = figure.axes
    assert [bar.get_height() for bar in variance.patches] == [0.5, 0.02, 0.001, 0.0]
    assert [bar.get_height() for bar in rate.patches] == [1.0, 2.0, 0.3, 0.1]
    assert [label.get_text() for label in rate.get_xticklabels()] == ["1", "2", "0", "3"]
    for axes in (rate, variance):
        first, second, *others = [bar.get_facecolor() for bar in axes.patches]
        assert first == second != others[0] == others[1]
    assert "2 of 4 are active" in caption(figure)
    figures.save(figures.latent_units(np.zeros(3), 0.01), tmp_path / "collapsed.png")


def test_of_very_many_latent_units_the_most_used_are_drawn_and_the_caption_says_so():
    figure = figures.latent_units(np.arange(1, 301) / 300, 0.01)
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == [str(i) for i in range(299, 199, -1)]
    assert "the 100 most used of 300 dimensions" in caption(figure)


def test_an_activation_histogram_counts_every_value(rng):
    figure = figures.activation_histogram(rng.exponential(size=300))
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 300


def test_a_matrix_says_each_number_under_its_column(tmp_path):
    values = np.array([[0.25, 1.0], [0.0, 0.5], [0.125, 0.75]])
    figure = figures.matrix(values, ["x", "shape"], "latent")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.25", "1.00", "0.00", "0.50", "0.12", "0.75"]
    assert [text.get_position() for text in axes.texts] == [(column, row) for row in range(3) for column in range(2)]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "shape"]
    np.testing.assert_array_equal(axes.images[0].get_array(), values)
    assert axes.images[0].get_clim() == (0, 1)
    figures.save(figure, tmp_path / "figure.png")
    with pytest.raises(InputError, match=r"pass \[n, 3\]"):
        figures.matrix(values, ["a", "b", "c"], "latent")


@pytest.mark.parametrize("shape", [(4, 4, 1), (4, 4, 2), (4, 4, 3), (4, 4, 4), (4, 4), (4,)])
def test_images_of_any_number_of_channels_can_be_drawn(shape):
    assert figures.is_drawable(shape) is (len(shape) == 3)


@pytest.mark.slow
def test_images_of_four_channels_are_drawn_like_any_other(tiny, tmp_path, capsys):
    shape = (4, 4, 4)
    part = Examples(np.random.default_rng(0).integers(0, 256, (40, *shape), np.uint8))
    loss = dataclasses.replace(tiny.experiment.loss, corruption=GaussianNoise(0.1))
    experiment = dataclasses.replace(tiny.experiment, loss=loss, epochs=1)
    dataset = Dataset("odd", part, part.take(np.arange(8)), part)
    trained = loop.train(experiment, folder=tmp_path, dataset=dataset)
    finish(trained, dataset)
    assert "loss_nats" in capsys.readouterr().out
    drawn = {path.stem for path in (trained.run.path / "figures").iterdir()}
    assert {"loss", "codes", "reconstructions", "denoising", "samples", "traversals"} <= drawn
    rows = read_thumbnails(thumbnails(trained, part))
    assert rows["original"].shape == (8, 9, 9, 1)
    _generation._write(tmp_path / "x.png", trained, trained.sample(4, like=part), None, "samples")
    assert (tmp_path / "x.png").exists()


def test_a_model_of_vectors_writes_no_picture(tiny, tmp_path):
    vectors = Trained(tiny.experiment, (6,), tiny.experiment.data.preprocess, state=None)
    with pytest.raises(InputError, match=r"are no images: give --out a name in \.npy"):
        _generation._check_drawable(tmp_path / "x.png", vectors)


@pytest.mark.slow
def test_a_row_that_has_no_code_does_not_stop_the_other_figures(tiny, tmp_path, caplog):
    x = np.random.default_rng(0).uniform(size=(40, 6)).astype(np.float32)
    x[3] = -3.4e38
    experiment = dataclasses.replace(tiny.experiment, loss=Loss(Gaussian()), epochs=1)
    good = Examples(x[4:])
    trained = aejax.fit(experiment, dataset=Dataset("odd", good, good, good))
    suite.draw(trained, Dataset("odd", good, good, Examples(x)))
    assert "some figures are left out: " in caplog.text


def test_of_many_units_it_is_said_how_many_are_drawn(rng):
    kernel = rng.normal(size=(9, 1000))
    figure = figures.weights(kernel, (3, 3), title="Weights")
    assert title(figure) == "Weights"
    assert "100 of 1,000 units" in caption(figure)
    np.testing.assert_allclose(pixels(figure).reshape(100, 9), kernel.T[spread(1000, 100)])
    assert texts(figure) == [str(unit) for unit in spread(1000, 100)]


def test_vectors_with_names_are_points_above_the_names(rng):
    x = rng.normal(size=(3, 4))
    names = ("a", "b", "a very long name of it", "d")
    figure = figures.image_rows({"original": x, "reconstruction": x + 0.1}, names=names)
    panel = figure.axes[0]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["a", "b", "a very long name …", "d"]
    assert [line.get_linewidth() for line in panel.lines] == [0, 0]
    assert panel.lines[0].get_markerfacecolor() == "none"
    unnamed = figures.image_rows({"original": x, "reconstruction": x}).axes[0]
    assert unnamed.lines[0].get_linewidth() == 1
    assert unnamed.get_xticklabels()[0].get_text() != "a"
