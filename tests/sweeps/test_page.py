"""The table, the figures and the page of a sweep, from results that are written by hand."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import aejax
from aejax.core import InputError
from aejax.data import DataRecord
from aejax.sweeps import Objective, Result, Sweep, figures, page, plan, summary
from tests.helpers.pictures import pixels

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def made(base, folder, axes):
    """A sweep whose loss is ten times the code's size, plus the rate and a tenth of the seed; rate 1 fails."""
    sweep = Sweep.create(folder, plan.grid(base, axes))
    while sweep.claim("me", 99):
        pass
    for trial in sweep.trials:
        settings = trial.settings
        rate, size = settings.get("optimizer.learning_rate", 0), settings.get("model.latent.size", 0)
        loss = 10 * size + rate + 0.1 * settings["seed"]
        metrics = {"validation": {"loss_nats": loss}, "test": {"loss_nats": -loss}}
        result = Result(trial.id, settings, None, None, 1.0, metrics, {"train": [2 * loss + 1, loss]})
        if rate == 1:
            result = replace(result, failed_at=7, metrics={"validation": {}, "test": {}}, curves={})
        assert sweep.record("me", trial, result)
    return sweep


@pytest.fixture
def swept(tiny, tmp_path):
    axes = {"optimizer.learning_rate": [1e-3, 1e-1, 1], "seed": [0, 1], "model.latent.size": [1, 2, 10]}
    return made(tiny.experiment, tmp_path / "sweep", axes)


def data_of(figure):
    return figure.axes[0]


def test_the_figures_show_the_numbers_of_the_rows(swept):
    drawn = figures.draw_sweep(summary.summarise(swept))
    assert set(drawn) == {"curves", "plane", "along"}
    image = data_of(drawn["plane"]).images[0].get_array()
    assert image.shape == (3, 3)
    np.testing.assert_allclose(np.asarray(image)[0], [10.051, 20.051, 100.051], rtol=1e-6)
    assert [text.get_text() for text in data_of(drawn["plane"]).texts].count("failed") == 3
    line = data_of(drawn["along"]).lines[0]
    assert len(line.get_xdata()) == 3
    curves = [line for line in data_of(drawn["curves"]).lines if len(line.get_xdata())]
    assert len(curves) == 12 + 1  # the failed ones have none; the best has an edge
    assert {line.get_linestyle() for line in curves} == {"-", "--", ":"}  # by the size of the code


def rows_of(first, second, **fields):
    """A row for each combination of two axes; `fields` are those of each row by its settings."""
    empty = {"values": [], "failed": 0, "missing": 0}
    return [
        summary.SummaryRow({"a": a, "b": b}, **empty | fields.get(f"at_{i}_{j}", {}))
        for i, a in enumerate(first)
        for j, b in enumerate(second)
    ]


def test_a_cell_without_a_number_says_why():
    ends = {"at_0_0": {"values": [3.0]}, "at_0_1": {"failed": 1, "missing": 1}, "at_1_0": {"missing": 2}}
    figure = figures.plane(rows_of([1, 2], [1, 2], **ends)[:3], ("a", "b"), "loss_nats")
    assert [cell.get_text() for cell in data_of(figure).texts] == ["3", "failed", "to do", ""]


def test_values_that_four_digits_do_not_tell_apart_are_different_values():
    rates, sizes = [0.10001, 0.10002], [[4], [8]]
    rows = [replace(row, values=[float(n)]) for n, row in enumerate(rows_of(rates, sizes))]
    plane = data_of(figures.plane(rows, ("a", "b"), "loss_nats"))
    np.testing.assert_array_equal(np.asarray(plane.images[0].get_array()), [[0, 1], [2, 3]])
    assert [tick.get_text() for tick in plane.get_yticklabels()] == ["0.10001", "0.10002"]
    lines = data_of(figures.parallel(rows, ("a", "b"), "loss_nats")).lines[:4]
    assert {tuple(line.get_ydata()[:2]) for line in lines} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_on_test_no_setting_is_shown_as_the_best(swept):
    marked = {}
    for part in ("validation", "test"):
        found = summary.summarise(swept, part=part)
        rows, ranked = found.rows, found.best is not None
        lines = data_of(figures.parallel(rows, summary.varied(rows), "loss_nats", ranked=ranked)).lines
        text = page.sweep_page(found, {})
        marked[part] = (text.count("<tr class=best>"), sum(line.get_linewidth() == 1.8 for line in lines))
        assert ("nothing is chosen by the test part" in text) == (part == "test")
    assert marked == {"validation": (2, 1), "test": (0, 0)}  # of settings and of trials


