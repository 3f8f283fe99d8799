import dataclasses
import logging
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import aejax
from aejax.core import Examples
from aejax.data import Binarise, Scale
from aejax.evaluation import _variational, report, suite
from aejax.evaluation._variational import suits
from aejax.experiment import Expected
from aejax.losses import KL, Bernoulli, Loss, Reconstruction
from aejax.metrics import NegativeLogLikelihood, active_units, rate_parts
from aejax.models import (
    Autoencoder,
    BottomDecoder,
    GaussianLatent,
    HierarchicalLatent,
    HierarchicalPrior,
    MLPDecoder,
    MLPEncoder,
    Plain,
    ResidualEncoder,
    TopDownAutoencoder,
    TopDownDecoder,
    TopDownLatent,
    VariationalAutoencoder,
)
from aejax.trained import Trained

ONE = VariationalAutoencoder(MLPEncoder((8,)), GaussianLatent(3), MLPDecoder((8,)))
TWO = VariationalAutoencoder(
    MLPEncoder((8,)),
    HierarchicalLatent((3, 2), (4,)),
    BottomDecoder(MLPDecoder((8,)), 3),
    prior=HierarchicalPrior((3, 2), (4,)),
)


def experiment_of(tiny, model, beta=1.0, **changes):
    loss = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL(beta)})
    return dataclasses.replace(tiny.experiment, model=model, loss=loss, **changes)


def outputs_of(mean, scale, code):
    densities = {"prior": stats.norm.logpdf(code), "posterior": stats.norm(mean, scale).logpdf(code)}
    own = {name: value.sum(axis=1) for name, value in densities.items()}
    own |= {"mean": mean, "scale": scale, "code": code}
    return {name: np.asarray(value, np.float32) for name, value in own.items()}


def drawn(mean, scale, seed=1):
    return outputs_of(mean, scale, mean + scale * np.random.default_rng(seed).normal(size=mean.shape))


def test_posteriors_far_apart_say_which_example_it_was():
    count = 64
    mean = np.stack([50.0 * np.arange(count), np.zeros(count)], axis=1)
    parts = rate_parts(drawn(mean, np.full((count, 2), 0.5)), factorial=True)
    assert parts["mutual_information_nats"] == pytest.approx(math.log(count), abs=1e-4)
    assert parts["total_correlation_nats"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("apart", "said"), [(50.0, True), (0.5, False)])
def test_an_estimate_at_its_ceiling_is_said_to_be_there(tiny, caplog, monkeypatch, apart, said):
    """Of ten examples no mutual information is above log 10 = 2.303."""
    mean = np.stack([apart * np.arange(10), np.zeros(10), np.zeros(10)], axis=1)
    monkeypatch.setattr(_variational, "outputs", lambda trained, part: drawn(mean, np.full((10, 3), 0.5)))
    trained = Trained(experiment_of(tiny, ONE), (4, 4, 1), Scale(), state=None)
    _variational.measure(trained, tiny.dataset.test)
    assert ("and cannot be above 2.303, the log of the 10 examples that were measured" in caplog.text) is said


def test_posteriors_all_alike_say_nothing_and_are_as_far_from_the_prior_as_each():
    mean, scale = np.full((4000, 2), [0.7, -1.0]), np.full((4000, 2), [0.5, 1.3])
    parts = rate_parts(drawn(mean, scale), factorial=True)
    rate = (0.5 * (mean**2 + scale**2 - 1) - np.log(scale)).sum(axis=1)[0]
    assert parts["mutual_information_nats"] == pytest.approx(0, abs=1e-4)
    assert parts["total_correlation_nats"] == pytest.approx(0, abs=1e-4)
    assert parts["dimension_kl_nats"] == pytest.approx(rate, abs=0.1)  # by 1,000 codes
    assert parts["marginal_kl_nats"] == pytest.approx(parts["dimension_kl_nats"], abs=1e-4)


