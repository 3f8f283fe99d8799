"""What commands do with the user's own data: a table with names, labels and outliers."""

import dataclasses

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import aejax
from aejax.core import InputError
from aejax.data import Data
from aejax.experiment import Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain

N = 60


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of points on a line in three dimensions, of which every tenth lies far from it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 1)) * [1, 2, 3]
    odd = np.arange(N) % 10 == 0
    x[odd] = rng.normal(0, 30, (odd.sum(), 3))
    lines = [f"{a},{b},{c},{'odd' if is_odd else 'plain'}" for (a, b, c), is_odd in zip(x, odd, strict=True)]
    path = tmp_path_factory.mktemp("table") / "points.csv"
    path.write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    data = Data(str(table), 0.4, label="kind")
    model = Autoencoder(MLPEncoder(()), Plain(2), MLPDecoder(()))
    experiment = Experiment(model, Loss(Gaussian()), data, batch_size=8, steps=1, name="points")
    return aejax.fit(experiment, folder=tmp_path_factory.mktemp("runs"), figures=False).run.path


def columns(path):
    import pyarrow.parquet
    from pyarrow import csv

    if path.suffix == ".npz":
        return dict(np.load(path))
    table = csv.read_csv(path) if path.suffix == ".csv" else pyarrow.parquet.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


@pytest.mark.parametrize("end", ["npz", "csv", "parquet"])
def test_scores_stand_beside_the_rows_labels_and_numbers(trained, table, command, tmp_path, end):
    arguments = ("score", trained, "--data", table, "--threshold", "quantile=0.9", "--out")
    code, out, _ = command(*arguments, tmp_path / f"scores.{end}", "--outlier", "odd")
    assert code == 0
    found = columns(tmp_path / f"scores.{end}")
    assert list(found) == ["index", "label", "flagged", "score"]
    np.testing.assert_array_equal(found["index"], np.arange(N))
    assert list(found["label"]) == ["outlier" if i % 10 == 0 else "normal" for i in range(N)]
    assert f"{np.mean(found['flagged']):.2%} of {N} flagged" in out
    assert float(out.split("auroc ")[1].split()[0]) > 0.9
    assert "average precision" in out
    assert command(*arguments, tmp_path / "scores.npy")[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), found["score"].astype(np.float32))


def test_codes_and_reconstructions_of_a_table_are_tables(trained, table, command, tmp_path):
    codes, again, decoded = (tmp_path / name for name in ("codes.csv", "again.parquet", "decoded.npy"))
    out = command("encode", trained, "--data", table, "--out", codes)[1]
    assert out == f"{codes}: codes of all of points.csv, {N} x 2 float32\n"
    assert list(columns(codes)) == ["index", "label", "code_0", "code_1"]
    np.testing.assert_array_equal(columns(codes)["index"], np.arange(N))
    assert set(columns(codes)["label"]) == {"odd", "plain"}
    assert command("reconstruct", trained, "--data", table, "--out", again)[0] == 0
    assert list(columns(again)) == ["index", "label", "a", "b", "c"]
    # What was written is read again: the numbers of the rows are no values.
    assert command("decode", trained, "--data", codes, "--out", decoded)[0] == 0
    np.testing.assert_allclose(np.load(decoded)[:, 0], columns(again)["a"], rtol=1e-5)
    arrays = again.with_suffix(".npz")
    assert command("reconstruct", trained, "--data", table, "--out", arrays)[0] == 0
    for written in (again, arrays):
        assert command("encode", trained, "--data", written, "--labels", "label", "--out", codes)[0] == 0


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_a_column_of_the_data_keeps_its_name_beside_the_rows_labels_and_numbers(command, tmp_path, end):
    rows = [f"{row * 7 % N},{row % 3},{row % 5},{'odd' if row % 4 else 'plain'}" for row in range(N)]
    path = tmp_path / "ids.csv"
    path.write_text("\n".join(["index,index_,label,kind", *rows]) + "\n")
    model = Autoencoder(MLPEncoder(()), Plain(3), MLPDecoder(()))
    experiment = Experiment(model, Loss(Gaussian()), Data(str(path), label="kind"), batch_size=8, steps=1, name="ids")
    run = aejax.fit(experiment, folder=tmp_path, figures=False).run.path
    found = {}
    for name in ("all.npz", f"all.{end}"):
        assert command("reconstruct", run, "--data", path, "--out", tmp_path / name)[0] == 0
        found[name] = columns(tmp_path / name)
    arrays, table = found.values()
    assert list(table) == ["index__", "label_", "index", "index_", "label"]
    np.testing.assert_array_equal(table["index__"], np.arange(N))
    np.testing.assert_array_equal(table["label_"], arrays["label"])
    for column, values in zip(("index", "index_", "label"), arrays["x"].T, strict=True):
        np.testing.assert_array_equal(table[column].astype(np.float32), values)


