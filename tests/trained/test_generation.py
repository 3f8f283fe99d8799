import dataclasses

import jax
import numpy as np
import pytest

import aejax
from aejax.cli._examples import DecodeCommand, EncodeCommand, ReconstructCommand
from aejax.cli._generation import InterpolateCommand, SampleCommand
from aejax.core import Examples, InputError
from aejax.data import Dataset
from aejax.evaluation import _generation, suite
from aejax.losses import KL, Bernoulli, Gaussian, Loss, Reconstruction
from aejax.models import ConditionalAutoencoder, GaussianLatent, MLPDecoder, MLPEncoder, VariationalAutoencoder
from aejax.trained import codes, programs
from aejax.training import loop
from tests.helpers.pictures import places
from tests.helpers.small import DATASET, EXPERIMENT

ELBO = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()})
PARTS = (MLPEncoder(), GaussianLatent(2), MLPDecoder())


@pytest.fixture(scope="module")
def plain():
    return aejax.fit(dataclasses.replace(EXPERIMENT, epochs=1), dataset=DATASET)


@pytest.fixture(scope="module")
def vae():
    model = VariationalAutoencoder(*PARTS)
    return aejax.fit(dataclasses.replace(EXPERIMENT, model=model, loss=ELBO, epochs=1), dataset=DATASET)


@pytest.fixture(scope="module")
def conditional():
    model = ConditionalAutoencoder(*PARTS, classes=3)
    return aejax.fit(dataclasses.replace(EXPERIMENT, model=model, loss=ELBO, epochs=1), dataset=DATASET)


@pytest.mark.slow
def test_codes_of_the_prior_are_standard_normal_and_of_the_posterior_like_the_training_s(vae):
    drawn = vae.draw_codes(20_000)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(2), atol=0.05)
    like = vae.draw_codes(20_000, like=DATASET.train)
    codes = vae.encode(DATASET.train.x, seed=0)
    np.testing.assert_allclose(like.mean(axis=0), codes.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.cov(like.T), np.cov(codes.T), atol=0.15)
    np.testing.assert_array_equal(vae.draw_codes(4, seed=1), vae.draw_codes(4, seed=1))
    assert not np.array_equal(vae.draw_codes(4, seed=1), vae.draw_codes(4, seed=2))


def test_a_sample_is_a_decoded_code_and_with_draw_a_draw_of_its_values(vae):
    means = vae.sample(3, seed=5)
    np.testing.assert_array_equal(means, vae.decode(vae.draw_codes(3, seed=5)))
    assert means.shape == (3, 4, 4, 1)
    z = np.repeat(vae.draw_codes(1), 4000, axis=0)
    values = vae.decode(z, seed=1)
    assert set(np.unique(values)) == {0.0, 1.0}
    np.testing.assert_allclose(values.mean(axis=0), vae.decode(z[:1])[0], atol=0.05)
    np.testing.assert_array_equal(vae.sample(3, seed=5, draw=True), vae.decode(vae.draw_codes(3, seed=5), seed=5))


def test_codes_drawn_for_one_example_are_its_posterior_s_in_every_chunk(vae, monkeypatch):
    monkeypatch.setattr(programs, "CHUNK", 1000)
    x = np.repeat(DATASET.test.x[:1], 4000, axis=0)
    drawn = vae.encode(x, seed=0)
    dense = {name: {k: np.asarray(v) for k, v in layer.items()} for name, layer in vae.state.params["latent"].items()}
    pixels = x[0].reshape(-1) / 255
    mean, raw = (pixels @ dense[name]["kernel"] + dense[name]["bias"] for name in ("code", "scale"))
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.1)
    np.testing.assert_allclose(drawn.std(axis=0), np.exp(10 * np.tanh(raw / 10)), rtol=0.06)
    assert len(np.unique(drawn[:, 0])) > 3990  # no chunk repeats another's noise


def test_ways_and_traversals_are_decoded_codes(vae):
    x = DATASET.test.x
    way = vae.interpolate(x[:2], x[2:4], steps=5, path="arc")
    np.testing.assert_allclose(way[:, 0], vae.reconstruct(x[:2]), atol=1e-5)
    np.testing.assert_allclose(way[:, -1], vae.reconstruct(x[2:4]), atol=1e-5)
    dimensions, moved = vae.traverse(x, steps=3)
    codes = vae.encode(x)
    np.testing.assert_array_equal(dimensions, np.argsort(-codes.var(axis=0)))
    z = codes[0].copy()
    z[dimensions[0]] = np.quantile(codes[:, dimensions[0]], 0.99)
    np.testing.assert_allclose(moved[0, -1], vae.decode(z[None])[0], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "changes"), [(4, 2), (5, 3)])
def test_a_conditional_way_has_the_labels_of_both_its_ends(conditional, steps, changes):
    x, label = DATASET.test.x, DATASET.test.label
    first, second = (x[:3], label[:3]), (x[3:6], (label[:3] + 1) % 3)
    way = conditional.interpolate(first[0], second[0], (first[1], second[1]), steps=steps)
    np.testing.assert_allclose(way[:, 0], conditional.reconstruct(*first), atol=1e-5)
    np.testing.assert_allclose(way[:, -1], conditional.reconstruct(*second), atol=1e-5)
    z = codes.between(conditional.encode(*first), conditional.encode(*second), steps)
    for step in range(steps):
        expected = conditional.decode(z[:, step], second[1] if step >= changes else first[1])
        np.testing.assert_allclose(way[:, step], expected, atol=1e-5)


def test_a_model_without_a_prior_draws_from_its_training_codes_alone(plain):
    with pytest.raises(InputError, match=r"tiny has no prior to draw codes from: .* --from posterior"):
        plain.sample(4)
    assert plain.sample(4, like=DATASET.train).shape == (4, 4, 4, 1)
    with pytest.raises(InputError, match="0 samples were asked for"):
        plain.sample(0, like=DATASET.train)


