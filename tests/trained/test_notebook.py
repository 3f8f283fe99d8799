"""What a notebook shows of a model and of data."""

import dataclasses
import io
import json
import re
import sys

import pytest
from PIL import Image

import aejax
from aejax.core import Adam, InputError
from aejax.data import Data
from aejax.evaluation import figures
from aejax.experiment import settings_of, vary
from aejax.sweeps import Result, Sweep, plan, summarise
from aejax.trained import History


def test_a_model_is_a_line_and_in_a_notebook_its_settings_curve_and_picture(tiny, tmp_path):
    trained = aejax.fit(tiny.experiment, tiny.dataset)
    assert repr(trained) == "Trained(tiny, Autoencoder of Plain(3), [4, 4, 1], 10 steps, 2 epochs)"
    shown = trained._repr_html_()
    (train, validation) = re.findall(r"<polyline[^>]*points='([^']*)'", shown)
    assert [float(pair.split(",")[0]) for pair in train.split()] == [0, 320]
    heights = [float(pair.split(",")[1]) for line in (train, validation) for pair in line.split()]
    losses = [row["loss_nats"] for split in ("train", "validation") for row in trained.history if row["split"] == split]
    assert min(heights) == 0
    assert max(heights) == 120
    assert sorted(range(4), key=lambda place: -losses[place]) == sorted(range(4), key=lambda place: heights[place])
    assert "<img" not in shown
    drawn = aejax.fit(tiny.experiment, tiny.dataset, folder=tmp_path, figures=False)
    (drawn.run.path / "figures").mkdir()
    (drawn.run.path / "figures" / "reconstructions.png").write_bytes(b"a picture")
    assert drawn._repr_html_().count("<img") == 1
    assert str(drawn.run.path) in repr(drawn)


def test_a_model_that_never_trained_and_a_loss_that_is_not_finite_are_shown_too(tiny):
    trained = aejax.fit(tiny.experiment, tiny.dataset)
    rows = [row | {"loss_nats": float("nan")} for row in trained.history]
    for history in ([], rows):
        other = type(trained)(**{**vars(trained), "history": history})
        assert "<polyline" not in other._repr_html_()
        assert repr(other).startswith("Trained(tiny, ")


def test_a_data_set_is_a_line(tiny):
    assert repr(tiny.dataset) == "Dataset('tiny', 40 train, 11 validation, 10 test, [4, 4, 1] uint8)"


def test_an_experiment_is_a_line_and_a_tree_that_name_what_differs_from_the_registered_one():
    registered = aejax.get("vae-flax")
    assert repr(registered).endswith("as registered)")
    changes = {"epochs": 3, "loss.terms.kl.weight": 2.5, "optimizer.schedule": "cosine"}
    varied = vary(registered, changes)
    terms = {"reconstruction": varied.loss.terms["reconstruction"]}
    bare = dataclasses.replace(varied, loss=dataclasses.replace(varied.loss, terms=terms))
    assert repr(varied).endswith("but loss.terms.kl.weight=2.5, optimizer.schedule=cosine, epochs=3)")
    assert "\n" not in repr(varied)
    marked = {line.path: line.remark for line in settings_of(varied) if line.remark}
    before = {"optimizer.schedule": "Constant", "epochs": str(registered.epochs), "loss.terms.kl.weight": "1"}
    assert marked == before
    assert {line.path for line in settings_of(varied)} >= {"model.latent.size", "data.preprocess", "loss.terms.kl"}
    assert "\n        weight        2.5  (registered: 1)\n" in str(varied)
    (gone,) = [line for line in settings_of(bare) if line.value == "not there"]
    assert gone.path == "loss.terms.kl"
    assert gone.remark == "KL"
    shown = varied._repr_html_()
    assert shown.count("font-weight:600") == 2 * len(changes)
    assert "&lt;odd&gt;" in dataclasses.replace(varied, data=Data("<odd>"))._repr_html_()


def test_an_experiment_that_no_file_can_hold_is_shown_all_the_same(tiny):
    odd = dataclasses.replace(tiny.experiment, optimizer=Adam(float("inf")))
    assert repr(odd).startswith("Experiment(tiny, Autoencoder of Plain(3), tiny, 2 epochs of batches of 8, ")
    assert "inf" in str(odd)
    assert "table" not in odd._repr_html_()


def test_the_history_is_a_data_frame_with_the_names_of_the_log(tiny, tmp_path, monkeypatch):
    trained = aejax.fit(tiny.experiment, tiny.dataset, folder=tmp_path, figures=False)
    for history in (trained.history, aejax.load(trained.run.path).history):
        frame = history.to_pandas()
        assert list(frame.columns) == list(json.loads((trained.run.path / "metrics.jsonl").read_text().splitlines()[0]))
        assert frame[frame.split == "train"].loss_nats.tolist() == [
            row["loss_nats"] for row in trained.history if row["split"] == "train"
        ]
        assert frame.groupby("epoch").size().tolist() == [2, 2]
    shown = History([{"epoch": epoch, "split": "<b>"} for epoch in range(50)])._repr_html_()
    assert shown.count("<tr>") == 1 + 20 + 1
    assert "30 rows" in shown
    assert "<b>" not in shown
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r'pip install "aejax\[pandas\]"'):
        trained.history.to_pandas()


def test_a_figure_shows_itself_without_pyplot():
    figure = figures.loss_curves([{"epoch": 1, "split": "train", "loss_nats": 2.0}])
    content, size = figure._repr_png_()
    assert Image.open(io.BytesIO(content)).format == "PNG"
    assert size["width"] == round(96 * figure.get_figwidth())
    both = figures.Pictures(one=figure, other=figure)
    assert repr(both) == "Pictures(one, other)"
    assert both._repr_html_().count("data:image/png;base64,") == 2


def test_a_sweep_is_a_line_and_in_a_notebook_its_best_setting_and_a_table(tiny, tmp_path):
    sweep = Sweep.create(tmp_path / "sweep", plan.grid(tiny.experiment, {"optimizer.learning_rate": [1e-3, 1e-2]}))
    assert repr(sweep) == f"Sweep(tiny, {tmp_path / 'sweep'}, 0 of 2 trials finished)"
    assert "has ended yet" in sweep._repr_html_()
    for trial, loss in zip(sweep.claim("me", 9), (2.0, 1.0), strict=True):
        metrics = {"validation": {"loss_nats": loss}, "test": {"loss_nats": loss}}
        sweep.record("me", trial, Result(trial.id, trial.settings, None, None, 1.0, metrics))
    assert "2 of 2 trials" in repr(sweep)
    assert "2 settings by validation loss_nats" in repr(summarise(sweep))
    shown = sweep._repr_html_()
    assert shown == summarise(sweep)._repr_html_()
    assert "Best: optimizer.learning_rate=0.01" in shown
    assert re.findall(r'data-value="([12]\.0)"', shown) == ["1.0", "2.0"]
