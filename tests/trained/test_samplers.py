"""Distributions fitted to codes after training draw what they were fitted to, and are kept with the run."""

import dataclasses
import typing

import numpy as np
import pytest

import aejax
from aejax.cli._generation import SampleCommand, SamplerCommand
from aejax.core import InputError, kebab, known_subclasses
from aejax.evaluation import suite
from aejax.losses import KL, Bernoulli, Loss, Reconstruction
from aejax.models import GaussianLatent, MAFPrior, MixturePrior, VampPrior, VariationalAutoencoder
from aejax.trained import (
    FittedPrior,
    FittedSampler,
    Independent,
    Mixture,
    Sampler,
    SecondStage,
    read_sampler,
    samplers,
    write_sampler,
)
from tests.helpers.small import DATASET, EXPERIMENT

THREE = GaussianLatent(3)
CENTRES = np.array([[-4.0, 0.0], [4.0, 0.0], [0.0, 6.0]])


@pytest.fixture(scope="module")
def plain():
    return aejax.fit(dataclasses.replace(EXPERIMENT, epochs=1), dataset=DATASET)


def clusters(rng, n=4000):
    chosen = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    return (CENTRES[chosen] + rng.normal(size=(n, 2)) @ [[0.5, 0.3], [0, 0.2]]).astype(np.float32)


def test_a_mixture_draws_what_it_was_fitted_to(rng):
    """Weights, means and full covariances are those of the three clusters; draws do not come by component."""
    fitted = FittedSampler.of(Mixture(3), clusters(rng), GaussianLatent(2))
    drawn = fitted.draw(20_000)
    nearest = np.linalg.norm(drawn[:, None] - CENTRES[None], axis=2).argmin(axis=1)
    np.testing.assert_allclose(np.bincount(nearest) / len(drawn), [0.5, 0.3, 0.2], atol=0.03)
    for number, centre in enumerate(CENTRES):
        np.testing.assert_allclose(drawn[nearest == number].mean(axis=0), centre, atol=0.05)
        np.testing.assert_allclose(np.cov(drawn[nearest == number].T), [[0.25, 0.15], [0.15, 0.13]], atol=0.03)
    assert (nearest[:100] == nearest[0]).mean() < 0.9
    np.testing.assert_array_equal(fitted.draw(5, 3), fitted.draw(5, 3))
    assert not np.array_equal(fitted.draw(5, 3), fitted.draw(5, 4))


def test_few_codes_and_many_dimensions_have_a_mixture_too(rng):
    few = FittedSampler.of(Mixture(), rng.normal(size=(4, 3)), THREE)
    assert few.draw(7).shape == (7, 3)
    assert np.isfinite(few.draw(1000)).all()
    size = samplers.MOST_FULL + 1
    wide = FittedSampler.of(Mixture(2), rng.normal(size=(50, size)) * 3, GaussianLatent(size))
    assert wide.draw(2000).std() == pytest.approx(3, rel=0.1)
    with pytest.raises(InputError, match="a mixture of 0 Gaussians draws nothing"):
        Mixture(0).fit(rng.normal(size=(4, 3)), THREE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [
        SecondStage((64, 64), steps=1500, batch_size=100, learning_rate=3e-3),
        FittedPrior(steps=600, batch_size=100, learning_rate=3e-3),
    ],
)
def test_a_second_stage_and_a_flow_draw_what_they_were_fitted_to(rng, sampler):
    """In the codes' own units, which are not those in which they are trained: better than one normal would."""
    codes = 10 + 5 * clusters(rng)
    drawn = FittedSampler.of(sampler, codes, GaussianLatent(2)).draw(4000)
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), atol=0.2 * np.cov(codes.T).max())
    apart = np.linalg.norm((drawn[:, None] - 10) / 5 - CENTRES[None], axis=2).min(axis=1)
    normal = rng.multivariate_normal(codes.mean(axis=0), np.cov(codes.T), 4000)
    of_normal = np.linalg.norm((normal[:, None] - 10) / 5 - CENTRES[None], axis=2).min(axis=1)
    assert np.median(apart) < 0.6 * np.median(of_normal)


