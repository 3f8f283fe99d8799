"""The page of a run says what its folder does, however the run ended, and refers to nothing outside itself."""

import dataclasses
import html
import json
import re
import shutil

import pytest
from matplotlib.figure import Figure
from PIL import Image

import aejax
from aejax.core import InputError
from aejax.evaluation import report_page
from aejax.evaluation.report import in_order
from aejax.runs import Notes, add_notes
from tests.helpers.small import DATASET, EXPERIMENT


def cells(page):
    """The cells of the first row of a table that begins with a cell, by that."""
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>.*?</tr>", page)]
    plain = [[html.unescape(re.sub("<[^>]*>", "", cell)) for cell in row] for row in rows]
    return {row[0]: row[1:] for row in reversed(plain)}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return aejax.fit(EXPERIMENT, DATASET, folder=tmp_path_factory.mktemp("runs"), figures=False).run


@pytest.fixture
def run(done, tmp_path, monkeypatch):
    """A copy of the run, for whose pages no curves are drawn: that takes as long as all else."""
    monkeypatch.setattr("aejax.evaluation.suite.loss_figure", lambda rows, result: Figure(figsize=(1, 1)))
    return shutil.copytree(done.path, tmp_path / "run")


def as_registered(run, test, **changed):
    """Makes a folder that of vae-flax, which has a figure, with these metrics on test."""
    from aejax.experiment import to_json

    content = json.loads((run / "experiment.json").read_text())
    content["experiment"] = to_json(dataclasses.replace(aejax.get("vae-flax"), **changed))
    (run / "experiment.json").write_text(json.dumps(content))
    result = json.loads((run / "result.json").read_text()) | {"test": test}
    (run / "result.json").write_text(json.dumps(result))


def test_a_page_has_the_numbers_of_the_run_and_their_units(done):
    page = report_page(done.path)
    shown, result = cells(page), done.result()
    last = {row["split"]: row["loss_nats"] for row in done.rows()}
    values = [result["test"]["loss_nats"], last["validation"], last["train"]]
    assert shown["loss_nats ↓"] == [*(f"{value:.5g}" for value in values), "nats"]
    error = result["test"]["squared_error"]
    assert shown["squared_error ↓"] == [f"{error:.5g}", "", "", "squared units of the model's input"]
    assert shown["state"] == ["done"]
    assert shown["trained"] == ["30 steps, 6 of 6 epochs"]
    assert shown["data"] == ["generated: 40 train, 11 validation, 10 test; [4, 4, 1] uint8 from 0 to 255"]
    assert f"jax {done.provenance[0]['versions']['jax']}" in shown["versions"][0]
    assert "No experiment is registered as tiny here" in page
    assert "no figure." in page
    assert "aejax figures" in page
    assert page.count("data:image/png") == 1  # the loss
    assert not re.search(r'(src|href)="(?!data:)|https?://|@import', page)


def test_what_differs_from_the_registered_experiment_and_why_it_has_no_figure(run):
    as_registered(run, {"loss_nats": 100.0}, epochs=3, expected=None)
    page = report_page(run)
    assert cells(page)["epochs"] == ["3", str(aejax.get("vae-flax").epochs)]
    assert "as the published figure, loss_nats ↓ 104 on test, belongs to the registered settings" in page
    assert "aejax train vae-flax --epochs 3" in html.unescape(page)


@pytest.mark.parametrize(
    ("loss", "said", "word"),
    [(103.0, "reached", "reached"), (104.3, "not reached, by 0.3, within the tolerance of 0.5", "reached"),
     (120.0, "not reached, by 16", "short")],
)  # fmt: skip
def test_a_figure_is_reached_or_not_and_by_how_much(run, loss, said, word):
    as_registered(run, {"loss_nats": loss})
    page = report_page(run)
    assert f"104 on test; measured {loss:.5g}: <span class={word}>{said}</span>" in page
    assert "Nothing differs" in page
    (run / "state.json").write_text('{"state": "stopped", "error": null}')
    assert "104 on test: not measured" in report_page(run)


def test_a_run_that_was_stopped_or_failed_says_how_it_goes_on(run):
    (run / "result.json").unlink()
    (run / "state.json").write_text('{"state": "stopped", "error": null}')
    page = report_page(run)
    assert f"aejax train tiny --resume {run}" in page
    assert list(cells(page)["metric"]) == ["validation", "train", "unit"]
    (run / "state.json").write_text('{"state": "failed", "error": "loss_nats became <nan>"}')
    assert "It failed: loss_nats became &lt;nan&gt;" in report_page(run)
    (run / "metrics.jsonl").unlink()
    page = report_page(run / "checkpoints" / "best")
    assert "no epoch was finished" in page
    assert "<figure>" not in page


def test_all_figures_are_on_the_page_and_what_is_no_picture_is_left_out(run):
    (run / "figures").mkdir()
    for name in ("codes", "weights", "reconstructions", "loss"):
        Image.new("RGB", (300, 150)).save(run / "figures" / f"{name}.png")
    (run / "figures" / "odd.png").write_bytes(b"no picture")
    add_notes(run, Notes("<wide>", ("paper",), "twice as wide"))
    page = report_page(run)
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == ["", "reconstructions", "codes", "weights"]
    assert page.count('width="192"') == 3
    assert "<h1>tiny, &lt;wide&gt;</h1>" in page
    assert "twice as wide" in page
    assert cells(page)["tags"] == ["paper"]
    assert in_order([run / "b.png", run / "loss.png", run / "a.png"])[0].stem == "loss"


@pytest.mark.parametrize("content", [None, "{", '{"experiment": 3}'])
def test_what_is_no_run_is_refused(tmp_path, content):
    if content:
        (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(InputError, match="experiment"):
        report_page(tmp_path)
