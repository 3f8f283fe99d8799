"""A published figure stands beside what was measured on the same data, by the same settings, and nowhere else."""

from types import SimpleNamespace

import numpy as np
import pytest

import aejax
from aejax.core import Examples
from aejax.evaluation import _variational, report


@pytest.mark.parametrize(
    ("part", "own", "stands"), [("test", True, True), ("test", False, False), ("all of x.npy", False, False)]
)
def test_no_verdict_is_given_on_other_data(part, own, stands, capsys):
    trained = SimpleNamespace(experiment=aejax.get("ae-keras"))
    report.show(trained, {trained.experiment.expected.metric: 0.05}, part, own=own)
    out = capsys.readouterr().out
    assert ("published" in out, ": met" in out) == (stands, stands)
    assert part in out


def test_one_example_does_not_say_which_units_are_active(monkeypatch, caplog):
    values = {"mean": np.zeros((1, 2)), "rate_nats": np.ones(1)}
    monkeypatch.setattr(_variational, "outputs", lambda trained, part: values)
    trained = SimpleNamespace(experiment=aejax.get("vae-iwae-k1"))  # its terms are not the bound's parts
    assert _variational.measure(trained, Examples(np.zeros((1, 4)))) == {"rate_nats": 1}
    assert not any("collapse" in message for message in caplog.messages)
