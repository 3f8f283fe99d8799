import errno
import json
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import aejax
from aejax.cli import _entry
from aejax.cli._commands import TREE
from aejax.cli._parsing import nearest_flags
from aejax.core import DiskError, DivergedError, InputError, Stopped, kebab, known_subclasses
from aejax.losses import Term
from tests.cli.conftest import run

SMALL = ["--data", "mnist-5k", "--epochs", "2", "--batch-size", "500", "--model.latent.size", "4"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        assert run("train", "ae-keras", *SMALL, "--out", folder, monkeypatch=patch) == 0
    (path,) = (folder / "ae-keras").iterdir()
    return path


@pytest.mark.slow
def test_training_leaves_a_whole_run_directory(trained):
    names = {path.name for path in trained.iterdir()}
    files = {"experiment.json", "metrics.jsonl", "result.json", "state.json", "lock"}
    assert names == files | {"tensorboard", "checkpoints", "figures"}
    figures = {path.name for path in (trained / "figures").iterdir()}
    expected = {"reconstructions", "loss", "codes", "encoder_weights", "decoder_weights"}
    expected |= {"samples", "interpolations", "traversals"}
    assert figures == {f"{name}.png" for name in expected}
    result = json.loads((trained / "result.json").read_text())
    assert result["epochs"] == 2
    assert result["test"]["reconstruction_nats"] > 45
    assert result["hardware"]["platform"]
    assert result["met"] is None  # other settings than the published ones are not compared
    content = json.loads((trained / "experiment.json").read_text())
    assert content["experiment"]["model"]["latent"]["size"] == 4
    assert set(content) == {
        "experiment",
        "changed",
        "code",
        "shape",
        "steps_per_epoch",
        "params",
        "data",
        "provenance",
        "lengthened",
        "windowed",
    }
    assert [set(part) for part in content["provenance"]] == [{"step", "versions", "hardware", "commit"}]


@pytest.mark.slow
def test_tensorboard_mirrors_the_metrics(trained):
    assert any(path.stat().st_size > 100 for path in (trained / "tensorboard").iterdir())


def test_data_are_packed_in_the_type_that_is_asked_for(command, tmp_path):
    x = np.random.default_rng(0).random((20, 3), np.float32)
    np.save(tmp_path / "x.npy", x)
    assert command("data", "pack", tmp_path / "x.npy", tmp_path / "packed", "--dtype", "float16")[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "packed" / "train-00000-x.npy"), x.astype(np.float16))


@pytest.mark.slow
def test_packed_data_is_trained_on_from_disk_and_measured(command, tmp_path):
    assert command("data", "pack", "mnist-5k", tmp_path / "packed")[1].endswith(
        "4,000 train, 500 validation, 500 test\n"
    )
    flags = ["--epochs", "1", "--model.latent.size", "4", "--data", tmp_path / "packed", "--buffer", "0.002"]
    code, _, err = command("train", "ae-keras", "--batch-size", "400", *flags, "--out", tmp_path / "runs")
    assert code == 2
    assert "the buffer holds 2 MB, but streaming needs 8 batches of 0.314 MB" in err.replace("\n", " ")
    assert command("train", "ae-keras", "--batch-size", "100", *flags, "--out", tmp_path / "runs")[0] == 0
    (path,) = (tmp_path / "runs" / "ae-keras").iterdir()
    assert json.loads((path / "result.json").read_text())["test"]["reconstruction_nats"] > 45
    assert command("eval", path)[0] == 0


def test_codes_on_disk_decode_to_the_reconstructions(trained, command, tmp_path):
    codes, decoded, direct = (tmp_path / name for name in ("codes.npy", "decoded.npy", "direct.npy"))
    assert command("encode", trained, "--data", "mnist-5k", "--out", codes)[0] == 0
    assert command("decode", trained, "--data", codes, "--out", decoded)[0] == 0
    assert command("reconstruct", trained, "--data", "mnist-5k", "--out", direct)[0] == 0
    assert np.load(codes).shape == (500, 4)
    np.testing.assert_array_equal(np.load(decoded), np.load(direct))
    assert np.load(direct).shape == (500, 28, 28, 1)


