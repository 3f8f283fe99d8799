import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax import core
from aejax.core import Examples, InputError
from aejax.data import Data, Dataset, StaticBinarise, Stored, pack, read_examples
from aejax.losses import Gaussian, Loss
from aejax.trained import programs, trained as module
from tests.helpers.small import DATASET, EXPERIMENT


@pytest.fixture(scope="module")
def trained():
    return aejax.fit(EXPERIMENT, dataset=DATASET)


def test_codes_do_not_depend_on_how_many_examples_go_together(trained, monkeypatch):
    x = np.concatenate([DATASET.train.x, DATASET.test.x])
    whole = trained.encode(x)
    assert whole.shape == (50, 3)
    monkeypatch.setattr(programs, "CHUNK", 16)
    np.testing.assert_allclose(trained.encode(x), whole, atol=1e-6)
    for n in (1, 2, 7):
        np.testing.assert_allclose(trained.encode(x[:n]), whole[:n], atol=1e-6)


def test_the_code_is_what_numpy_computes(trained):
    dense = trained.state.params["latent"]["code"]
    x = DATASET.test.x.reshape(10, -1) / 255
    expected = np.tanh(x @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"]))
    np.testing.assert_allclose(trained.encode(DATASET.test.x), expected, atol=1e-5)


def test_decoding_gives_the_mean_in_the_data_s_shape_and_units(trained):
    dense = trained.state.params["decoder"]["out"]
    z = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    logits = z @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    np.testing.assert_allclose(trained.decode(z), (1 / (1 + np.exp(-logits))).reshape(5, 4, 4, 1), atol=1e-5)


def test_reconstruction_is_decoding_of_encoding(trained):
    x = DATASET.test.x
    np.testing.assert_array_equal(trained.reconstruct(x), trained.decode(trained.encode(x)))


def test_grey_levels_as_bytes_and_as_fractions_mean_the_same(trained):
    x = DATASET.test.x
    np.testing.assert_allclose(trained.encode(x), trained.encode((x / 255).astype(np.float32)), atol=1e-6)
    np.testing.assert_array_equal(trained.encode(x), trained.encode(x[..., 0]))


def test_a_single_example_or_code_is_told_from_examples_of_another_shape(trained):
    x = DATASET.test.x
    for one in (x[0], x[0, ..., 0]):
        with pytest.raises(
            InputError, match=rf"shape {re.escape(str(one.shape))}, .*: give a single one as x\[None\]$"
        ):
            trained.encode(one)
    with pytest.raises(InputError, match=r"give a single one as z\[None\]$"):
        trained.decode(np.zeros(3, np.float32))
    with pytest.raises(InputError, match=r"trained on \(n, 4, 4, 1\)$"):
        trained.encode(x[:, :3])


def test_evaluation_equals_numpy(trained):
    x = DATASET.test.x.reshape(10, -1) / 255
    p = trained.reconstruct(DATASET.test.x).reshape(10, -1).astype(np.float64)
    metrics = trained.evaluate(DATASET.test)
    nats = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1).mean()
    assert metrics["reconstruction_nats"] == pytest.approx(nats, rel=1e-5)
    assert metrics["reconstruction_nats_per_pixel"] == pytest.approx(nats / 16, rel=1e-5)
    assert "reconstruction_bits_per_dim" not in metrics  # of grey levels, whose cross-entropy is no length of a code
    assert metrics["squared_error"] == pytest.approx(((x - p) ** 2).sum(axis=1).mean(), rel=1e-5)


def test_the_loss_of_a_part_on_disk_is_that_of_it_in_memory_of_which_a_little_is_held(trained, tmp_path, monkeypatch):
    pack([DATASET.train.x], tmp_path / "packed")
    part = read_examples(str(tmp_path / "packed"), like=Data("generated"))
    monkeypatch.setattr(module, "CHUNK", 7)  # six batches, the last one filled up
    whole = trained.evaluate(Examples(DATASET.train.x))
    monkeypatch.setattr(module, "_AT_ONCE", 2 * 7 * 16)
    read, held = Stored.read, []
    monkeypatch.setattr(Stored, "read", lambda part: held.append(len(part)) or read(part))
    assert trained.evaluate(part) == whole
    assert held == [14, 14, 14]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 5, 5, 1), np.uint8), r"shape \(3, 5, 5, 1\), but this model was trained on \(n, 4, 4, 1\)"),
        (np.zeros((0, 4, 4, 1), np.uint8), r"shape \(0, 4, 4, 1\)"),
        (np.full((2, 4, 4, 1), 2.5, np.float32), r"values from 2.5 to 2.5, but .* \[0, 1\]"),
        (np.full((2, 4, 4, 1), np.nan, np.float32), r"32 missing values \(NaN\) in 2 rows"),
        (np.array([["a"]]), r"type"),
    ],
)
def test_examples_that_do_not_fit_are_refused(trained, x, message):
    for method in (trained.encode, lambda x: trained.evaluate(Examples(x))):
        with pytest.raises(InputError, match=message):
            method(x)


