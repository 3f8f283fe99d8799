"""Generated examples are compared in features that are made once, of the data's own labels, and bear their name."""

import dataclasses

import numpy as np
import pytest

import aejax
from aejax.cli._experiments import EvalCommand
from aejax.core import Examples
from aejax.data import Dataset, cache_folder
from aejax.evaluation import _feature_space, compare_generated, feature_space, features_told, suite
from aejax.losses import KL, Loss, Reconstruction
from aejax.models import ConditionalAutoencoder, GaussianLatent, VariationalAutoencoder


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr(_feature_space, "STEPS", 60)


@pytest.fixture
def vae(tiny):
    model = VariationalAutoencoder(tiny.experiment.model.encoder, GaussianLatent(2), tiny.experiment.model.decoder)
    loss = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
    return aejax.fit(dataclasses.replace(tiny.experiment, model=model, loss=loss, epochs=1), dataset=tiny.dataset)


@pytest.mark.slow
def test_the_classifier_is_trained_once_for_the_same_examples(tiny, monkeypatch):
    first = feature_space(tiny.dataset)
    assert first.name == "tiny_cnn"
    assert first.accuracy > 0.8  # of three kinds that are far apart
    values = first.of(tiny.dataset.train.x / np.float32(255))
    assert values.shape == (40, _feature_space.SIZE)
    assert np.square(values).mean() == pytest.approx(1, rel=1e-4)
    assert first.sha256 in features_told(tiny.dataset)
    monkeypatch.setattr(_feature_space, "_trained", None)  # cannot be called
    again = feature_space(tiny.dataset)
    assert again.told == first.told
    np.testing.assert_array_equal(again.of(tiny.dataset.test.x / 255), first.of(tiny.dataset.test.x / 255))
    other = dataclasses.replace(tiny.dataset, train=tiny.dataset.train.take(np.arange(39)))
    with pytest.raises(TypeError):
        feature_space(other)


@pytest.mark.slow
def test_a_damaged_classifier_is_trained_again_to_the_same_numbers(tiny):
    flat = dataclasses.replace(
        tiny.dataset,
        **{part: Examples(x.x.reshape(len(x), -1), x.label) for part, x in _parts(tiny.dataset).items()},
    )
    first = feature_space(flat)
    assert first.name == "tiny_mlp"
    (file,) = cache_folder().glob("features-tiny_mlp-*")
    file.write_bytes(file.read_bytes()[:-4])
    assert feature_space(flat).told == first.told


@pytest.mark.parametrize("labels", [None, np.arange(40, dtype=np.int32), np.zeros(40, np.int32)])
def test_without_classes_the_features_are_principal_components(tiny, labels):
    data = dataclasses.replace(tiny.dataset, name="of/x.y.npz", train=Examples(tiny.dataset.train.x, labels))
    space = feature_space(data)
    assert (space.name, space.accuracy) == ("x.y_pca16", None)
    values = space.of(data.train.x / 255)
    assert np.square(values).mean() == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(np.corrcoef(values.T)[0, 1:], 0, atol=1e-3)


def test_generated_examples_are_measured_where_it_is_asked_for(tiny, vae):
    plain = suite.measure(vae, tiny.dataset.test, 0)
    asked = suite.measure(vae, tiny.dataset.test, 0, generation=tiny.dataset)
    assert asked.keys() - plain.keys() == {
        "generated_examples",
        *(f"{name}_tiny_cnn" for name in ["fd", "kid", "precision", "recall", "density", "coverage", "c2st"]),
    }
    assert asked["generated_examples"] == 10
    assert asked["fd_tiny_cnn"] > 0


def test_a_model_that_draws_no_codes_is_not_measured_and_says_so(tiny, caplog):
    trained = aejax.fit(dataclasses.replace(tiny.experiment, epochs=1), dataset=tiny.dataset)
    metrics = suite.measure(trained, tiny.dataset.test, 0, generation=tiny.dataset)
    assert not any(name.startswith("fd_") for name in metrics)
    assert "some metrics are left out: tiny has no prior to draw codes from" in caplog.text


@pytest.mark.slow
def test_a_conditional_model_generates_the_classes_of_the_part(tiny, monkeypatch):
    parts = (tiny.experiment.model.encoder, GaussianLatent(2), tiny.experiment.model.decoder)
    loss = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
    experiment = dataclasses.replace(tiny.experiment, model=ConditionalAutoencoder(*parts, classes=3), loss=loss)
    trained = aejax.fit(dataclasses.replace(experiment, epochs=1), dataset=tiny.dataset)
    given = []
    monkeypatch.setattr(type(trained), "sample", lambda self, n, label: given.append((n, label)) or tiny.dataset.test.x)
    compare_generated(trained, tiny.dataset.test, tiny.dataset)
    ((n, label),) = given
    assert n == 10
    np.testing.assert_array_equal(label, tiny.dataset.test.label)


@pytest.mark.slow
def test_a_run_and_the_command_say_in_which_features_they_measured(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train = tiny.dataset.train
    np.savez("own.npz", x=np.concatenate(4 * [train.x]), y=np.concatenate(4 * [train.label]))
    model = VariationalAutoencoder(tiny.experiment.model.encoder, GaussianLatent(2), tiny.experiment.model.decoder)
    loss = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
    data = dataclasses.replace(tiny.experiment.data, name="own.npz", validation=0.2)
    experiment = dataclasses.replace(tiny.experiment, model=model, loss=loss, data=data, epochs=1, batch_size=4)
    kept = aejax.fit(experiment, folder=tmp_path / "runs", figures=False, samples=1, generation=True)
    result = kept.run.result()
    assert result["features"]["name"] == "own_cnn"
    measured = {name: value for name, value in result["test"].items() if name.endswith("_own_cnn")}
    assert "fd_own_cnn" in measured
    capsys.readouterr()
    EvalCommand(kept.run.path, samples=1, generation=True)()
    out = capsys.readouterr().out
    assert f"sha256 {result['features']['sha256']}" in out
    assert all(f"{value:.4f}" in out for value in measured.values())


def test_examples_beside_themselves_are_at_no_distance(tiny, vae, monkeypatch):
    """In the units of the stored data: grey levels, which a model gives as shares of white."""
    monkeypatch.setattr(type(vae), "sample", lambda self, n, label: tiny.dataset.test.x.astype(np.float32) / 255)
    measured = compare_generated(vae, tiny.dataset.test, tiny.dataset)
    assert measured["fd_tiny_cnn"] == pytest.approx(0, abs=1e-4)
    assert measured["precision_tiny_cnn"] == measured["coverage_tiny_cnn"] == 1


def _parts(dataset: Dataset) -> dict[str, Examples]:
    return {name: dataset.part(name) for name in ("train", "validation", "test")}