def test_a_run_becomes_a_page(trained, command, tmp_path):
    code, out, _ = command("explore", trained, "--out", tmp_path / "page.html", "--examples", "9")
    assert code == 0
    assert out.startswith(f"{tmp_path / 'page.html'}: ")
    assert '"count":9' in (tmp_path / "page.html").read_text()
    code, _, err = command("explore", trained, "--out", tmp_path / "page.pdf")
    assert code == 2
    assert "give --out a name that ends in .html" in err.replace("\n", " ")


def test_a_run_becomes_a_report(trained, command, tmp_path):
    code, out, _ = command("report", trained, "--out", tmp_path / "page.html")
    assert code == 0
    assert out.startswith(f"{tmp_path / 'page.html'}: ")
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/png") == len(list((trained / "figures").iterdir()))


def test_new_examples_are_written_as_an_array_or_a_picture(trained, command, tmp_path):
    code, _, err = command("sample", trained, "--out", tmp_path / "x.npy")
    assert code == 2
    assert "ae-keras has no prior to draw codes from" in err
    for name in ("x.npy", "again.npy", "x.png"):
        assert command("sample", trained, "--n", "5", "--from", "posterior", "--out", tmp_path / name)[0] == 0
    assert np.load(tmp_path / "x.npy").shape == (5, 28, 28, 1)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.load(tmp_path / "again.npy"))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    for name in ("way.npy", "way.png"):
        arguments = ("--data", "mnist-5k", "--pairs", "3", "--steps", "4", "--out", tmp_path / name)
        assert command("interpolate", trained, *arguments)[0] == 0
    assert np.load(tmp_path / "way.npy").shape == (3, 4, 28, 28, 1)
    assert (tmp_path / "way.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sample", "--out", "x.jpg"], "x.jpg says no format"),
        (["sample", "--from", "posterior", "--n", "0", "--out", "x.npy"], "0 samples were asked for"),
        (["sample", "--n", "-1", "--label", "0", "--out", "x.npy"], "-1 samples were asked for"),
        (["interpolate", "--data", "mnist-5k", "--pairs", "0", "--out", "x.npy"], "0 pairs of 500 examples"),
        (["interpolate", "--data", "mnist-5k", "--steps", "1", "--out", "x.npy"], "1 steps do not lead"),
    ],
)
def test_what_cannot_be_generated_is_refused(trained, command, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = command(arguments[0], trained, *arguments[1:])
    assert code == 2
    assert said in err
    assert not list(tmp_path.iterdir())


def test_eval_prints_what_the_result_says(trained, command):
    code, out, _ = command("eval", trained, "--split", "test")
    assert code == 0
    value = json.loads((trained / "result.json").read_text())["test"]["reconstruction_nats"]
    assert f"{value:.4f}" in out


def test_probes_stand_beside_raw_values_and_pca(trained, command):
    code, out, _ = command("probe", trained, "--kinds", "knn", "--most", "500")
    assert code == 0
    assert all(name in out for name in ("code", "PCA-4", "raw values", "knn_accuracy"))


@pytest.mark.slow
def test_figures_are_drawn_again(trained, command):
    code, out, _ = command("figures", trained)
    assert code == 0
    assert "reconstructions.png" in out


@pytest.mark.slow
def test_a_run_is_resumed_with_its_own_settings(trained, command, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    assert command("train", "ae-keras", "--resume", run, "--epochs", "3")[0] == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if row["split"] == "train"] == [1, 2, 3]


@pytest.mark.slow
def test_parts_are_exchanged_by_name(command, tmp_path):
    code, _, err = command(
        "train", "ae-keras", *SMALL, "--out", tmp_path, "--optimizer", "sgd", "--optimizer.schedule=cosine",
        "--loss.likelihood", "gaussian", "--loss.likelihood.scale", "0.5", "--optimizer.learning-rate", "1e-4",
        "--loss.terms.sparsity", "code-l1", "--loss.terms.sparsity.weight", "0.5",
    )  # fmt: skip
    assert code == 0, err
    (content,) = (json.loads(path.read_text()) for path in tmp_path.rglob("experiment.json"))
    optimizer = content["experiment"]["optimizer"]
    assert (optimizer["class"], optimizer["learning_rate"]) == ("SGD", 1e-4)
    assert optimizer["schedule"]["class"] == "Cosine"
    assert content["experiment"]["loss"]["likelihood"] == {"class": "Gaussian", "scale": 0.5}
    sparsity = content["experiment"]["loss"]["terms"]["sparsity"]
    assert sparsity == {"class": "CodeL1", "weight": 0.5, "warmup_steps": 0.0, "monitored": False}


def test_what_libraries_log_bears_their_name():
    program = (
        "import logging, sys; from aejax.cli import _entry\n"
        "_entry._run = lambda _: [logging.getLogger(name).warning('said') for name in ('aejax', 'other.part')]\n"
        "sys.argv = ['aejax', 'list']\n"
        "_entry.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "aejax: said\nother: said\n"


def test_list_and_show(command):
    code, out, _ = command("list")
    assert code == 0
    assert "ae-keras" in out
    code, out, _ = command("show", "ae-deep")
    assert json.loads(out)["model"]["encoder"]["hidden"] == [128, 64]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian", "ae-keras"], "no command 'trian': did you mean train"),
        (["data", "prepair"], "no command 'prepair': did you mean prepare?"),
        (["train", "ae-kears"], "no experiment 'ae-kears': did you mean ae-keras"),
        (["show", "nothing-like-it"], "`aejax list`"),
        (["train", "ae-keras", "--epoch", "3"], "--epochs"),
        (["train", "ae-keras", "--optimizer.learning-rat", "3"], "--optimizer.learning-rate"),
        (["train", "ae-keras", "--epochs", "three"], "three"),
        (["train", "ae-keras", "--model.latent.activation", "rleu"], "rleu"),
        (["train", "ae-keras", "--optimizer", "adamm"], "one of adam, adam-w, adamax, muon, rms-prop, sgd"),
        (["train", "ae-keras", "--data", "mnist-5x"], "mnist-5k"),
        (
            ["train", "ae-conv", "--data", "mnist-5k", "--model.latent", "vector-quantised"],
            "terms.commitment commitment",
        ),
        (["train", "ae-keras", "--data", "missing.npy"], "missing.npy"),
        (["train", "ae-keras", "--data", "mnist-5k", "--batch-size", "4001"], "batch_size is 4001"),
        (["train", "ae-keras", "--data", "mnist-5k", "--batch-size", "0"], "batch_size is 0"),
        (["train", "ae-keras", "--data", "mnist-5k", "--epochs", "-1"], "epochs is -1"),
        (["train", "ae-keras", "--data", "mnist-5k", "--optimizer.learning-rate", "0"], "optimizer.learning_rate is 0"),
        (["eval", "nowhere"], "nowhere is not a run directory"),
        (["report", "nowhere"], "nowhere is not a run directory"),
        (["report", "nowhere", "--out", "page.txt"], "ends in .html"),
        (["eval", "nowhere", "--samples", "0"], "--samples is 0: give at least 1"),
        (["train", "ae-keras", "--resume", "nowhere"], "nowhere is not a run directory"),
        (["train", "ae-keras", "--keep", "0"], "keep is 0: give at least 1"),
        (["encode", "nowhere", "--data", "mnist-5k", "--out", "x.npy"], "nowhere is not a run directory"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(command, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*arguments)
    assert code == 2
    assert said in " ".join((out + err).replace("│", " ").split())
    assert "Traceback" not in out + err
    assert not list(tmp_path.iterdir()), "nothing may be left behind"


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((20, 6), np.nan, np.float32), "NaN"),
        (np.zeros(20, np.float32), "shape (20,)"),
        (np.zeros((20, 6), np.complex64), "complex64"),
        (np.zeros((0, 6), np.float32), "shape (0, 6)"),
        (np.full((40, 6), 2.0, np.float32), "[0, 1]"),
    ],
)
def test_bad_data_gets_one_sentence_and_exit_code_2(command, tmp_path, array, said):
    np.save(tmp_path / "x.npy", array)
    code, _, err = command("train", "ae-keras", "--data", tmp_path / "x.npy", "--batch-size", "4", "--out", tmp_path)
    assert code == 2
    assert said in err
    assert len([line for line in err.splitlines() if "held out by a fixed seed" not in line]) == 1


