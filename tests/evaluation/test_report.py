"""A published figure stands beside what was measured on the same data, by the same settings, and nowhere else."""

from types import SimpleNamespace

import numpy as np
import pytest

import aejax
from aejax.core import Examples
from aejax.data import Scale
from aejax.evaluation import _variational, report


@pytest.mark.parametrize(
    ("part", "own", "stands"), [("test", True, True), ("test", False, False), ("all of x.npy", False, False)]
)
def test_no_verdict_is_given_on_other_data(part, own, stands, capsys):
    trained = SimpleNamespace(experiment=aejax.get("ae-keras"))
    report.show(trained, {trained.experiment.expected.metric: 0.05}, part, 10, own=own)
    out = capsys.readouterr().out
    assert ("baseline" in out, ": reached" in out) == (stands, stands)
    assert part in out


@pytest.mark.parametrize(
    ("name", "measured", "words"),
    [
        ("vae-flax", 103.0, ["published", "104: reached"]),
        ("vae-flax", 104.3, ["104: not reached, by 0.3, within the tolerance of 0.5"]),
        ("vae-flax", 120.0, ["104: not reached, by 16"]),
        ("dae-tabular", 0.9, ["0.923: not reached, by 0.023"]),
    ],
)
def test_a_verdict_says_by_how_much_a_figure_is_missed(name, measured, words, capsys):
    experiment = aejax.get(name)
    report.show(SimpleNamespace(experiment=experiment), {experiment.expected.metric: measured}, "test", 10)
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert all(word in out for word in words)


@pytest.mark.parametrize(("value", "near"), [(6.208, True), (5.72, True), (5.7, False)])
def test_an_estimate_at_its_ceiling_is_marked_wherever_it_is_printed_or_written(value, near, capsys):
    """Of 500 examples no mutual information is above log 500 = 6.215."""
    trained = SimpleNamespace(experiment=aejax.get("vae-flax"), history=[])
    metrics = {"mutual_information_nats": value, "kl_nats": 25.0}
    report.show(trained, metrics, "test", 500)
    out = " ".join(capsys.readouterr().out.split())
    assert (f"≥ {value:.4f}" in out) is ("500 examples cannot show more" in out) is near
    assert "≥ 25" not in out
    written = report.result(trained, metrics, 500)["at_ceiling"]
    assert written == ({"mutual_information_nats": pytest.approx(6.2146, abs=1e-4)} if near else {})


@pytest.mark.parametrize(("rates", "told"), [([], None), ([1.0], 1.0), ([1.0, 8.0], 8.0), ([1.0, 8.0, 9.0, 7.0], 8.0)])
def test_the_rate_of_a_result_leaves_out_the_rows_that_compiled(rates, told):
    row = {"split": "train", "epoch": 1, "seconds": 1.0}
    history = [row | {"examples_per_second": rate} for rate in rates]
    trained = SimpleNamespace(experiment=aejax.get("ae-keras"), history=history)
    assert report.result(trained, {}, 10)["examples_per_second"] == told


def test_one_example_does_not_say_which_units_are_active(monkeypatch, caplog):
    values = {"mean": np.zeros((1, 2)), "rate_nats": np.ones(1)}
    monkeypatch.setattr(_variational, "outputs", lambda trained, part: values)
    experiment = aejax.get("vae-iwae-k1")  # its terms are not the bound's parts
    trained = SimpleNamespace(experiment=experiment, preprocess=Scale())
    assert _variational.measure(trained, Examples(np.full((1, 4), 0.5))) == {"rate_nats": 1}
    assert not any("collapse" in message for message in caplog.messages)