def test_small_multiples_go_along_the_axis(tiny, tmp_path):
    """The reconstruction of each setting is as bright as its code is large."""
    sweep = made(tiny.experiment, tmp_path / "sweep", {"model.latent.size": [10, 1, 2], "seed": [0, 1]})
    for trial in sweep.trials:
        sheet = np.concatenate([np.full((4, 12), 255), np.full((4, 12), 10 * trial.settings["model.latent.size"])])
        Image.fromarray(sheet.astype(np.uint8)).save(file := io.BytesIO(), "PNG")
        png = base64.b64encode(file.getvalue()).decode()
        strip = {"rows": ["original", "reconstruction"], "count": 3, "png": png}
        path = sweep._result(trial)
        path.write_text(json.dumps(replace(sweep.result_of(trial), thumbnails=strip).to_json()))
    drawn = figures.multiples(summary.summarise(sweep))
    assert set(drawn) == {"reconstructions"}
    axes = data_of(drawn["reconstructions"])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "original",
        "latent.size 1 (best)",
        "latent.size 2",
        "latent.size 10",
    ]
    levels = [round(255 * float(image.mean())) for image in pixels(drawn["reconstructions"])]
    assert levels == [255] * 3 + [10] * 3 + [20] * 3 + [100] * 3


def test_the_best_of_many_settings_is_always_among_the_pictures(tiny, tmp_path):
    """With forty settings and room for ten, whichever the best is."""
    axes = {"optimizer.learning_rate": list(range(1, 41)), "seed": [0]}
    sweep = Sweep.create(tmp_path / "sweep", plan.grid(tiny.experiment, axes))
    Image.fromarray(np.zeros((8, 12), np.uint8)).save(file := io.BytesIO(), "PNG")
    strip = {"rows": ["original", "reconstruction"], "count": 3, "png": base64.b64encode(file.getvalue()).decode()}
    for trial in sweep.claim("me", 99):
        loss = abs(trial.settings["optimizer.learning_rate"] - 13)
        metrics = {part: {"loss_nats": loss} for part in ("validation", "test")}
        assert sweep.record("me", trial, Result(trial.id, trial.settings, None, None, 1.0, metrics, thumbnails=strip))
    drawn = figures.multiples(summary.summarise(sweep))["reconstructions"]
    labels = [tick.get_text() for tick in data_of(drawn).get_yticklabels()]
    assert "optimizer.learning_rate 13 (best)" in labels
    assert len(labels) == 11


def test_axes_are_drawn_on_their_own_scales():
    assert figures._places([1e-4, 1e-3, 1e-1]) == pytest.approx([0, 1 / 3, 1])
    assert figures._places([0.0, 1.0, 10.0]) == pytest.approx([0, 0.1, 1])
    assert figures._places([1, 2, 3, 100]) == pytest.approx([0, np.log(2) / np.log(100), np.log(3) / np.log(100), 1])
    assert figures._places(["adam", "sgd", "rmsprop"]) == [0, 0.5, 1]
    assert figures._places([5]) == [0]
    for values, logarithmic in [([1, 2, 4], True), ([0.2, 0.4, 0.6], False), ([-1, 1, 50], False), ([1, 3, 4], False)]:
        assert figures._is_logarithmic(values) == logarithmic


def test_curves_are_coloured_by_the_value_of_the_axis(tiny, tmp_path):
    sweep = made(tiny.experiment, tmp_path / "sweep", {"optimizer.learning_rate": [1e-3, 1e-2, 1e-1], "seed": [0, 1]})
    figure = figures.curves(summary.summarise(sweep))
    lines = [line for line in data_of(figure).lines if line.get_color() != "black"]
    assert len({str(line.get_color()) for line in lines}) == 3
    assert figure.axes[1].get_ylabel() == "optimizer.learning_rate"
    assert figure.axes[1].get_yscale() == "log"