def test_a_run_of_another_experiment_is_not_resumed(trained, command):
    code, _, err = command("train", "ae-deep", "--resume", trained)
    assert code == 2
    assert "is of ae-keras, not of ae-deep" in err


def test_a_folder_that_cannot_be_written_is_refused(command, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = command("train", "ae-keras", *SMALL, "--out", tmp_path / "file")
    assert code == 2
    assert "cannot be written" in err


def test_an_experiment_with_an_unknown_class_is_refused_and_imports_nothing(trained, command, tmp_path):
    content = json.loads((trained / "experiment.json").read_text())
    content["experiment"]["model"]["class"] = "antigravity.Autoencoder"
    (tmp_path / "experiment.json").write_text(json.dumps(content))
    before = set(sys.modules)
    code, _, err = command("eval", tmp_path)
    assert code == 2
    assert "'antigravity.Autoencoder' is not one that aejax knows" in err
    assert not {name for name in set(sys.modules) - before if "antigravity" in name}


@pytest.mark.parametrize("out", ["missing/codes.npy", "."])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(trained, command, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    code, _, err = command("encode", trained, "--data", "mnist-5k", "--out", out)
    assert code == 2
    assert "cannot be written" in err


def test_codes_of_another_size_are_refused(trained, command, tmp_path):
    np.save(tmp_path / "codes.npy", np.zeros((3, 5), np.float32))
    code, _, err = command("decode", trained, "--data", tmp_path / "codes.npy", "--out", tmp_path / "out.npy")
    assert code == 2
    assert "(3, 5)" in err
    assert "(n, 4)" in err


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["lst"], ["train", "--help"], ["runs"]])
def test_light_commands_import_nothing_heavy(arguments):
    program = (
        "import sys; from aejax.cli import main\n"
        f"sys.argv = ['aejax', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'jax', 'flax', 'optax', 'numpy', 'matplotlib', 'orbax', 'sklearn'}\n"
        "print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.splitlines()[-1].strip() == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DivergedError("said"), 1),
        (DiskError("said"), 1),
        (RuntimeError("RESOURCE_EXHAUSTED: said\nand more"), 1),
        (OSError(errno.ENOSPC, "No space left", "said"), 1),
        (InputError("said"), 2),
        (KeyboardInterrupt(), 130),
        (Stopped("said", signal.SIGINT), 130),
        (Stopped("said", signal.SIGTERM), 143),
    ],
)
def test_every_way_to_end_has_its_exit_code_and_one_line(command, monkeypatch, error, code):
    def end(arguments):
        raise error

    monkeypatch.setattr(_entry, "_run", end)
    monkeypatch.setattr(_entry.os, "_exit", sys.exit)
    ended, _, err = command("list")
    assert ended == code
    assert err.count("\n") == 1