@pytest.mark.parametrize("z", [np.zeros((2, 4)), np.zeros(3), np.zeros((0, 3)), np.full((1, 3), np.nan)])
def test_codes_that_do_not_fit_are_refused(trained, z):
    with pytest.raises(InputError, match="codes"):
        trained.decode(z)


def test_codes_of_many_examples_are_never_all_on_the_device(trained, monkeypatch):
    monkeypatch.setattr(programs, "CHUNK", 16)
    held = []

    def watched(rows):
        held.append(sum(leaf.shape == (16, 77) for leaf in jax.live_arrays()))
        return jnp.zeros((16, 77))

    made = programs.in_chunks(watched, np.zeros((160, 4), np.float32))
    assert made.shape == (160, 77)
    assert len(held) == 10
    assert max(held) <= 2


@core.configurable
class Pixels:
    """Gives every pixel, and one number for each example."""

    def __call__(self, model, batch):
        return {"pixels": batch.x, "first": batch.x[:, 0, 0, 0]}


@pytest.mark.parametrize("chunk", [1024, 16])
def test_means_over_a_part_have_the_shape_of_one_example_and_count_each_once(trained, monkeypatch, chunk):
    monkeypatch.setattr(programs, "CHUNK", chunk)
    found = trained.means(Pixels(), DATASET.train)
    expected = (DATASET.train.x / 255).mean(axis=0)
    np.testing.assert_allclose(found["pixels"], expected, rtol=1e-5)
    assert isinstance(found["first"], float)
    assert found["first"] == pytest.approx(expected[0, 0, 0], rel=1e-5)


@pytest.mark.slow
def test_a_statically_binarised_run_sees_binary_images_wherever_it_is_used(tmp_path):
    data = dataclasses.replace(EXPERIMENT.data, preprocess=StaticBinarise())
    trained = aejax.fit(dataclasses.replace(EXPERIMENT, data=data), dataset=DATASET)
    x = DATASET.test.x
    binary = trained.seen(x)
    assert set(np.unique(binary)) == {0, 1}
    np.testing.assert_array_equal(trained.encode(x), trained.encode(binary))
    metrics = trained.evaluate(DATASET.test)
    assert trained.score(x, "nats").mean() == pytest.approx(metrics["reconstruction_nats"], rel=1e-5)
    assert trained.score(x).mean() == pytest.approx(metrics["squared_error"], rel=1e-5)
    restored = trained.reconstruct(x)
    assert np.square(restored - binary).sum(axis=(1, 2, 3)).mean() == pytest.approx(metrics["squared_error"], rel=1e-5)


def test_a_model_reads_other_units_as_those_of_its_training_data(trained):
    x = DATASET.test.x
    for given in (x.astype(np.int64), x.astype(">f4"), x.tolist()):
        np.testing.assert_array_equal(trained.encode(given), trained.encode(x))
        assert trained.evaluate(Examples(given)) == trained.evaluate(Examples(x))
    with pytest.raises(InputError, match="the examples cannot be made an array"):
        trained.encode([[1, 2], [3]])


@pytest.mark.slow
def test_rows_of_numbers_are_scored_alike_as_float32_and_as_uint8():
    rows = np.random.default_rng(0).integers(0, 16, (60, 5)).astype(np.float32)
    part = Examples(rows)
    experiment = dataclasses.replace(EXPERIMENT, loss=Loss(Gaussian()), epochs=1)
    trained = aejax.fit(experiment, dataset=Dataset("rows", part, part, part))
    for dtype in (np.uint8, np.int16):
        np.testing.assert_array_equal(trained.score(rows.astype(dtype)), trained.score(rows))
