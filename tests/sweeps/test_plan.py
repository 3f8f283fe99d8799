import dataclasses
import json
from pathlib import Path

import pytest

import aejax
from aejax.core import InputError
from aejax.core.optimizers import SGD
from aejax.experiment import Expected, vary
from aejax.losses import Gaussian
from aejax.sweeps import plan
from aejax.sweeps.space import Range


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("loss.terms.kl.weight=0.5,1,2", "loss.terms.kl.weight", [0.5, 1, 2]),
        ("optimizer.learning-rate=1e-4:1e-2:log:3", "optimizer.learning_rate", [1e-4, 1e-3, 1e-2]),
        ("a=0:1:lin:5", "a", [0, 0.25, 0.5, 0.75, 1]),
        ("seed=0..3,7", "seed", [0, 1, 2, 3, 7]),
        ("model.encoder.hidden=[64,32],[128]", "model.encoder.hidden", [[64, 32], [128]]),
        ("optimizer=adam,sgd", "optimizer", ["adam", "sgd"]),
        ("x=true,null", "x", [True, None]),
        ("x=²..³", "x", ["²..³"]),
    ],
)
def test_axes_as_they_are_typed(text, path, values):
    assert plan.parse_axis(text) == (path, pytest.approx(values) if isinstance(values[0], float) else values)


@pytest.mark.parametrize(
    "text", ["seed", "=1", "seed=", "lr=0:1:log:3", "lr=1:2:log:1", "lr=1:2:cubic:3", "lr=1,,2", "seed=9..0"]
)
def test_an_axis_that_cannot_be_read_is_refused_in_one_sentence(text):
    with pytest.raises(InputError, match=r"give|separate") as refused:
        plan.parse_axis(text)
    assert "\n" not in str(refused.value)


def test_a_grid_is_every_combination_with_each_setting_where_its_path_says(tiny):
    axes = {"optimizer.learning_rate": [1e-3, 1e-2], "model.latent.size": [2, 3], "seed": [0, 1]}
    trials = plan.grid(tiny.experiment, axes)
    assert len(trials) == 8 == len({trial.id for trial in trials})
    for trial in trials:
        assert trial.experiment.optimizer.learning_rate == trial.settings["optimizer.learning_rate"]
        assert trial.experiment.model.latent.size == trial.settings["model.latent.size"]
        assert trial.experiment.seed == trial.settings["seed"]
    assert [len(group) for group in plan.groups(trials)] == [4, 4]  # by the size of the code


def test_parts_are_exchanged_by_name_before_their_own_settings(tiny):
    axes = {"optimizer.learning_rate": [0.5], "optimizer": ["sgd"], "loss.likelihood": ["gaussian"], "epochs": [7]}
    (trial,) = plan.grid(tiny.experiment, axes)
    assert isinstance(trial.experiment.optimizer, SGD)
    assert trial.experiment.optimizer.learning_rate == 0.5
    assert trial.experiment.loss.likelihood == Gaussian()
    assert trial.experiment.epochs == 7


def test_experiments_can_be_an_axis():
    trials = plan.grid(aejax.get("ae-keras"), {"experiment": ["ae-keras", "ae-linear-32"], "epochs": [3]})
    assert [trial.experiment.name for trial in trials] == ["ae-keras", "ae-linear-32"]
    assert {trial.experiment.epochs for trial in trials} == {3}


def test_an_identity_is_the_configuration_and_nothing_else(tiny):
    own = plan.identity(tiny.experiment)
    assert plan.identity(dataclasses.replace(tiny.experiment, expected=Expected("loss_nats", 1.0))) == own
    assert plan.identity(dataclasses.replace(tiny.experiment, seed=1)) != own
    assert len(own) == 16


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"optimizer.learning_rte": [1]}, "did you mean optimizer.learning_rate"),
        ({"model.latent": [1]}, "must be one of|has no setting"),
        ({"optimizer.learning_rate": ["fast"]}, "learning_rate"),
        ({"model.latent.class": ["Plain"]}, "has no setting"),
        ({"experiment": ["ae-kers"]}, "did you mean ae-keras"),
        ({"seed": [0, 1, 0]}, "1 of the 3 trials are repetitions"),
    ],
)
def test_what_cannot_be_varied_is_refused(tiny, axes, message):
    with pytest.raises(InputError, match=message):
        plan.grid(tiny.experiment, axes)