def test_every_field_has_a_flag_and_choices_are_named(command):
    code, out, _ = command("train", "ae-conv", "--help")
    assert code == 0
    for flag in (
        "--model.encoder.channels",
        "--optimizer.learning-rate",
        "--loss.terms.reconstruction.weight",
        "--seed",
    ):
        assert flag in out
    offered = re.search(r"^--optimizer\n(.*?)^--", out, re.MULTILINE | re.DOTALL)[1]
    named = re.findall(r"^    (\S+)  +(\S.*)$", offered, re.MULTILINE)
    assert [name for name, _ in named] == ["adam", "adam-w", "adamax", "muon", "rms-prop", "sgd"]
    assert dict(named)["sgd"] == "Implements stochastic gradient descent with momentum."


def test_help_is_a_tree_with_a_line_on_every_command(command):
    code, out, _ = command("--help")
    assert code == 0
    tree = [re.match(r"( *)(\w+(?: \w+)?)  ", line) for line in out.splitlines()]
    shown = [(len(found[1]), found[2]) for found in tree if found and found[2] in TREE]
    assert [name for _, name in shown] == [*TREE]
    assert all((indent > 0) == (" " in name) for indent, name in shown)
    assert {"sweep search", "sweep show", "data check", "runs note"} <= {*TREE}


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_parts_in_the_help_have_a_sentence_each_and_fit_the_terminal(command, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = command("train", "vae-flax", "--help")[1]
    terms = re.search(r"^--loss.terms.NAME\n(.*?)^--", out, re.MULTILINE | re.DOTALL)[1]
    assert {kebab(term.__name__) for term in known_subclasses(Term)} <= {
        *re.findall(r"^    (\S+)", terms, re.MULTILINE)
    }
    assert "kl-sparsity" in terms
    assert "Penalises KL(rho || rho_hat_j)" in " ".join(terms.split())
    parts = out[out.index("--model\n") :].split("\n\n")[0]
    assert max(map(len, parts.splitlines())) <= int(columns)


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--lr", ["--optimizer.learning-rate"]),
        ("--optimizer.lr", ["--optimizer.learning-rate"]),
        ("--learning-rate", ["--optimizer.learning-rate"]),
        ("--latent-size", ["--model.latent.size"]),
        ("--batch", ["--batch-size"]),
        ("--batchsize", ["--batch-size"]),
        ("--kl-weight", ["--loss.terms.kl.weight"]),
        ("--optimizer.learning-rat", ["--optimizer.learning-rate"]),
        ("--optimizer.weight-decay", []),  # not what merely stands in the same group
        ("--zzz", []),
    ],
)
def test_a_flag_that_does_not_exist_is_answered_by_the_one_that_is_meant(flag, meant):
    known = ["--batch-size", "--epochs", "--model.latent.size", "--model.encoder.hidden", "--optimizer.learning-rate"]
    known += [
        "--optimizer.clip-norm",
        "--loss.terms.kl.weight",
        "--loss.terms.reconstruction.weight",
        "--seed",
        "--out",
    ]
    assert nearest_flags(flag, known)[: len(meant) or 1] == meant