def test_what_was_taken_is_said_with_its_part(trained, table, command, tmp_path):
    out = command("encode", trained, "--data", table, "--split", "train", "--out", tmp_path / "codes.npy")[1]
    assert f"codes of train of points.csv, {len(np.load(tmp_path / 'codes.npy'))} x 2" in out
    out = command("score", trained, "--data", table, "--split", "test", "--out", tmp_path / "scores.npy")[1]
    assert "scores of test of points.csv, 6 float32" in out
    out = command("compress", trained, "--data", table, "--split", "test", "--out", tmp_path / "x.aej")[1]
    assert "bytes for 6 examples" in out
    assert out.endswith(": test of points.csv\n")
    way = ("--pairs", "1", "--steps", "2", "--out", tmp_path / "way.npy")
    assert "between examples of all of points.csv" in command("interpolate", trained, "--data", table, *way)[1]


@pytest.mark.parametrize("name", ["encode", "decode", "reconstruct", "score"])
def test_an_unknown_format_is_refused_before_any_work(trained, command, tmp_path, name):
    code, _, err = command(name, "nowhere", "--data", "nothing.npy", "--out", tmp_path / "x.txt")
    assert code == 2
    assert "x.txt says no format that is written: give --out a name that ends in .npy, .npz, .csv, .parquet" in err