@pytest.mark.slow
def test_a_conditional_model_uses_the_label_and_demands_it(conditional):
    x, label = DATASET.test.x, DATASET.test.label
    z = conditional.draw_codes(1)
    rows = [conditional.decode(z, np.array([number])) for number in range(3)]
    kernel = np.asarray(conditional.state.params["decoder"]["out"]["kernel"])
    logit = [np.log(row / (1 - row)).reshape(-1) for row in rows]
    np.testing.assert_allclose(logit[2] - logit[0], kernel[4] - kernel[2], atol=1e-4)
    reconstructed = conditional.reconstruct(x, label)
    np.testing.assert_allclose(reconstructed[3:], conditional.reconstruct(x[3:], label[3:]), atol=1e-6)
    for label in (None, np.full(10, 3), np.full(9, 0), np.full(10, 0.5), np.full(10, -1)):
        with pytest.raises(InputError, match=r"labels? "):
            conditional.reconstruct(x, label)
        with pytest.raises(InputError, match=r"labels? "):
            conditional.evaluate(Examples(x, label))
    with pytest.raises(InputError, match="give each example's label"):
        conditional.sample(4)


def test_labels_may_be_the_names_of_the_training_data_s_classes(conditional):
    named = dataclasses.replace(conditional, data=dataclasses.replace(conditional.data, classes=("a", "b", "c")))
    x, number = DATASET.test.x, DATASET.test.label
    name = np.array(["a", "b", "c"])[number]
    for label in (name, name.astype(object), name.tolist()):
        np.testing.assert_array_equal(named.encode(x, label), named.encode(x, number))
    np.testing.assert_array_equal(named.reconstruct(x, name), named.reconstruct(x, number))
    np.testing.assert_array_equal(named.score(x, label=name), named.score(x, label=number))
    ways = [named.interpolate(x, x[::-1], (label, label[::-1])) for label in (name, number)]
    np.testing.assert_array_equal(*ways)
    np.testing.assert_array_equal(named.traverse(x, name)[1], named.traverse(x, number)[1])
    with pytest.raises(InputError, match=r"the labels 'd', which the run does not know: its classes are a, b, c"):
        named.encode(x, np.full(len(x), "d"))
    with pytest.raises(InputError, match="needs 10 whole numbers from 0 to 2"):
        conditional.encode(x, name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("plain", {"samples", "interpolations", "traversals"}),
        ("vae", {"samples", "interpolations", "traversals", "plane"}),
        ("conditional", {"classes", "traversals"}),
    ],
)
def test_the_suite_draws_what_the_model_can_generate(kind, names, request):
    trained = request.getfixturevalue(kind)
    drawn = suite.draw(trained, DATASET)
    assert set(drawn) >= names
    assert set(drawn) & {"samples", "classes", "plane", "interpolations", "traversals"} == names
    if kind == "conditional":
        axes = drawn["classes"].axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "2"]
        assert len(places(drawn["classes"])) == 30


@pytest.mark.slow
def test_vectors_have_no_pictures_of_this_kind():
    part = lambda n: Examples(np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32))  # noqa: E731
    dataset = Dataset("vectors", part(20), part(0), part(6))
    experiment = dataclasses.replace(
        EXPERIMENT, loss=dataclasses.replace(EXPERIMENT.loss, likelihood=Gaussian()), epochs=1
    )
    assert _generation.draw(aejax.fit(experiment, dataset=dataset), dataset) == {}


@pytest.mark.slow
def test_a_conditional_run_loads_as_the_same_model_and_its_commands_take_labels(conditional, tmp_path):
    kept = loop.train(conditional.experiment, dataset=DATASET, folder=tmp_path)
    again = aejax.load(kept.run.path)
    x, label = DATASET.test.x, DATASET.test.label
    np.testing.assert_array_equal(again.encode(x, label), kept.encode(x, label))
    assert jax.tree.structure(again.state) == jax.tree.structure(kept.state)
    SampleCommand(kept.run.path, tmp_path / "x.npy", n=5)()
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), kept.sample(5, np.array([0, 1, 2, 0, 1])))
    SampleCommand(kept.run.path, tmp_path / "x.npy", n=5, label=2)()
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), kept.sample(5, np.full(5, 2)))
    np.save(tmp_path / "z.npy", kept.draw_codes(5))
    DecodeCommand(kept.run.path, tmp_path / "z.npy", tmp_path / "y.npy", label=2)()
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.load(tmp_path / "y.npy"))
    with pytest.raises(InputError, match="whole numbers from 0 to 2"):
        SampleCommand(kept.run.path, tmp_path / "x.npy", n=5, label=3)()
    np.savez(tmp_path / "data.npz", x=x, y=label)
    np.save(tmp_path / "data.npy", x)
    labelled, out = (kept.run.path, str(tmp_path / "data.npz"), tmp_path / "y.npy"), tmp_path / "y.npy"
    InterpolateCommand(*labelled, steps=4)()
    np.testing.assert_array_equal(np.load(out), kept.interpolate(x[::2], x[1::2], (label[::2], label[1::2]), steps=4))
    for kind in (EncodeCommand, ReconstructCommand, InterpolateCommand):
        kind(*labelled, label=2)()
        with_labels = np.load(out)
        kind(kept.run.path, str(tmp_path / "data.npy"), out, label=2)()
        np.testing.assert_array_equal(np.load(out), with_labels)
        kind(*labelled)()
        assert not np.array_equal(np.load(out), with_labels)
        with pytest.raises(InputError, match="label"):
            kind(kept.run.path, str(tmp_path / "data.npy"), out)()