def test_a_grid_is_read_as_weights_and_biases_writes_it(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(
        "program: train.py\nmethod: grid\nparameters:\n"
        "  optimizer.learning-rate: {values: [1e-4, 0.01]}\n  epochs: {value: 3}\n  optimizer: {values: [adam]}\n"
    )
    assert plan.read_axes(path) == {"optimizer.learning_rate": [1e-4, 0.01], "epochs": [3], "optimizer": ["adam"]}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "parameters: 3",
        "parameters: {a: 1}",
        "parameters: {a: {values: abc}}",
        "parameters: {a: {values: [[[1]]]}}",
        "a: [",
        json.dumps({"parameters": []}),
    ],
)
def test_a_file_that_is_no_grid_is_refused(tmp_path, content):
    path = tmp_path / "grid.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match="is no grid"):
        plan.read_axes(path)


def test_a_file_that_is_no_grid_is_refused_without_assertions_too(tmp_path):
    (tmp_path / "grid.yaml").write_text("parameters: {a: {values: abc}}")
    optimised = {"__name__": plan.__name__}
    exec(compile(Path(plan.__file__).read_text(), plan.__file__, "exec", optimize=1), optimised)
    with pytest.raises(InputError, match="is no grid"):
        optimised["read_axes"](tmp_path / "grid.yaml")


def test_only_grids_are_read_from_files(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("method: bayes\nparameters: {seed: {values: [0]}}")
    with pytest.raises(InputError, match="method 'bayes'"):
        plan.read_axes(path)


LR, WEIGHT = "optimizer.learning_rate", "loss.terms.kl.weight"


def test_a_folder_is_named_by_what_varies_and_what_is_fixed_and_not_by_values_that_may_be_added():
    axes = {"data": ["mnist-5k"], WEIGHT: [0.5, 1.0], "seed": [0]}
    name = plan.folder_name(axes)
    assert name.startswith("kl.weight-")
    assert plan.folder_name({"seed": [0, 1, 2], WEIGHT: [0.5, 1.0, 2.0, 4.0], "data": ["mnist-5k"]}) == name
    assert plan.folder_name({WEIGHT: [1.0, 0.5], "data": ["mnist-5k"]}) == name
    others = [
        plan.folder_name(axes | {"data": ["sprites"]}),
        plan.folder_name(axes | {"epochs": [10]}),
        plan.folder_name(axes | {LR: [1e-3, 1e-2]}),
        plan.folder_name({"data": ["mnist-5k"], LR: [1e-3, 1e-2]}),
        plan.folder_name({"data": ["mnist-5k"], "seed": [0, 1]}),
        plan.folder_name(axes, "by loss_nats"),
        plan.folder_name(axes | {WEIGHT: Range(0.5, 1.0)}, "by loss_nats"),
        plan.folder_name(axes | {WEIGHT: Range(0.5, 2.0)}, "by loss_nats"),
        plan.folder_name(axes | {WEIGHT: Range(0.5, 2.0)}, "by squared_error"),
    ]
    assert len({name, *others}) == len(others) + 1
    assert len(plan.folder_name({f"loss.terms.{number}.weight": [1, 2] for number in range(40)})) < 40


def test_a_trial_s_value_at_any_path_makes_the_same_trial_again(tiny):
    paths = ["optimizer", LR, "loss.likelihood", "model.encoder.hidden", "data", "epochs", "seed", "steps"]
    (trial,) = plan.grid(tiny.experiment, {"optimizer": ["sgd"], LR: [0.5], "data": ["mnist-5k"]})
    settings = plan.settings_at(trial, paths)
    assert settings["optimizer"] == "sgd"
    assert settings["loss.likelihood"] == "bernoulli"
    assert settings["data"] == "mnist-5k"
    assert plan.identity(vary(tiny.experiment, settings)) == trial.id