def test_normal_means_give_the_closed_forms_of_a_normal_aggregate():
    """mean ~ N(0, C), scale s: q(z) = N(0, C + s^2 I), here with unit variances and a correlation of 0.6."""
    scale, correlation = 0.6, 0.6
    covariance = np.array([[1, correlation], [correlation, 1]]) - scale**2 * np.eye(2)
    mean = np.random.default_rng(0).multivariate_normal(np.zeros(2), covariance, 8000)
    parts = rate_parts(drawn(mean, np.full((8000, 2), scale)), factorial=True)
    total = -0.5 * math.log(1 - correlation**2)
    information = 0.5 * math.log(1 - correlation**2) - 2 * math.log(scale)
    expected = {"mutual_information": information, "total_correlation": total, "dimension_kl": 0, "marginal_kl": total}
    for name, value in expected.items():
        assert parts[f"{name}_nats"] == pytest.approx(value, abs=0.08), name


def test_the_parts_add_up_to_the_rate_by_the_same_codes():
    rng = np.random.default_rng(3)
    values = drawn(rng.normal(size=(300, 4)), rng.uniform(0.2, 1.5, (300, 4)))
    rate = stats.norm(values["mean"], values["scale"]).logpdf(values["code"]).sum(axis=1) - values["prior"]
    three, two = rate_parts(values, factorial=True), rate_parts(values, factorial=False)
    assert three["marginal_kl_nats"] == pytest.approx(
        three["total_correlation_nats"] + three["dimension_kl_nats"], abs=1e-4
    )
    assert sum(two.values()) == pytest.approx(rate.mean(), abs=1e-4)
    assert three.items() >= two.items()