def test_one_seed_has_no_interval(tiny, tmp_path, capsys):
    sweep = made(tiny.experiment, tmp_path / "sweep", {"optimizer.learning_rate": [1e-3, 1e-2], "seed": [3]})
    found = summary.summarise(sweep)
    summary.show(found)
    text = page.sweep_page(found, {})
    assert "nan" not in capsys.readouterr().out + text
    assert "± 95 %" not in text
    assert "interval" not in figures.along(found.rows, "optimizer.learning_rate", "loss_nats").axes[0].get_ylabel()


def test_a_seed_alone_beside_settings_of_two_has_no_interval(tiny, tmp_path, capsys):
    sweep = made(tiny.experiment, tmp_path / "sweep", {"optimizer.learning_rate": [1e-3, 1e-2], "seed": [0, 1]})
    sweep._result(sweep.trials[0]).unlink()
    found = summary.summarise(sweep)
    summary.show(found)
    text = page.sweep_page(found, {})
    assert "± 95 %" in text
    assert "nan" not in capsys.readouterr().out + text


def test_a_mean_at_the_ceiling_of_its_estimate_is_marked(tiny, tmp_path, capsys):
    """The 11 examples of validation cannot show more than log 11 = 2.398 nats of mutual information."""
    trials = plan.grid(tiny.experiment, {"model.latent.size": [1, 2]})
    sweep = Sweep.create(tmp_path / "sweep", trials, {"tiny": DataRecord.of(tiny.dataset)})
    while sweep.claim("me", 99):
        pass
    for trial, value in zip(trials, (0.5, 2.39), strict=True):
        metrics = {"validation": {"mutual_information_nats": value}, "test": {}}
        assert sweep.record("me", trial, Result(trial.id, trial.settings, None, None, 1.0, metrics))
    found = summary.summarise(sweep, "mutual_information_nats", better="higher")
    summary.show(found)
    said = "≥: 11 examples cannot show more mutual_information_nats, nor tell such settings apart"
    for text in (capsys.readouterr().out, page.sweep_page(found, {})):
        assert text.count("≥ 2.390") == 1
        assert "≥ 0.5" not in text
        assert said in text


def test_the_page_says_of_each_trial_what_it_came_to_and_what_trains_it(tmp_path):
    axes = {"loss.terms.kl.weight": [0.5, 2.0], "data": ["mnist-5k"], "seed": [0]}
    trials = plan.grid(aejax.get("vae-flax"), axes)
    command = "aejax sweep vae-flax data=mnist-5k"
    sweep = Sweep.create(tmp_path / "sweep", trials, objective=Objective("negative_elbo_nats"), command=command)
    for number, trial in enumerate(sweep.claim("me", 9)):
        metrics = {part: {"negative_elbo_nats": 100.25 + number, "kl_nats": 7.5} for part in ("validation", "test")}
        provenance = {"commit": "abc123", "ended": "2026-01-02 03:04:05"}
        result = Result(trial.id, trial.settings, None, None, 12.5, metrics, provenance=provenance)
        assert sweep.record("me", trial, result)
    text = page.sweep_page(summary.summarise(sweep), {})
    for trial in sweep.trials:
        assert trial.id in text
        assert html.escape(trial.command) in text
    assert trials[0].command == "aejax train vae-flax --data mnist-5k --loss.terms.kl.weight 0.5"
    for said in (command, "abc123", "2026-01-02 03:04:05", "100.2", "7.500", "12.50", "<th>kl.weight</th>"):
        assert said in text


