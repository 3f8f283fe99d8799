"""What cannot be parsed or found is refused in one sentence, without a box and without the number of an error."""

import os
import sys

import pytest

from aejax.cli._refusals import in_words


def refusal(command, *arguments):
    """The sentence with which a command is refused."""
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("aejax: ")
    assert err.count("\n") == 1
    assert not set("╭│╰─") & set(err)
    return err.removeprefix("aejax: ").rstrip("\n")


TRAIN = ("train", "ae-keras")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*TRAIN, "--epochs", "abc"), "--epochs takes a whole number, not 'abc'"),
        ((*TRAIN, "--epochs=1.5"), "--epochs takes a whole number, not '1.5'"),
        ((*TRAIN, "--batch_size", "x"), "--batch-size takes a whole number, not 'x'"),
        ((*TRAIN, "--steps", "many"), "--steps takes a whole number or None, not 'many'"),
        ((*TRAIN, "--buffer", "big"), "--buffer takes a number, not 'big'"),
        ((*TRAIN, "--optimizer.learning-rate", "fast"), "--optimizer.learning-rate takes a number, not 'fast'"),
        ((*TRAIN, "--data.size", "32"), "--data.size takes 2 whole numbers or None, not '32'"),
        ((*TRAIN, "--model.encoder.hidden", "64", "wide"), "--model.encoder.hidden takes whole numbers, not '64 wide'"),
        ((*TRAIN, "--data.missing", "ignore"), "--data.missing is 'ignore', but it must be one of drop, mean, refuse"),
        ((*TRAIN, "--epochs"), "--epochs is given without a value: `aejax train ae-keras --help` shows what it takes"),
        (("encode",), "aejax encode needs RUN, --data and --out: `aejax encode --help` shows what it takes"),
        (("encode", "r", "--out", "x"), "aejax encode needs --data: `aejax encode --help` shows what it takes"),
        (("eval", "r", "--split", "dev"), "--split is 'dev', but it must be one of test, train, validation"),
        (("probe", "r", "--kinds", "tree"), "--kinds is 'tree', but it must be one of kmeans, knn, logistic, svm"),
        (("sample", "r", "--n", "few", "--out", "x"), "--n takes a whole number, not 'few'"),
        (("sample", "r", "--n=", "--out", "x"), "--n takes a whole number, not ''"),
        (("sample", "--n", "few", "r", "--out", "x"), "--n takes a whole number, not 'few'"),
        (("data", "check", "x", "--data.size", "a", "b"), "--data.size takes 2 whole numbers or None, not 'a b'"),
    ],
)
def test_values_of_another_kind_are_refused_in_a_sentence(command, arguments, said):
    assert refusal(command, *arguments) == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("encode", "r", "--data", "d.csv", "--oot", "a.npy"), "encode has no flag --oot: did you mean --out?"),
        (("encode", "--oot=a.npy"), "encode has no flag --oot: did you mean --out?"),
        (("encode", "-info", "r"), "encode has no flag -info: "),
        (("encode", "-out", "a.npy", "r"), "encode has no flag -out: did you mean --out?"),
        (("reconstruct", "--splt", "test", "r", "--data"), "reconstruct has no flag --splt: did you mean --split?"),
        ((*TRAIN, "--optimizr.b1", "1", "--batch_size", "x"), "train ae-keras has no flag --optimizr.b1: did you mean"),
        ((*TRAIN, "-z"), "train ae-keras has no flag -z: `aejax train ae-keras --help` shows all"),
        (("sample", "r", "--n", "-inf", "--out", "x"), "--n takes a whole number, not '-inf'"),
        (("encode", "r", "--data", "-h"), "--data is given without a value"),
        (("list", "-1"), "list takes no '-1'"),
    ],
)
@pytest.mark.parametrize("columns", ["40", "200"])
def test_a_flag_that_does_not_exist_is_named_before_what_else_is_wrong(command, monkeypatch, columns, arguments, said):
    monkeypatch.setenv("COLUMNS", columns)
    assert refusal(command, *arguments).removeprefix("aejax ").startswith(said)
    assert os.environ["COLUMNS"] == columns


def test_a_flag_is_known_that_help_shows_in_a_second_column(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert refusal(command, *TRAIN, "--lr", "1").endswith("did you mean --optimizer.learning-rate?")
    assert refusal(command, *TRAIN, "--optimizer.b1", "1", "--epochs", "x").startswith("--epochs takes")


def test_a_setting_of_another_kind_of_part_is_answered_by_that_kind(command):
    said = "--optimizer.weight-decay: --optimizer adam-w has it"
    assert refusal(command, *TRAIN, "--optimizer.weight-decay", "1e-3").endswith(said)
    said = "ae-keras has no setting 'optimizer.weight_decay': optimizer adam-w has it"
    assert refusal(command, "sweep", "ae-keras", "optimizer.weight-decay=1e-3") == said


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("batch-size", "abc", "takes a whole number, not 'abc'"),
        ("optimizer.clip-norm", "abc", "takes a number or None, not 'abc'"),
        ("model.encoder.hidden", "[a]", "takes whole numbers, not '[a]'"),
        ("model.encoder.activation", "a", "is 'a', but it must be one of elu, gelu,"),
        ("optimizer.schedule", "a", "is 'a', but it must be one of constant, cosine,"),
    ],
)
def test_a_flag_and_an_axis_are_refused_in_the_same_words(command, path, value, said):
    flag, axis = (
        refusal(command, *given) for given in ((*TRAIN, f"--{path}", value), ("sweep", "ae-keras", f"{path}={value}"))
    )
    assert flag.startswith(f"--{path} {said}")
    assert axis.removeprefix("--").replace("_", "-") == flag.removeprefix("--").replace("_", "-")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("encode", "r", "x", "--out", "o"), "aejax encode needs --data: `aejax encode --help` shows what it takes"),
        (("encode", "r", "--data", "d", "--", "--oot"), "aejax encode needs --out: `aejax encode --help` shows"),
        (("sample", "r", "--out", "x", "--n", "([Missing from a:"), "--n takes a whole number, not '([Missing"),
        (("eval", "r", "--split", "a\nMissing from b:"), "--split is 'a Missing from b:', but it must be one of test"),
    ],
)
def test_only_what_is_missing_is_called_missing(command, arguments, said):
    assert refusal(command, *arguments).startswith(said)