def test_units_are_active_by_the_variance_of_their_mean():
    steps = np.linspace(-1, 1, 1001)
    assert active_units(steps[:, None] * np.sqrt(3 * np.array([[0.02, 0.0099, 0.0101, 0]]))).tolist() == [1, 0, 1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("model", [ONE, TWO], ids=["one layer", "two layers"])
def test_the_suite_measures_a_variational_model_and_names_the_number_of_samples(tiny, model):
    experiment = experiment_of(tiny, model, beta=3.0, epochs=1)
    trained, test = aejax.fit(experiment, dataset=tiny.dataset), tiny.dataset.test
    measured = suite.measure(trained, test, samples=7)
    whole = measured["negative_elbo_nats"]
    assert not {"distortion_nats", "rate_nats"} & set(measured)  # which are the terms' numbers
    assert whole == pytest.approx(measured["reconstruction_nats"] + measured["kl_nats"], rel=1e-6)
    assert measured["nll_7_nats"] < whole
    assert ("total_correlation_nats" in measured) == (model is ONE)
    active = active_units(trained.encode(test.x))
    assert measured["active_units"] == active.sum()
    if model is TWO:
        assert measured["active_units_layer_1"] == active[:3].sum()
        assert measured["active_units_layer_2"] == active[3:].sum()
    assert {"latent_units"} <= set(suite.draw(trained, tiny.dataset))


@pytest.mark.slow
def test_bits_are_given_of_black_and_white_images_alone(tiny):
    trained = aejax.fit(experiment_of(tiny, ONE, epochs=1), dataset=tiny.dataset)
    assert "nll_2_bits_per_dim" not in _variational.estimate(trained, tiny.dataset.test, 2)
    black = Examples(np.where(tiny.dataset.test.x > 127, np.uint8(255), np.uint8(0)))
    measured = _variational.estimate(trained, black, 2)
    assert measured["nll_2_bits_per_dim"] == pytest.approx(measured["nll_2_nats"] / 16 / math.log(2))
    assert "negative_elbo_bits_per_dim" not in _variational.measure(trained, tiny.dataset.test)
    bound = _variational.measure(trained, black)
    assert bound["negative_elbo_bits_per_dim"] == pytest.approx(bound["negative_elbo_nats"] / 16 / math.log(2))


@pytest.mark.slow
def test_a_published_likelihood_is_compared_with_one_of_as_many_samples_only(tiny, capsys):
    expected = Expected("nll_5000_nats", 80.0)
    trained = aejax.fit(experiment_of(tiny, ONE, expected=expected, epochs=1), dataset=tiny.dataset)
    cases = [({"nll_50_nats": 79.0}, None), ({"nll_5000_nats": 79.0}, True), ({"nll_5000_nats": 81.0}, False)]
    for metrics, met in cases:
        assert report.result(trained, metrics, 10)["met"] is met
        report.show(trained, metrics, "test", 10)
        assert ("nll_5000_nats 80, which was not measured" in capsys.readouterr().out) == (met is None)


@pytest.mark.slow
def test_an_estimate_of_many_batches_is_the_mean_over_all_examples(tiny, monkeypatch):
    trained = aejax.fit(experiment_of(tiny, ONE, epochs=1), dataset=tiny.dataset)
    part = tiny.dataset.test  # ten examples: batches of four, four and two
    monkeypatch.setattr(_variational, "IMAGES", 4)

    def first_pixel(self, model, batch):
        return {self.name: batch.x[:, 0, 0, 0]}

    monkeypatch.setattr(NegativeLogLikelihood, "__call__", first_pixel)
    estimated = _variational.estimate(trained, part, 3)["nll_3_nats"]
    assert estimated == pytest.approx(part.x[:, 0, 0, 0].mean() / 255, rel=1e-6)


@pytest.mark.slow
def test_pixels_are_drawn_where_the_model_was_trained_on_drawn_ones(tiny):
    data = dataclasses.replace(tiny.experiment.data, preprocess=Binarise())
    trained = aejax.fit(experiment_of(tiny, ONE, data=data, epochs=1), dataset=tiny.dataset)
    part = Examples(np.full((300, 4, 4, 1), 128, np.uint8))

    def all_binary(self, model, batch):
        return {self.name: jnp.all((batch.x == 0) | (batch.x == 1), axis=(1, 2, 3)).astype(jnp.float32)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NegativeLogLikelihood, "__call__", all_binary)
        assert _variational.estimate(trained, part, 2)["nll_2_nats"] == 1


@pytest.mark.slow
def test_a_collapsed_posterior_is_warned_of_in_one_line(tiny, caplog):
    collapsed = aejax.fit(experiment_of(tiny, ONE, epochs=1), dataset=tiny.dataset)
    latent = jax.tree.map(jnp.zeros_like, collapsed.state.params["latent"])
    state = dataclasses.replace(collapsed.state, params={**collapsed.state.params, "latent": latent})
    with caplog.at_level(logging.WARNING, "aejax"):
        _variational.measure(collapsed, tiny.dataset.test)
        assert not caplog.messages
        _variational.measure(dataclasses.replace(collapsed, state=state), tiny.dataset.test)
    assert len(caplog.messages) == 1
    assert "posterior collapse: 0 of 3 latent dimensions vary" in caplog.messages[0]


@pytest.mark.slow
def test_a_hierarchy_is_judged_by_the_rate_of_each_layer(tiny, rng, caplog):
    """Not by active units: a layer that says nothing of the image still varies with those above it."""
    x = rng.integers(0, 256, (12, 6, 5, 1), np.uint8)
    elbo = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
    parts = ResidualEncoder((4, 4), pyramid=True), TopDownLatent((1, 2)), TopDownDecoder((4, 4))
    trained = aejax.fit(dataclasses.replace(tiny.experiment, model=TopDownAutoencoder(*parts), loss=elbo, epochs=1), x)
    latent = trained.state.params["latent"]
    silent = jax.tree.map(jnp.zeros_like, latent["posteriors_0"])
    state = dataclasses.replace(
        trained.state, params={**trained.state.params, "latent": {**latent, "posteriors_0": silent}}
    )
    part = Examples(x)
    with caplog.at_level(logging.WARNING, "aejax"):
        metrics = _variational.measure(dataclasses.replace(trained, state=state), part)
    assert "the lowest first, 1 says nothing of the image" in caplog.messages[-1]
    assert metrics["rate_layer_1_nats"] == 0 < metrics["rate_layer_2_nats"]
    assert not any(name.startswith("active_units") for name in metrics)
    assert _variational.draw(trained, tiny.dataset) == {}


def test_it_suits_variational_autoencoders_whose_latent_has_a_density(tiny):
    plain = VariationalAutoencoder(MLPEncoder(), Plain(2), MLPDecoder())
    others = (Autoencoder(MLPEncoder(), Plain(2), MLPDecoder()), plain)
    assert [suits(experiment_of(tiny, model)) for model in (ONE, TWO, *others)] == [True, True, False, False]
