"""Every metric that is measured is declared once, and whatever ranks reads it there."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aejax
from aejax.core import InputError
from aejax.metrics import Metric, catalog, declare, declared, describe, direction, labelled, named_in

RESULTS = Path(__file__).parents[2] / "experiments" / "results"


@pytest.mark.parametrize("name", [name for name in aejax.names() if (RESULTS / f"{name}.json").exists()])
def test_whatever_a_registered_experiment_measured_is_declared(name):
    experiment = aejax.get(name)
    measured = json.loads((RESULTS / f"{name}.json").read_text())["test"]
    for metric in measured:
        known = describe(metric, experiment.loss.terms)
        assert known is not None, metric
        assert known.unit
        assert known.meaning


@pytest.mark.parametrize(
    ("better", "names"),
    {
        "lower": "loss_nats kl_nats rate_nats capacity_nats nll_50_nats noisy_at_0.5x_squared_error fvu l0 error",
        "higher": "mig sap dci_disentanglement dci_completeness dci_informativeness beta_vae_score factor_vae_score "
        "perplexity denoised_at_1.5x_psnr_db denoised_at_1.5x_ssim auroc average_precision accuracy logistic_accuracy "
        "kmeans_nmi active_units active_units_layer_2",
    }.items(),
)
def test_directions(better, names):
    for name in names.split():
        assert direction(name, {"capacity"}) == better, name
        assert labelled(name, better) == f"{name} {'↑' if better == 'higher' else '↓'}"


@pytest.mark.parametrize(
    ("name", "why"), [("elbo_nats", "is not known"), ("mutual_information_nats", "neither lower nor higher")]
)
def test_what_nobody_knows_asks(name, why):
    with pytest.raises(InputError, match=rf"the metric {name} .*{why}.*: give --minimize or --maximize"):
        direction(name, {"kl"})
    assert direction(name, (), "higher") == "higher"


def test_a_user_s_own_metric_is_declared_beside_the_others(monkeypatch):
    monkeypatch.setattr(catalog, "_METRICS", [*declared()])
    assert describe("sharpness") is None
    own = declare(Metric("sharpness", "1", "higher", "how sharp a picture is"))
    assert describe("sharpness") == own
    assert declare(Metric("sharpness", "1", "lower", "how blurred a picture is")) in declared()
    assert direction("sharpness") == "lower"


def test_one_number_is_found_by_either_of_its_names():
    assert named_in("rate_nats", {"kl_nats": 1.0}) == named_in("kl_nats", {"kl_nats": 1.0}) == "kl_nats"
    assert named_in("kl_nats", {"rate_nats": 1.0}) == "rate_nats"
    assert named_in("distortion_nats", {"reconstruction_nats", "distortion_nats"}) == "distortion_nats"
    assert named_in("squared_error_per_value", {"squared_error_per_pixel": 1.0}) == "squared_error_per_pixel"
    assert named_in("mig", {"sap"}) is None


def test_names_are_declared_once():
    names = [metric.name for metric in declared()]
    assert len(set(names)) == len(names)


def test_the_command_explains_all_within_80_columns_and_imports_nothing_heavy():
    program = "import sys, aejax.cli; sys.argv = ['aejax', 'metrics']; aejax.cli.main(); "
    program += "print([*sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= min(80, shutil.get_terminal_size().columns)
    for metric in declared():
        assert any(line.startswith(f"{metric.name}  ({metric.unit}; ") for line in lines), metric.name
    assert not {"jax", "numpy", "scipy", "flax"} & set(ast.literal_eval(done.stderr.splitlines()[-1]))