def test_an_unknown_flag_of_any_command_is_answered_so(command):
    assert "did you mean --optimizer.learning-rate?" in command("train", "ae-keras", "--lr", "1")[2]
    assert "aejax eval has no flag --sample: did you mean --samples?" in command("eval", "x", "--sample=3")[2]
    assert "aejax list takes no 'x'" in command("list", "x")[2]
    assert command("train", "--lr")[0] == 2


@pytest.mark.slow
def test_a_profile_is_left_in_the_run_and_says_where_the_time_went(command, tmp_path):
    code, out, _ = command("train", "ae-keras", *SMALL, "--profile", "--out", tmp_path)
    assert code == 0
    (path,) = (tmp_path / "ae-keras").iterdir()
    summary = json.loads((path / "profile" / "summary.json").read_text())
    assert summary["checkpoint_seconds"] > 0
    assert summary["evaluation_seconds"] > 0
    assert len(list((path / "profile").rglob("*.xplane.pb"))) == 1
    assert "checkpoint seconds" in out


@pytest.mark.slow
def test_bench_shows_rates_and_takes_settings(command):
    code, out, _ = command("bench", "ae-keras", *SMALL, "--rounds", "1")
    assert code == 0
    assert "examples per second" in out
    assert "share of peak" in out


def test_bench_needs_a_round(command):
    assert command("bench", "ae-keras", "--rounds", "0")[0] == 2


@pytest.mark.slow
def test_python_leaves_what_the_command_does(trained, command, tmp_path):
    experiment = aejax.load(trained).run.experiment
    fitted = aejax.fit(experiment, folder=tmp_path, samples=50).run.path
    assert command("train", "--config", trained, "--out", tmp_path / "again", "--no-figures", "--name", "x")[0] == 0
    (again,) = (tmp_path / "again" / "ae-keras").iterdir()

    def left(run):
        return {str(path.relative_to(run)) for path in run.rglob("*") if "tensorboard" not in path.parts}

    assert left(fitted) == left(trained)
    assert left(again) == {name for name in left(trained) if not name.startswith("figures")} | {"notes.json"}
    results = [json.loads((run / "result.json").read_text()) for run in (trained, fitted, again)]
    timed = ("train_seconds", "examples_per_second")
    assert all(result["test"] == results[0]["test"] and result.keys() == results[0].keys() for result in results)
    assert all(
        {n: r[n] for n in r if n not in timed} == {n: results[0][n] for n in r if n not in timed} for r in results
    )
    assert "x" in command("runs", tmp_path / "again")[1]