@pytest.mark.slow
@pytest.mark.parametrize("axes", [2, 3, 6])
def test_in_80_columns_no_head_is_cut(tiny, tmp_path, axes, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    swept = {
        "optimizer.learning_rate": [1e-3, 1e-2],
        "seed": [0, 1],
        "model.latent.size": [1, 2],
        "batch_size": [4, 8],
        "epochs": [1, 2],
        "optimizer.clip_norm": [1.0, 2.0],
    }
    sweep = made(tiny.experiment, tmp_path / "sweep", dict(list(swept.items())[:axes]))
    found = summary.summarise(sweep)
    summary.show(found)
    summary.show_trials(found)
    shown = capsys.readouterr().out
    assert "…" not in shown
    for head in ("learning_rate", "mean", "±95%", "validation", "test", "seconds"):
        assert head in shown
    tables = [line for line in shown.splitlines() if not re.match(r"[0-9a-f]{16}: |best|      aejax", line)]
    assert max(map(len, tables)) <= 80


def test_three_axes_are_drawn_in_parallel(tiny, tmp_path):
    axes = {"optimizer.learning_rate": [1e-3, 1e-1], "model.latent.size": [1, 2], "epochs": [1, 2], "seed": [0]}
    sweep = made(tiny.experiment, tmp_path / "sweep", axes)
    figure = figures.draw_sweep(summary.summarise(sweep))["parallel"]
    labels = [tick.get_text().replace("\n", "") for tick in data_of(figure).get_xticklabels()]
    assert labels == ["optimizer.learning_rate", "latent.size", "epochs", "loss_nats ↓"]


@pytest.mark.parametrize(("sizes", "lines"), [(2, [10, 10]), (20, None)])
def test_the_settings_of_a_search_fill_no_plane(swept, sizes, lines):
    rows = [
        summary.SummaryRow({"optimizer.learning_rate": 1.3**-n, "model.latent.size": n % sizes}, [float(n)], 0, 0)
        for n in range(20)
    ]
    drawn = figures.draw_sweep(replace(summary.summarise(swept), rows=rows, unranked="they are made up"))
    assert "plane" not in drawn
    tags = [text for text in data_of(drawn["parallel"]).texts if text.xy[0] == 0]
    assert 2 < len(tags) < 13  # one at every value could not be read
    assert lines == ([len(line.get_xdata()) for line in data_of(drawn["along"]).lines] if "along" in drawn else None)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_every_trial_is_a_line_of_the_export(swept, tmp_path, ending):
    import pyarrow.csv
    import pyarrow.parquet

    path = tmp_path / f"trials{ending}"
    summary.export(swept, path)
    read = pyarrow.csv.read_csv(path) if ending == ".csv" else pyarrow.parquet.read_table(path)
    assert read.num_rows == 18
    lines = {line["id"]: line for line in read.to_pylist()}
    for trial in swept.trials:
        line = lines[trial.id]
        assert line["model.latent.size"] == trial.settings["model.latent.size"]
        assert line["failed_at"] == (7 if trial.settings["optimizer.learning_rate"] == 1 else None)
        assert line["validation.loss_nats"] == swept.result_of(trial).metrics["validation"].get("loss_nats")


def test_another_ending_is_refused(swept, tmp_path):
    with pytest.raises(InputError, match=r"ends in none of .csv, .json, .parquet"):
        summary.export(swept, tmp_path / "trials.txt")


def test_paths_are_as_short_as_tells_them_apart():
    paths = ["loss.terms.kl.weight", "loss.terms.l1.weight", "optimizer.learning_rate"]
    assert summary.short(paths) == ["kl.weight", "l1.weight", "optimizer.learning_rate"]
    assert summary.short(["loss.terms.kl.weight"]) == ["kl.weight"]  # not weight, of whatever


def test_the_page_names_the_failed_and_refers_to_nothing_outside(swept):
    found = summary.summarise(swept)
    text = page.sweep_page(found, figures.draw_sweep(found))
    assert text.count("the loss was not finite, it failed at step 7") == 6
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert text.count("data:image/png;base64,") == 3


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_a_browser_shows_the_page_and_sorts_its_table(swept, tmp_path):
    text = page.sweep_page(summary.summarise(swept), {})
    rows = "[...document.querySelectorAll('table')[0].tBodies[0].rows]"
    report = f"document.title = {rows}.map(row => row.cells[1].textContent).join()"
    click = "document.querySelectorAll('th')[1].click();"

    def shown(script):
        path = tmp_path / "page.html"
        path.write_text(text.replace("</body>", f"<script>{script};{report}</script></body>"))
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", path.as_uri()]
        dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        return re.search("<title>(.*?)</title>", dom)[1].split(",")

    assert shown("") == ["1", "1", "2", "2", "10", "10", "1", "2", "10"]  # by mean, the failed last
    assert shown(click) == ["1"] * 3 + ["2"] * 3 + ["10"] * 3  # as numbers, not as words
    assert shown(click + click) == ["10"] * 3 + ["2"] * 3 + ["1"] * 3