@pytest.mark.parametrize(
    "sampler",
    [
        Mixture(2),
        pytest.param(SecondStage((4,), steps=2), marks=pytest.mark.slow),
        pytest.param(FittedPrior(steps=2, prior=MAFPrior(1, (4,))), marks=pytest.mark.slow),
        FittedPrior(steps=2, prior=MixturePrior(3)),
    ],
)
def test_a_sampler_is_kept_and_read_again(rng, sampler, tmp_path, caplog):
    fitted = FittedSampler.of(sampler, rng.normal(size=(20, 3)).astype(np.float32), THREE)
    file = write_sampler(tmp_path, fitted, 30)
    again = read_sampler(tmp_path, 30, THREE)
    assert again.sampler == sampler
    np.testing.assert_array_equal(again.draw(4), fitted.draw(4))
    assert caplog.messages == []
    assert read_sampler(tmp_path, 31, THREE) is None
    assert "has a sampler of step 30, none of step 31" in caplog.messages.pop()
    file.write_bytes(file.read_bytes()[:-3])
    assert read_sampler(tmp_path, 30, THREE) is None
    assert "is damaged" in caplog.messages.pop()


def test_a_prior_of_posteriors_cannot_be_fitted_to_codes_alone(rng):
    with pytest.raises(InputError, match="made of a model's posteriors cannot be fitted"):
        FittedPrior(steps=1, prior=VampPrior(3, (3,))).fit(rng.normal(size=(20, 3)).astype(np.float32), THREE)


def test_every_kind_has_its_name_on_the_command_line():
    hints = typing.get_type_hints(SamplerCommand)["kind"]
    named = {name for option in typing.get_args(hints) for name in typing.get_args(option)}
    assert named == {kebab(cls.__name__) for cls in known_subclasses(Sampler)}


def test_a_model_with_a_sampler_generates_from_it_and_is_saved_with_it(plain, tmp_path, monkeypatch):
    assert plain.draws_from is None
    fitted = plain.fit_sampler(Mixture(2), like=DATASET.train)
    assert fitted.draws_from == "a mixture of 2 Gaussians fitted to codes"
    z = fitted.draw_codes(300)
    assert z.shape == (300, 3)
    np.testing.assert_allclose(z.mean(axis=0), plain.encode(DATASET.train.x).mean(axis=0), atol=0.1)
    np.testing.assert_array_equal(fitted.sample(4), plain.decode(fitted.draw_codes(4)))
    loaded = aejax.load(fitted.save(tmp_path / "saved"))
    np.testing.assert_array_equal(loaded.sample(4), fitted.sample(4))
    plain.save(tmp_path / "saved")
    assert aejax.load(tmp_path / "saved").sampler is None  # not that of the model before
    figures = suite.draw(fitted, DATASET)
    assert "a mixture of 2 Gaussians fitted to codes" in figures["samples"].get_suptitle()


def test_a_variational_model_draws_from_its_sampler_and_from_its_prior_without_it():
    model = VariationalAutoencoder(EXPERIMENT.model.encoder, GaussianLatent(2), EXPERIMENT.model.decoder)
    loss = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()})
    vae = aejax.fit(dataclasses.replace(EXPERIMENT, model=model, loss=loss, epochs=1), dataset=DATASET)
    assert vae.draws_from == "the prior"
    codes = np.full((9, 2), 50.0) + np.eye(9, 2)
    far = dataclasses.replace(vae, sampler=FittedSampler.of(Mixture(1), codes, model.latent))
    assert (far.draw_codes(5) > 40).all()
    np.testing.assert_array_equal(far.by_prior.sample(3), vae.sample(3))


def test_a_sampler_of_indices_is_refused_where_there_are_none(plain):
    with pytest.raises(InputError, match="are not told by indices, and Independent models the other kind"):
        plain.fit_sampler(Independent(), like=DATASET.train)


@pytest.mark.slow
def test_the_command_keeps_a_sampler_with_the_run_until_it_is_trained_on(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", DATASET.train.x)
    data = dataclasses.replace(EXPERIMENT.data, name="x.npy")
    kept = aejax.fit(dataclasses.replace(EXPERIMENT, data=data, epochs=1), folder=tmp_path / "runs", figures=False)
    path = kept.run.path
    with pytest.raises(InputError, match="has no sampler for this step"):
        SampleCommand(path, tmp_path / "z.npy", n=3, source="sampler")()
    SamplerCommand(path, components=2)()
    assert f"{path}/samplers/{int(kept.state.step)}.safetensors: a mixture of 2 Gaussians" in capsys.readouterr().out
    SampleCommand(path, tmp_path / "z.npy", n=3)()
    assert "codes drawn from a mixture of 2 Gaussians fitted to codes" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), aejax.load(path).sample(3))
    with pytest.raises(InputError, match="--epochs is no setting of mixture"):
        SamplerCommand(path, epochs=3)()
    SamplerCommand(path, components=3)()
    assert aejax.load(path).draws_from == "a mixture of 3 Gaussians fitted to codes"
    longer = dataclasses.replace(EXPERIMENT, data=data, epochs=2)
    trained = aejax.fit(longer, resume=path, figures=False)
    assert aejax.load(trained.run.path).sampler is None
    assert "none of step" in caplog.text