@pytest.mark.parametrize("code", [1, 2, 3])
@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", ""),
        (" Whoops \n ------- \n  Missing \n  from it. \n", " (Missing from it)"),
        ("  Missing from aejax encode: \n  nothing ", " (Missing from aejax encode: nothing)"),
        ("Error parsing --out:", " (Error parsing --out)"),
        ("A [word. For full helptext, run it.", " (A [word)"),
    ],
)
def test_a_refusal_of_unknown_words_is_a_sentence_too(command, monkeypatch, code, said, why):
    def refuse(*_, **__):
        print(said, file=sys.stderr)
        raise SystemExit(code)

    monkeypatch.setattr("tyro.cli", refuse)
    assert refusal(command, "encode", "r", "--out", "x") == (
        f"the arguments of aejax encode could not be read{why}: `aejax encode --help` shows what it takes"
    )


@pytest.mark.parametrize("code", [0, None])
def test_an_end_without_an_error_is_not_a_refusal(command, monkeypatch, code):
    def end(*_, **__):
        print("help")
        raise SystemExit(code)

    monkeypatch.setattr("tyro.cli", end)
    assert command("encode", "r") == (0, "help\n", "")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("INT", "a whole number"),
        ("{None}|FLOAT", "a number or None"),
        ("{None}|{INT INT}", "2 whole numbers or None"),
        ("[INT [INT ...]]", "whole numbers"),
        ("{a,b}", "one of a, b"),
        ("{None}|PATH", "a path or None"),
    ],
)
def test_kinds_are_words(kind, words):
    assert in_words(kind) == words


MISSING = [
    ("runs", "{}"),
    ("runs", "note", "{}", "--name", "x"),
    ("report", "{}"),
    ("track", "{}", "--to", "tensorboard"),
    *((name, "{}") for name in ("eval", "probe", "figures", "explore")),
    ("features", "{}", "--out", "x.html"),
    ("export", "{}", "--out", "x"),
    ("import", "{}"),
    ("sampler", "{}"),
    ("sample", "{}", "--out", "x.npy"),
    ("interpolate", "{}", "--data", "mnist-5k", "--out", "x.npy"),
    *((name, "{}", "--data", "mnist-5k", "--out", "x.npy") for name in ("encode", "reconstruct", "denoise", "score")),
    ("compress", "{}", "--data", "mnist-5k", "--out", "x.aej"),
    ("decode", "nowhere", "--data", "{}", "--out", "x.npy"),
    ("decompress", "nowhere", "gone/{}", "--out", "x.npy"),
    ("sweep", "show", "{}"),
    ("sweep", "best", "{}"),
    ("sweep", "ae-keras", "--grid", "{}"),
    ("train", "--config", "{}"),
    ("train", "--resume", "{}"),
    ("train", "ae-keras", "--data", "{}"),
    ("list", "--import", "{}"),
    ("bench", "--config", "{}"),
    ("data", "check", "{}"),
    ("data", "pack", "{}", "x"),
    ("data", "prepare", "mnist", "--from", "{}"),
    ("results", "{}"),
]


@pytest.mark.parametrize("path", ["gone/there.npy", "file/there.npy", "file.npy", "folder"])
@pytest.mark.parametrize("arguments", MISSING, ids=" ".join)
def test_a_path_where_nothing_fits_is_answered_by_what_it_is_and_what_to_give(
    command, tmp_path, monkeypatch, arguments, path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "file.npy").write_text("")
    (tmp_path / "folder").mkdir()
    said = refusal(command, *(argument.format(path) for argument in arguments))
    assert "Errno" not in said
    assert "Error" not in said
    assert path.split("/")[0] in said
    assert {found.name for found in tmp_path.iterdir()} == {"file", "file.npy", "folder"}


def test_a_sweep_that_is_spelled_otherwise_is_offered(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweeps" / "ae-keras" / "seed-0..2").mkdir(parents=True)
    (tmp_path / "sweeps" / "ae-keras" / "seed-0..2" / "sweep.json").write_text("{}")
    assert refusal(command, "sweep", "show", "sweeps/ae-kears") == (
        "sweeps/ae-kears is not there: did you mean sweeps/ae-keras?"
    )
    assert "did you mean sweeps/ae-keras/seed-0..2?" in refusal(command, "sweep", "best", "sweeps/ae-keras/seed-0-2")
