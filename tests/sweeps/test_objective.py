"""Trials are compared by a metric that measures the same of each of them, and by no other."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

import aejax
from aejax.core import InputError
from aejax.experiment import replace_at, vary
from aejax.losses import CodeL1
from aejax.sweeps import Objective, Sweep, measuring, plan
from aejax.sweeps.objective import _untrained, moving, proposals
from aejax.trained import Trained
from aejax.training import SuccessiveHalving

WEIGHT = "loss.terms.kl.weight"


def experiments(name, axes):
    return [trial.experiment for trial in plan.grid(aejax.get(name), axes)]


@pytest.mark.parametrize(
    ("name", "axes", "moves"),
    [
        ("vae-flax", {WEIGHT: [0.5, 1.0]}, {"loss_nats"}),
        ("vae-flax", {"loss.terms.kl.warmup_steps": [0.0, 100.0]}, set()),  # it is over when validation is measured
        ("vae-flax", {"optimizer.learning_rate": [1e-3, 1e-2], "model.latent.size": [2, 8], "seed": [0, 1]}, set()),
        ("vae-flax", {"data.validation": [0.1, 0.2], "batch_size": [8, 16]}, set()),
        (
            "ae-keras",
            {"loss.likelihood": ["bernoulli", "gaussian"]},
            {"loss_nats", "reconstruction_nats", "negative_elbo_nats", "nll_50_nats"},
        ),
        (
            "vae-flax",
            {"data.preprocess": ["scale", "binarise"]},
            {"loss_nats", "reconstruction_nats", "negative_elbo_nats", "nll_50_nats", "squared_error"},
        ),
        ("dae-gaussian", {"loss.corruption.level": [0.1, 0.2]}, {"loss_nats", "reconstruction_nats", "kl_nats"}),
        ("ae-keras", {"experiment": ["ae-keras", "vae-flax"], "data": ["mnist-5k"], "data.preprocess": ["scale"]},
         {"loss_nats", "kl_nats"}),
    ],
)  # fmt: skip
def test_a_metric_moves_with_the_settings_that_are_part_of_what_it_measures(name, axes, moves):
    metrics = ("loss_nats", "reconstruction_nats", "kl_nats", "negative_elbo_nats", "nll_50_nats", "squared_error")
    planned = experiments(name, axes)
    assert {metric for metric in metrics if moving(metric, planned)} == moves
    assert {*proposals(planned)} <= {*metrics} - moves


def test_whatever_varies_the_value_of_a_metric_at_fixed_parameters_moves_it(tiny):
    """The same model, with the same parameters, on the same data: only a metric that moves may come out otherwise."""
    loss = tiny.experiment.loss
    losses = {
        "unweighted": dataclasses.replace(loss, terms=loss.terms | {"l1": CodeL1(0.0)}),
        "weighted": dataclasses.replace(loss, terms=loss.terms | {"l1": CodeL1(2.0)}),
        "monitored": dataclasses.replace(loss, terms=loss.terms | {"l1": CodeL1(1.0, monitored=True)}),
    }
    variants = {name: dataclasses.replace(tiny.experiment, loss=each) for name, each in losses.items()}
    trained = _untrained(tiny.experiment, tiny.dataset)
    model = trained.experiment.model
    bias = jax.tree.map(lambda leaf: leaf + 0.1, trained.state.params)
    trained = dataclasses.replace(trained, state=dataclasses.replace(trained.state, params=bias))
    measured = {
        name: dataclasses.replace(trained, experiment=dataclasses.replace(each, model=model)).evaluate(
            tiny.dataset.test
        )
        for name, each in variants.items()
    }
    for one, other in itertools.combinations(variants, 2):
        pair = [variants[one], variants[other]]
        for metric in ("loss_nats", "reconstruction_nats", "l1_nats", "squared_error"):
            same = np.isclose(measured[one][metric], measured[other][metric], rtol=1e-6)
            assert same != bool(moving(metric, pair)) or {one, other} == {"unweighted", "monitored"}, metric
        assert not moving("squared_error", pair)
        assert moving("loss_nats", pair)


def test_the_bound_is_proposed_of_what_has_one_and_the_squared_error_of_all():
    assert proposals(experiments("vae-flax", {WEIGHT: [0.5, 1.0]})) == [
        "negative_elbo_nats",
        "nll_50_nats",
        "squared_error",
    ]
    assert proposals(experiments("ae-keras", {"loss.likelihood": ["bernoulli", "gaussian"]})) == ["squared_error"]


def test_planning_asks_for_a_metric_and_says_which_and_why(tmp_path):
    planned = experiments("vae-flax", {WEIGHT: [0.5, 1.0]})
    asked = r"loss_nats has another meaning at each loss.terms.kl.weight, .*: give --metric negative_elbo_nats or "
    with pytest.raises(InputError, match=asked):
        Objective.of(planned)
    with pytest.raises(InputError, match=asked):
        Objective.of(planned, "loss_nats")
    with pytest.raises(InputError, match=asked):
        Sweep.create(tmp_path / "sweep", plan.grid(aejax.get("vae-flax"), {WEIGHT: [0.5, 1.0]}))
    assert not (tmp_path / "sweep" / "sweep.json").exists()
    assert Objective.of(planned, "negative_elbo_nats") == Objective("negative_elbo_nats", "lower")
    assert Objective.of(planned, "active_units").better == "higher"
    with pytest.raises(InputError, match="the metric sharpness is not known: give --minimize or --maximize"):
        Objective.of(planned, "sharpness")


def test_a_grid_over_data_is_trained_and_a_search_over_them_is_refused():
    planned = experiments("ae-keras", {"data": ["mnist-5k", "sprites"]})
    assert Objective.of(planned) == Objective()
    with pytest.raises(InputError, match=r"data that are not the same \(data.name vary\)"):
        Objective.of(planned, choosing=True)


def test_trials_are_not_ended_by_comparing_losses_that_measure_different_things(tiny, tmp_path):
    np.save(tmp_path / "x.npy", tiny.dataset.train.x)
    base = replace_at(tiny.experiment, "data", str(tmp_path / "x.npy"))
    weights = plan.grid(base, {"loss.terms.reconstruction.weight": [0.5, 1.0], "epochs": [9]})
    with pytest.raises(InputError, match="cannot be ended by comparing it: give --patience"):
        plan.check(weights, SuccessiveHalving((2,)))
    plan.check(plan.grid(base, {"optimizer.learning_rate": [0.5, 1.0], "epochs": [9]}), SuccessiveHalving((2,)))


@pytest.mark.slow
def test_what_measures_is_the_quickest_that_gives_the_metric(tiny, caplog):
    def metrics(name, everything=False):
        way = measuring(Objective(name), experiment, tiny.dataset, everything)
        return way, {*way(trained, tiny.dataset.test)}

    experiment = dataclasses.replace(aejax.get("vae-flax"), batch_size=8)
    experiment = vary(experiment, {"model.latent.size": 2, "model.encoder.hidden": (4,), "epochs": 1})
    trained = aejax.fit(experiment, tiny.dataset)
    assert metrics("loss_nats")[0] is Trained.evaluate
    assert metrics("squared_error")[0] == Trained.evaluate
    bound = metrics("negative_elbo_nats")[1]
    assert "negative_elbo_nats" in bound
    assert not [name for name in bound if name.startswith("nll")]
    assert "nll_7_nats" in metrics("nll_7_nats")[1]
    with pytest.raises(InputError, match=r"vae-flax has no metric 'mig' of validation: it has .*negative_elbo_nats"):
        metrics("mig")