def test_detection_is_measured_where_labels_flag_outliers(trained, table, command, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    assert "auroc" not in command("eval", trained, "--data", other)[1]
    said = command("eval", trained, "--data", other, "--outlier", "odd")[1]
    assert "auroc" in said
    assert "all of other.csv" in said
    # The run's own data are known by the labels that it was trained with, and divided as in training.
    own = ("eval", trained, "--data", table, "--split", "train", "--outlier", "odd")
    assert command(*own)[1] == command(*own[:2], *own[4:])[1]
    assert "auroc" in command(*own)[1]
    assert "auroc" in command("eval", trained, "--split", "train", "--outlier", "odd")[1]


def test_outliers_are_told_among_the_examples_that_were_not_dropped(table, command, tmp_path):
    head, *rows = table.read_text().splitlines()
    gaps = [row for i, line in enumerate(rows) for row in ([line] if i % 4 else [",1,2,odd", line])]
    (tmp_path / "gaps.csv").write_text("\n".join([head, *gaps]) + "\n")
    model = Autoencoder(MLPEncoder(()), Plain(2), MLPDecoder(()))
    said = {}
    for name, given in (("gaps", tmp_path / "gaps.csv"), ("whole", table)):
        data = Data(str(given), 0.4, label="kind", missing="drop")
        experiment = Experiment(model, Loss(Gaussian()), data, batch_size=8, steps=1, name=name)
        run = aejax.fit(experiment, folder=tmp_path, figures=False).run.path
        arguments = ("score", run, "--data", given, "--split", "train", "--labels", "kind", "--outlier", "odd")
        arguments = (*arguments, "--threshold", "quantile=0.9", "--out")
        code, out, _ = command(*arguments, tmp_path / f"{name}.npz")
        assert code == 0
        said[name] = out.split("threshold")[1]
        is_odd = np.load(tmp_path / f"{name}.npz")["label"] == "outlier"
        np.testing.assert_array_equal(is_odd, aejax.data.load(data).train.label == 0)  # odd, plain
    assert "auroc" in said["whole"]
    assert said["gaps"] == said["whole"]


@pytest.fixture(scope="module")
def dropping(table, tmp_path_factory):
    """A run that left examples out which lack a value."""
    data = Data(str(table), 0.4, label="kind", missing="drop")
    model = Autoencoder(MLPEncoder(()), Plain(2), MLPDecoder(()))
    experiment = Experiment(model, Loss(Gaussian()), data, batch_size=8, steps=1, name="dropping")
    return aejax.fit(experiment, folder=tmp_path_factory.mktemp("dropping"), figures=False).run.path


def test_a_row_with_a_gap_stays_in_its_place_and_has_no_score(dropping, table, command, tmp_path):
    gaps = tmp_path / "gaps.csv"
    head, *rows = table.read_text().splitlines()
    gaps.write_text("\n".join([head, rows[0], ",1,2,odd", rows[1], "1,,,plain", *rows[2:]]) + "\n")
    lacking = np.isin(np.arange(N + 2), [1, 3])
    whole, scores = tmp_path / "whole.csv", tmp_path / "scores.csv"
    arguments = ("--threshold", "quantile=0.9", "--outlier", "odd", "--out")
    whole_said = command("score", dropping, "--data", table, *arguments, whole)[1]
    code, out, _ = command("score", dropping, "--data", gaps, *arguments, scores)
    assert code == 0
    assert "2 of 62 examples lack a value: NaN stands for what would be made of them" in out
    assert "2 of them have no finite score and count as flagged, the first is number 1" in out
    found = columns(scores)
    np.testing.assert_array_equal(np.isnan(found["score"]), lacking)
    np.testing.assert_allclose(found["score"][~lacking], columns(whole)["score"], rtol=1e-6)
    assert found["flagged"][lacking].all()
    assert list(found["label"][lacking]) == ["outlier", "normal"]
    assert out.split("auroc")[1] == whole_said.split("auroc")[1]
    for name, column in (("encode", "code_0"), ("reconstruct", "a")):
        assert command(name, dropping, "--data", gaps, "--out", scores)[0] == 0
        np.testing.assert_array_equal(np.isnan(columns(scores)[column]), lacking)


def test_what_makes_nothing_of_each_row_leaves_those_with_gaps_out_and_says_so(dropping, command, tmp_path, caplog):
    gaps = tmp_path / "gaps.csv"
    gaps.write_text("a,b,c\n1,2,3\n,2,3\n2,1,1\n")
    for name, *more in (("eval",), ("compress", "--out", tmp_path / "x.aej")):
        caplog.clear()
        assert command(name, dropping, "--data", gaps, *more)[0] == 0
        assert "1 of 3 examples of all of gaps.csv lack a value and are left out" in caplog.messages
    gaps.write_text("a,b,c\n,2,3\n")
    code, _, err = command("score", dropping, "--data", gaps, "--out", tmp_path / "x.npy")
    assert code == 2
    assert "lacks a value" in err


def test_a_run_that_refused_gaps_refuses_them_later_with_advice_that_can_be_followed(trained, command, tmp_path):
    (tmp_path / "gaps.csv").write_text("a,b,c\n1,2,3\n,2,3\n")
    code, _, err = command("score", trained, "--data", tmp_path / "gaps.csv", "--out", tmp_path / "x.npy")
    assert code == 2
    assert "has 1 missing values (NaN) in 'a' (1), the first in example 1, column 0: replace them, leave" in err
    assert "or train with --data.missing mean" in err


def test_a_run_that_knows_its_outliers_measures_detection_by_itself(table):
    from aejax.evaluation import suite

    data = Data(str(table), 0.4, label="kind", outlier=("odd",))
    trained = aejax.fit(
        Experiment(Autoencoder(MLPEncoder(()), Plain(2), MLPDecoder(())), Loss(Gaussian()), data, batch_size=8, steps=1)
    )
    part = aejax.data.load(data).train
    assert suite.measure(trained, part)["auroc"] > 0.9
    other = dataclasses.replace(trained, experiment=dataclasses.replace(trained.experiment, data=Data("x.npy")))
    assert "auroc" not in suite.measure(other, part)


def test_check_shows_what_would_be_read(table, command, tmp_path, caplog):
    code, out, _ = command("data", "check", table, "--data.label", "kind")
    assert code == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    assert lines["train"].startswith("48 x 3 float32, from -")
    assert lines["classes"] == "odd (6), plain (54)"
    assert lines["columns"] == "a, b, c"
    assert lines["memory"] == "0.0 MB"
    assert "held out by a fixed seed: 6 for validation, 6 for test" in caplog.text
    (tmp_path / "x.json").write_text("{}")
    code, _, err = command("data", "check", tmp_path / "x.json")
    assert code == 2
    assert err.endswith("is JSON: save it as a table, .csv or .parquet, or as .npz\n")


def test_the_probe_names_the_classes(trained, command):
    code, out, _ = command("probe", trained)
    assert code == 0
    assert "2 classes: odd, plain" in out


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        (
            "a,b,c\n1,2,3\n1,oops,3\n",
            (),
            "the column 'b' holds 'oops' in example 1, where the run had numbers: give a number",
        ),
        (
            "a,b,c,class2\n1,2,3,x\n",
            (),
            "columns class2, which the run was not trained on: it has none called 'kind' for",
        ),
        (
            "a,b,c,kind,more\n1,2,3,x,y\n",
            (),
            "the run was not trained on: leave them out, or name the one of labels by --labels",
        ),
        (
            "a,b,c,class2\n1,2,3,x\n",
            ("--labels", "clas2"),
            "it has none called 'clas2' for labels, did you mean class2?",
        ),
        ("a,b,c\n1,2,3\n", ("--labels", "class2"), "t.csv has no column 'class2': give one of its own as labels"),
    ],
)
def test_what_is_wrong_with_a_column_is_said_with_its_row_or_its_flag(trained, command, tmp_path, content, more, said):
    (tmp_path / "t.csv").write_text(content)
    code, _, err = command("score", trained, "--data", tmp_path / "t.csv", *more, "--out", tmp_path / "x.npy")
    assert code == 2
    assert said in err


def test_a_text_among_numbers_is_told_from_categories(tmp_path):
    rows = [f"{number / 7},{number}" for number in range(90)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *rows[:40], "x1.5,2", *rows[40:]]))
    with pytest.raises(
        InputError, match=r"the column 'a' holds 'x1\.5' in example 40, among numbers: give a number there"
    ):
        aejax.data.load(Data(str(tmp_path / "t.csv")))


def test_numbers_that_are_written_as_text_are_told_to_be(tmp_path):
    texts = [str(number / 7) for number in range(90)]
    pyarrow.parquet.write_table(pyarrow.table({"a": texts, "b": [*range(90)]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="the column 'a' holds numbers that are written as text: save them as numbers"):
        aejax.data.load(Data(str(tmp_path / "t.parquet")))
