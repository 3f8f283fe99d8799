"""What changes parameters otherwise than by gradient, from the first step to what is used after the last."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import (
    SGD,
    Adam,
    Examples,
    ExponentialAverage,
    InputError,
    Player,
    Rate,
    TailAverage,
    known_subclasses,
)
from aejax.data import Data, Dataset, pack
from aejax.devices import Parallel
from aejax.experiment import Experiment
from aejax.losses import (
    GECO,
    KL,
    Bernoulli,
    Categorical,
    Cauchy,
    Gaussian,
    GaussianLearnedScale,
    Likelihood,
    Loss,
    NegativeBinomial,
    Poisson,
    SigmoidGaussian,
    WeightL2,
)
from aejax.models import (
    Autoencoder,
    GaussianLatent,
    MLPDecoder,
    MLPEncoder,
    Plain,
    TiedAutoencoder,
    TopK,
    TransposedDecoder,
    UnitNormDecoder,
    VariationalAutoencoder,
    traits,
)
from aejax.training import fit, fit_many, loop
from aejax.training._priming import priming_examples
from tests.helpers.small import digits, same_bits, without_times

ONE = Parallel(devices=1)


def normals(n, seed):
    rng = np.random.default_rng(seed)
    return Examples((rng.normal(size=(n, 6)) * 3 + 10 * np.arange(6)).astype(np.float32))


DATASET = Dataset("generated", normals(40, 0), normals(11, 1), normals(10, 2))
UNITS = Autoencoder(MLPEncoder(), TopK(8, 2), UnitNormDecoder(start="mean", renormalise=True))
EXPERIMENT = Experiment(
    UNITS,
    Loss(Gaussian(), {"error": GECO(target=4.0, rate=1e-3), "decay": WeightL2(monitored=True)}),
    Data("generated"),
    Adam(
        1e-2,
        average=ExponentialAverage(0.8),
        rates={"slow": Rate("^latent", 0.1)},
        players={"decoder": Player(SGD(1e-3, clip_norm=1.0), "^decoder")},
    ),
    batch_size=8,
    epochs=4,
    name="hooks",
)
"""All of it at once: a start at the mean, unit rows, a constraint, an average, a rate and an optimiser of their own."""


def primed(model, dataset=DATASET, likelihood=None):
    """The model before its first step, decoding codes of zero."""
    from aejax import devices

    experiment = Experiment(model, Loss(likelihood or Gaussian()), Data("generated"), batch_size=8).resolve(dataset)
    program = devices.Program.of(experiment, experiment.data.preprocess, ONE.resolve(experiment))
    return program.init(dataset.shape, priming_examples(experiment.model, dataset, experiment.data.preprocess)).params


DECODERS = {
    "mlp": Autoencoder(MLPEncoder((5,)), Plain(2), MLPDecoder((5,), start="mean")),
    "unit norm": UNITS,
    "tied": TiedAutoencoder(latent=Plain(2), decoder=TransposedDecoder(start="mean")),
}


@pytest.mark.parametrize("model", DECODERS.values(), ids=DECODERS)
def test_before_training_codes_of_zero_explain_none_of_the_variance_and_leave_no_more(model):
    bias = np.asarray(primed(model)["decoder"]["out"]["bias"], np.float64)
    x = DATASET.train.x.astype(np.float64)
    variance = np.square(x - x.mean(axis=0, keepdims=True)).sum()
    assert np.square(x - bias[None]).sum() / variance == pytest.approx(1, abs=1e-6)
    assert np.square(x).sum() / variance > 50  # a bias of zero


def test_the_geometric_median_has_the_least_sum_of_distances_and_ignores_an_outlier():
    x = np.concatenate([DATASET.train.x, np.full((1, 6), 1e5, np.float32)])
    dataset = dataclasses.replace(DATASET, train=Examples(x))
    model = UNITS.clone(decoder=UnitNormDecoder(start="median"))
    median = np.asarray(primed(model, dataset)["decoder"]["out"]["bias"], np.float64)
    away = median[None] - x.astype(np.float64)
    pulls = away / np.linalg.norm(away, axis=1, keepdims=True)
    assert np.linalg.norm(pulls.sum(axis=0)) < 1e-2  # of 41 unit vectors: the gradient of the sum vanishes
    assert np.abs(median - DATASET.train.x.mean(axis=0)).max() < 2


CENTRED = [Gaussian(), Cauchy(), Bernoulli(), SigmoidGaussian(), GaussianLearnedScale(), Poisson(), NegativeBinomial()]


@pytest.mark.parametrize("likelihood", CENTRED)
def test_raw_output_stands_for_the_values_that_it_was_asked_for(likelihood):
    values = jnp.linspace(0.01, 0.99, 12).reshape(2, 6)
    np.testing.assert_allclose(likelihood.mean(likelihood.raw_for(values), Examples(values)), values, rtol=1e-5)


def test_every_likelihood_that_says_so_is_asked():
    centred = {cls for cls in known_subclasses(Likelihood) if traits.CENTRED in cls().meets}
    assert centred == {type(likelihood) for likelihood in CENTRED}


def test_a_start_that_the_likelihood_does_not_know_is_refused():
    dataset = Dataset("generated", digits(40), digits(11, 1), digits(10, 2))
    model = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder(start="mean"))
    with pytest.raises(InputError, match="MLPDecoder needs raw output that stands for a given value, which Cat"):
        Experiment(model, Loss(Categorical(256)), Data("generated"), batch_size=8).resolve(dataset)


@pytest.fixture(scope="module")
def whole():
    return fit(EXPERIMENT, dataset=DATASET, parallel=ONE)


def test_a_run_that_goes_on_ends_with_the_same_bits_and_primes_no_more(whole, tmp_path):
    begun = loop.train(dataclasses.replace(EXPERIMENT, epochs=2), dataset=DATASET, folder=tmp_path, parallel=ONE)
    resumed = loop.train(EXPERIMENT, dataset=DATASET, resume=begun.run.path, parallel=ONE)
    assert same_bits(resumed.state, whole.state)
    assert without_times(resumed.history) == without_times(whole.history)


@pytest.mark.slow
def test_members_of_a_population_are_runs_alone(whole):
    others = dataclasses.replace(EXPERIMENT.optimizer, rates={"slow": Rate("^latent", 0.0)})
    members = fit_many([EXPERIMENT, dataclasses.replace(EXPERIMENT, optimizer=others, seed=3)], dataset=DATASET)
    alone = fit(members[1].trained.experiment, dataset=DATASET, parallel=ONE)
    for member, run in zip(members, (whole, alone), strict=True):
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # noqa: E731
        jax.tree.map(close, member.trained.state, run.state)
        assert member.trained.history[-1]["loss_nats"] == pytest.approx(run.history[-1]["loss_nats"], rel=1e-4)


def test_rows_have_length_one_in_training(whole):
    rows = np.linalg.norm(whole.state.params["decoder"]["out"]["kernel"], axis=1)
    np.testing.assert_allclose(rows, 1, rtol=1e-6)


@pytest.mark.slow
def test_validation_and_use_are_by_the_average_and_training_is_not(whole):
    latest = fit(
        dataclasses.replace(EXPERIMENT, optimizer=dataclasses.replace(EXPERIMENT.optimizer, average=TailAverage(1e-9))),
        dataset=DATASET,
        parallel=ONE,
    )
    measured, plain = whole.evaluate(DATASET.validation), latest.evaluate(DATASET.validation)
    last, other = whole.history[-1], latest.history[-1]
    assert measured["loss_nats"] == pytest.approx(last["loss_nats"], rel=1e-5)
    assert plain["loss_nats"] == pytest.approx(other["loss_nats"], rel=1e-5)
    assert abs(measured["loss_nats"] - plain["loss_nats"]) > 1e-3
    assert whole.history[-2]["loss_nats"] == other_train(latest)
    code = whole.encode(DATASET.test.x)
    by_hand = dataclasses.replace(latest, state=dataclasses.replace(latest.state, opt_state=whole.state.opt_state))
    np.testing.assert_array_equal(code, by_hand.encode(DATASET.test.x))


def other_train(trained):
    return [row["loss_nats"] for row in trained.history if row["split"] == "train"][-1]


def test_what_is_monitored_is_in_every_row_and_measure(whole):
    assert all("decay_nats" in row and "error_multiplier" in row for row in whole.history)
    assert "decay_nats" in whole.evaluate(DATASET.test)


@pytest.mark.slow
def test_streamed_data_are_primed_on_as_data_in_memory_are(tmp_path):
    np.save(tmp_path / "x.npy", DATASET.train.x)
    pack(str(tmp_path / "x.npy"), tmp_path / "packed")
    experiment = dataclasses.replace(EXPERIMENT, data=Data(str(tmp_path / "packed")), epochs=1)
    resident, streamed = (fit(experiment, parallel=ONE, buffer=buffer) for buffer in (1, 8e-6))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), streamed.state, resident.state)


def test_many_examples_are_primed_on_by_a_sample_of_fixed_size(monkeypatch):
    monkeypatch.setattr("aejax.training._priming.MOST", 16)
    preprocess = Data("generated").preprocess
    sample, again = (priming_examples(UNITS, DATASET, preprocess) for _ in range(2))
    assert len(sample) == 16
    np.testing.assert_array_equal(sample.x, again.x)
    assert len(np.unique(np.asarray(sample.x)[:, 0])) == 16
    assert priming_examples(UNITS.clone(decoder=UnitNormDecoder()), DATASET, preprocess) is None


def test_parameters_to_start_from_are_not_primed_and_begin_the_average(whole):
    still = dataclasses.replace(EXPERIMENT.optimizer, learning_rate=1e-12, players={})
    begun = fit(
        dataclasses.replace(EXPERIMENT, optimizer=still, epochs=1),
        dataset=DATASET,
        params=whole.state.params,
        parallel=ONE,
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), begun.used.params, whole.state.params)


def test_a_rate_for_parameters_that_a_model_does_not_have_is_refused_before_training():
    rates = {"slow": Rate("^encoder.*Dense", 0.1)}
    with pytest.raises(InputError, match=r"there are decoder\.out\.bias, decoder\.out\.kernel, latent\.code\.bias"):
        dataclasses.replace(EXPERIMENT, optimizer=Adam(rates=rates)).resolve(DATASET)


VAE = VariationalAutoencoder(MLPEncoder(), GaussianLatent(2), MLPDecoder())


@pytest.mark.slow
def test_the_constraint_is_met_where_it_can_be():
    """Rezende & Viola's purpose: the rate is as low as the constraint lets it be."""
    terms = {"reconstruction": GECO(target=14.0, rate=3e-3, decay=0.9), "kl": KL()}
    held = fit(
        Experiment(VAE, Loss(Gaussian(3.0), terms), Data("generated"), Adam(2e-2), batch_size=8, epochs=150),
        dataset=DATASET,
        parallel=ONE,
    )
    errors = [row["reconstruction_nats"] for row in held.history if row["split"] == "train"]
    assert np.mean(errors[-30:]) == pytest.approx(14.0, abs=0.5)
