import dataclasses
import importlib.util
import json
import math
import os
import runpy
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import aejax
from aejax.core import InputError
from aejax.data import load, pack
from aejax.experiment import Expected, ledger
from aejax.explore import Explorer
from tests.helpers.small import DATASET, EXPERIMENT

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments" / "results"
FIGURES = [name for name in aejax.names() if aejax.get(name).expected is not None]
"""The entries that reproduce a published figure; which have none, `test_registry` says."""
UNMEASURED = (
    "vae-mnist",
    *("ladder-mnist", "svae-mnist", "vae-photos"),
    *("vae-iwae-k50", "iwae-2-k50"),
)
"""Those that have not been trained in full yet, as their tables say; `scripts/reproduce.py` does it."""
MEASURED = [name for name in FIGURES if name not in UNMEASURED]
NOT_REACHED = ("factor-vae-sprites", "sae-wta")
"""Those of them that miss their figure, as their tables say."""


def script(name):
    sys.path.insert(0, str(ROOT / "scripts"))  # as where a script is run: they import one another
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def study(name):
    return SimpleNamespace(**runpy.run_path(str(ROOT / "experiments" / f"{name}.py")))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(4))
def test_every_experiment_runs(first, tmp_path):
    """On 300 examples of a part and one epoch of each training: what it finds, the committed results say."""
    paths = sorted((ROOT / "experiments").glob("*.py"))[first::4]
    command = [sys.executable, "-m", "tests.helpers.briefly", *paths]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env, timeout=290)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    said = dict(part.split("\n", 1) for part in done.stdout.split("== ")[1:])
    assert [*said] == [*map(str, paths)]
    assert all(text.strip() for text in said.values())


def test_the_article_s_section_5_takes_fewer_than_40_lines():
    assert len((ROOT / "experiments" / "keras_mnist.py").read_text().splitlines()) < 40


@pytest.mark.parametrize("name", MEASURED)
def test_every_entry_has_a_committed_result_that_meets_its_figure_or_is_known_not_to(name):
    result = json.loads((RESULTS / f"{name}.json").read_text())
    experiment = aejax.get(name)
    measured = (
        result["comparison"]["measured"] if "comparison" in result else result["test"][experiment.expected.metric]
    )
    assert experiment.expected.met_by(measured) is result["met"] is (name not in NOT_REACHED)
    if experiment.steps is None:
        assert result["epochs"] == experiment.epochs
    else:
        data = experiment.data  # MNIST's files are not everywhere
        rows = round(60_000 * (1 - data.validation)) if data.name == "mnist" else len(load(data).train)
        assert result["epochs"] == math.ceil(experiment.steps / (rows // experiment.batch_size))
    assert result["seed"] == experiment.seed
    assert result["train_seconds"] > 0
    assert result["hardware"]["device"]
    assert result["data"]["name"] == aejax.get(name).data.name


def test_the_contractive_code_moves_less_than_that_of_pca_with_as_low_an_error():
    """The Jacobian of PCA with 64 components has 64 orthonormal rows."""
    test = json.loads((RESULTS / "cae.json").read_text())["test"]
    assert test["squared_error"] < 7.093
    assert test["contractive_nats"] < 64


def test_no_result_is_left_of_an_entry_that_is_gone():
    scripts = {path.stem for path in (ROOT / "experiments").glob("*.py")}
    assert {path.stem for path in RESULTS.glob("*.json")} - scripts == set(MEASURED)


def test_the_statistic_of_one_class_mnist_is_the_one_that_held_out_images_of_the_digit_like_best():
    result = json.loads((RESULTS / "one_class_mnist.json").read_text())
    for method, nats in result["held_out_nats"].items():
        assert result["chosen"][method] == min(nats, key=nats.get)
    assert result["means"]["autoencoder"] == pytest.approx(
        np.mean([row["autoencoder"]["auroc"] for row in result["rows"].values()])
    )
    assert result["met"] is (result["means"]["autoencoder"] > result["means"]["pca"])


def test_the_statistics_of_images_are_sums_over_pixels_and_over_their_neighbours():
    image = np.zeros((1, 4, 3), np.float32)
    image[0, 1, 1], image[0, 3, 2] = 0.5, 1  # one with neighbours on all sides, one in the corner
    found = study("one_class_mnist").statistics(image)
    np.testing.assert_allclose(found, [[1, 1.5, 1.25, 4 * 0.5 + 2 * 1, 4 * 0.25 + 2 * 1]])


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/dictionaries.md", "docs/families.md"])
def test_the_tables_of_a_page_are_what_the_results_say(page):
    tables = script("tables")
    assert ROOT / page in tables.PAGES
    text = (ROOT / page).read_text()
    assert text.count("<!-- end ") >= 1
    assert tables.fill(text) == text


def test_bold_is_what_is_as_good_as_a_published_figure_and_nothing_else():
    tables = script("tables")
    every = [row.split("|") for row in tables.entries().splitlines() if row.startswith("| `")]
    assert [row[1].strip(" `") for row in every] == FIGURES
    assert tuple(row[1].strip(" `") for row in every if row[6].strip() == "not measured yet") == UNMEASURED
    rows = [row for row in every if row[1].strip(" `") in MEASURED]
    for name, row in zip(MEASURED, rows, strict=True):
        published, baseline, measured, _, reached = (cell.strip() for cell in row[4:9])
        mean = tables.compared(json.loads((RESULTS / f"{name}.json").read_text()))["measured"]
        expected = aejax.get(name).expected
        assert (published == "") is (expected.tag == "C") is (baseline != "")
        assert reached.startswith("no, by ") is (expected.short_by(mean) > 0)
        assert ("**" in measured) is (reached == "yes" and published != "")
        assert measured.endswith("seed)") or (measured.endswith("seeds)") and "±" in measured)
    assert [row.split("|")[1] for row in tables.best().splitlines()[2:]] == [r[1] for r in rows if "**" in r[6]]


def test_the_figures_of_dictionaries_are_what_saelens_was_measured_at():
    """The mean of its five seeds, and 1.46 deviations: t of 8 degrees at 97.5 %, times the root of 2 / 5."""
    found = json.loads((RESULTS / "dictionaries.json").read_text())["synthetic"]["saelens"]
    assert {f"dictionary-{variant}" for variant in found} == {
        name for name in FIGURES if name.startswith("dictionary-")
    }
    for variant, rows in found.items():
        scores, expected = [row["feature_f1"] for row in rows.values()], aejax.get(f"dictionary-{variant}").expected
        assert len(scores) == 5
        assert expected.value == pytest.approx(statistics.mean(scores), abs=5.1e-5)
        assert expected.tolerance == pytest.approx(1.46 * statistics.stdev(scores), abs=5.1e-5)


def test_a_mean_over_seeds_stands_with_its_deviation_and_is_what_is_compared():
    tables = script("tables")
    expected = Expected("squared_error", 3.0, source="elsewhere")
    row = expected.compare([2.0, 3.0, 4.5])
    assert tables._measured({}, row) == "3.167 ± 1.3 (3 seeds)"
    assert tables._reached(row) == "no, by 0.167"
    assert tables._measured({}, expected.compare([2.5])) == "**2.5** (1 seed)"


@pytest.mark.slow
def test_reproduce_keeps_the_result_and_compares_the_mean_over_seeds(tmp_path, monkeypatch):
    reproduce = script("reproduce")
    experiment = EXPERIMENT.__class__(**{**vars(EXPERIMENT), "expected": Expected("squared_error", 1e9)})
    monkeypatch.setattr(reproduce.aejax, "get", lambda name: experiment)
    monkeypatch.setattr("aejax.training.fitting.data_of", lambda *arguments: DATASET)
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path / "results")
    assert reproduce.reproduce("tiny", tmp_path, seeds=3)
    result = json.loads((tmp_path / "results" / "tiny.json").read_text())
    one = result["test"]["squared_error"]
    assert one > 0
    compared = result["comparison"]
    assert (compared["seeds"], compared["published"], compared["reached"]) == (3, 1e9, True)
    assert compared["deviation"] > 0
    assert compared["measured"] != one
    assert reproduce.reproduce("tiny", tmp_path)
    compared = json.loads((tmp_path / "results" / "tiny.json").read_text())["comparison"]
    assert (compared["seeds"], compared["deviation"], compared["measured"]) == (1, None, one)


def test_seeds_that_a_result_has_are_not_trained_again(tmp_path, monkeypatch):
    reproduce = script("reproduce")
    experiment = EXPERIMENT.__class__(**{**vars(EXPERIMENT), "expected": Expected("squared_error", 1e9)})
    trained = []

    def train(experiment, *_):
        trained.append(experiment.seed)
        return {"test": {"squared_error": float(experiment.seed)}, "comparison": {}}

    monkeypatch.setattr(reproduce.aejax, "get", lambda name: experiment)
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    monkeypatch.setattr(reproduce, "train", train)
    monkeypatch.setattr(reproduce, "commit", lambda: "first")
    reproduce.reproduce("tiny", tmp_path, seeds=2)
    reproduce.reproduce("tiny", tmp_path, seeds=4)
    assert trained == [0, 1, 2, 3]
    monkeypatch.setattr(reproduce, "commit", lambda: "second")
    reproduce.reproduce("tiny", tmp_path, seeds=5, add=True)
    result = reproduce.kept("tiny")
    assert [(run["seed"], run["value"], run["commit"]) for run in result["runs"]] == [
        *((seed, float(seed), "first") for seed in range(4)),
        (4, 4.0, "second"),
    ]
    assert (trained[4:], result["comparison"]["seeds"], result["comparison"]["measured"]) == ([4], 5, 2.0)
    reproduce.reproduce("tiny", tmp_path, add=True)
    assert (trained[5:], reproduce.kept("tiny")) == ([], result)
    reproduce.reproduce("tiny", tmp_path, seeds=2)
    assert trained[5:] == [0, 1]
    experiment = dataclasses.replace(experiment, batch_size=3)
    experiment = dataclasses.replace(experiment, expected=Expected("squared_error", 1e9))
    reproduce.reproduce("tiny", tmp_path, seeds=2, add=True)
    assert trained[7:] == [0, 1]


def test_a_result_of_more_seeds_stays_until_there_are_as_many(tmp_path, monkeypatch):
    """That of an older form, which does not list its seeds, and any where a metric was not measured."""
    reproduce = script("reproduce")
    experiment = EXPERIMENT.__class__(**{**vars(EXPERIMENT), "expected": Expected("squared_error", 1e9)})
    older = json.dumps({"comparison": {"seeds": 3}})
    (tmp_path / "tiny.json").write_text(older)
    seen = []

    def train(experiment, *_):
        seen.append((tmp_path / "tiny.json").read_text() == older)
        return {"test": {"squared_error": 1.0}, "comparison": {} if measured else None}

    monkeypatch.setattr(reproduce.aejax, "get", lambda name: experiment)
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    monkeypatch.setattr(reproduce, "train", train)
    measured = False
    assert reproduce.reproduce("tiny", tmp_path, seeds=3) is None
    measured = True
    reproduce.reproduce("tiny", tmp_path, seeds=4)
    assert seen == [True, True, True, True, False]
    assert reproduce.kept("tiny")["comparison"]["seeds"] == 4


def test_reproduce_names_what_is_not_met_and_what_was_not_compared(monkeypatch, capsys):
    reproduce = script("reproduce")
    met = {"good": True, "bad": False, "other": None}
    monkeypatch.setattr(reproduce.aejax, "names", lambda: met)
    monkeypatch.setattr(reproduce.aejax, "get", lambda name: SimpleNamespace(expected=True))
    monkeypatch.setattr(reproduce, "reproduce", lambda name, *_: met[name])
    monkeypatch.setattr(reproduce, "enable_compilation_cache", lambda: None)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--samples", "7", *met])
    with pytest.raises(SystemExit, match=r"^not met: bad$"):
        reproduce.main()
    assert "the figure's metric was not measured: other\n" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--samples", "7", "good", "other"])
    reproduce.main()
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "god"])
    with pytest.raises(SystemExit, match="2"):
        reproduce.main()
    assert "'god' is no registered experiment that has a figure" in capsys.readouterr().err


def test_a_study_refuses_arguments_that_it_does_not_know(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["iwae.py", "cifar"])
    with pytest.raises(SystemExit, match=r"^the arguments are 'cifar': give none, or mnist$"):
        runpy.run_path(str(ROOT / "experiments" / "iwae.py"))


def test_the_example_page_of_the_documentation_has_the_sources_that_a_page_has_now():
    page = Explorer((ROOT / "docs" / "explore" / "vae-conv.html").read_text())
    assert page.renewed() == page, "python scripts/explore_page.py writes it anew"


@pytest.mark.slow
def test_the_benchmark_s_contender_trains_and_counts_its_work(tmp_path):
    bench = script("bench_cpu")
    network = {"hidden": [], "code": 2, "activation": "relu", "batch": 4}
    assert bench._flops(network, 3) == 3 * (6 * 2 * 784 * 2 - 2 * 784 * 2)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (12, 784), np.uint8))
    epoch, final, _ = bench.aejax(str(tmp_path / "x.npy"), network)
    before = final()
    epoch()
    assert final() < before


def test_the_benchmark_refuses_contenders_of_different_quality():
    contest = script("contest")
    contest.check_same_loss({"a": 1.0, "b": 1.03})
    for other in (1.05, math.nan):
        with pytest.raises(SystemExit, match="same loss"):
            contest.check_same_loss({"a": 1.0, "b": other})
    contest.check_same_loss({"a": 1.0, "b": 1.05}, within=1.1)


def test_a_contender_that_fails_is_named_with_what_it_said(tmp_path):
    (tmp_path / "fails.py").write_text("import sys; sys.exit('no memory is left')")
    setting = {"contenders": ["one"]}
    with pytest.raises(SystemExit, match="the contender one ended early: no memory is left"):
        script("contest").contest(str(tmp_path / "fails.py"), setting, tmp_path, rounds=1, excused=True)


def test_the_memory_of_a_contender_is_its_own():
    held = np.ones(2**26)  # half a gigabyte, which the system counts as its child's too
    code = "import sys; sys.path.insert(0, sys.argv[1]); import contest; print(contest.peak_megabytes())"
    done = subprocess.run([sys.executable, "-c", code, ROOT / "scripts"], capture_output=True, text=True, timeout=200)
    assert 5 < float(done.stdout) < 100 < held.nbytes / 2**20


TAKES_PART = """
import sys
sys.argv[2] == "three" and sys.exit("no compiler")
for line in sys.stdin:
    print({"epoch": "0.5", "end": '{"loss": 1}'}[line.strip()], flush=True)
"""


def test_a_contender_that_may_fail_is_left_out_and_the_rest_go_on(tmp_path):
    (tmp_path / "takes_part.py").write_text(TAKES_PART)
    setting = {"contenders": ["one", "two", "three"]}
    arguments = (str(tmp_path / "takes_part.py"), setting, tmp_path, 1)
    result = script("contest").contest(*arguments, excused=True)
    assert result["failed"] == {"three": "the contender three ended early: no compiler"}
    assert result["ratios"] == {"two": 1}
    with pytest.raises(SystemExit, match="no compiler"):
        script("contest").contest(*arguments)


def test_the_gpu_benchmark_begins_nothing_that_is_not_in_time(tmp_path):
    bench = script("bench_gpu")
    results = dict(bench.measure(tmp_path / "none.npy", bench.SMALL, lambda: False))
    assert not any(results[name] for name in ("profile", "contest", "population"))
    assert results["precision"] == results["batch_sizes"] == {"ae-keras": {}}
    bench.judged(results, bench.SMALL)
    script("gpu_figures").draw(results, tmp_path / "gpu.json")
    assert [path.name for path in tmp_path.iterdir()] == ["gpu-batch-sizes.png"]


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 3])
def test_the_vae_benchmark_s_contender_trains(samples, tmp_path):
    bench = script("bench_vae")
    setting = {"hidden": [8], "code": 2, "activation": "tanh", "samples": samples, "batch": 10}
    path = bench.binary_mnist(tmp_path, 40, "mnist-5k")
    assert set(np.unique(np.load(path))) == {0, 255}
    epoch, final, _ = bench.aejax(str(path), setting)
    before = final()
    epoch()
    assert final() < before


ONLY_AT_THE_EDGE = ["tyro", "platformdirs", "tensorboardX", "tensorflow_datasets", "array_record"]
WITHOUT = """
import importlib.metadata, runpy, sys
found = importlib.metadata.version
importlib.metadata.version = lambda name: found(name if name != "aejax" else "aejax-that-is-not-installed")
sys.modules.update(dict.fromkeys({names}))
sys.path.insert(0, {folder!r})
sys.argv = ["bench_gpu.py", "--small", "--rounds", "1", "--out", {out!r}]
runpy.run_path({folder!r} + "/bench_gpu.py", run_name="__main__")
"""


@pytest.mark.slow
def test_every_part_of_the_gpu_benchmark_runs_without_what_only_the_command_line_and_data_sets_need(tmp_path):
    out = tmp_path / "gpu.json"
    code = WITHOUT.format(names=ONLY_AT_THE_EDGE, folder=str(ROOT / "scripts"), out=str(out))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=200
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert results["contest"]["ae-keras, batch 16"]["rows"]["aejax"]["epoch_seconds"] > 0
    assert results["population"]["members"] == 3
    assert set(results["batch_sizes"]["ae-keras"]) == {"8", "16"}
    assert all(row["matrix_share"] > 0 for row in results["batch_sizes"]["ae-keras"].values())
    assert set(results["precision"]["ae-keras"]) == {"float32", "bfloat16"}
    assert results["profile"]["ae-keras"] == {"epochs": 3, "steps": 12, "kernels": 0}  # there is no GPU to see
    assert {path.name for path in tmp_path.iterdir()} == {"gpu.json", "gpu-contest.png", "gpu-batch-sizes.png"}


def test_a_copy_to_the_host_between_kernels_is_seen_in_the_profile():
    script("bench_gpu")
    from gpu_ceilings import summary

    named = {"process_name": {1: "/device:GPU:0", 2: "/host:CPU"}, "thread_name": {1: "Stream #7(Compute)", 2: "main"}}
    events = [
        {"ph": "M", "name": kind, "pid": pid, "tid": 7, "args": {"name": name}}
        for kind, names in named.items()
        for pid, name in names.items()
    ]
    ran = lambda name, ts, dur, pid=1: {"ph": "X", "name": name, "pid": pid, "tid": 7, "ts": ts, "dur": dur}  # noqa: E731
    events += [ran("fusion", 10, 5), ran("gemm", 12, 6), ran("fusion", 30, 2), ran("wait", 0, 50, pid=2)]
    after = [*events, ran("MemcpyD2H", 33, 1)]
    assert summary(after) == {"kernels": 3, "busy_share": 10 / 22, "copies_to_host_inside": 0}
    assert summary([*after, ran("MemcpyD2H", 20, 1)])["copies_to_host_inside"] == 1


@pytest.mark.slow
def test_the_streaming_benchmark_s_contenders_train_alike(tmp_path):
    bench = script("bench_stream")
    pack("mnist-5k", tmp_path / "packed")
    losses = []
    for buffer in (1.0, 0.003):
        turn, final, facts = bench.contender(str(tmp_path / "packed"), {"experiment": "ae-keras", "epochs": 2}, buffer)
        turn()
        turn()
        losses.append(final())
        assert (facts["input_wait_seconds"] > 0) == (buffer < 1)
    assert losses[0] == losses[1] < 250


@pytest.mark.slow
def test_a_pass_over_rows_from_disk_ends_with_the_same_bits_however_often_it_is_killed(tmp_path, monkeypatch):
    one_pass = script("one_pass")
    for name, value in {"BATCH": 64, "SAVE": 20, "BUFFER": 0.0003, "WINDOW": 0.1, "CHUNK": 5000}.items():
        monkeypatch.setattr(one_pass, name, value)
    found = one_pass.measured(tmp_path, 2**15)  # half a megabyte
    assert found["same_bits"]
    assert found["peak_megabytes"]["all rows"] > 100


@pytest.mark.slow
def test_what_windows_give_up_is_measured(tmp_path, monkeypatch):
    arguments = "--data mnist-5k --epochs 1 --seeds 2 --windows 0.4 --out"
    monkeypatch.setattr(sys, "argv", ["window_shuffle.py", *arguments.split(), str(tmp_path / "result.json")])
    script("window_shuffle").main()
    rows = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert rows.keys() == {"whole", "0.4 MB"}
    assert abs(rows["0.4 MB"]["above_whole"]) < 20  # of 420 nats


def test_the_gpu_benchmark_says_that_there_is_no_gpu(capsys, monkeypatch):
    for name in (
        "XLA_PYTHON_CLIENT_PREALLOCATE",
        "JAX_COMPILATION_CACHE_DIR",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    ):
        monkeypatch.setenv(name, "")  # which is undone
    monkeypatch.setattr(sys, "argv", ["bench_gpu.py"])
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    with pytest.raises(SystemExit) as stopped:
        script("bench_gpu").main()
    assert stopped.value.code == 2
    assert "no GPU" in capsys.readouterr().err


@pytest.mark.slow
def test_the_killing_script_kills_as_often_as_asked_and_compares_what_is_left(tmp_path, monkeypatch, capsys):
    kill = script("kill")
    program = "import pathlib, time; time.sleep({}); pathlib.Path('{}').write_text('{}')"

    def command(name, folder, epochs):
        folder.mkdir(exist_ok=True)
        return [sys.executable, "-c", program.format(0.2, folder / "end", "other" if folder.name == name else "same")]

    monkeypatch.setattr(kill, "command", command)
    monkeypatch.setattr(kill, "bits", lambda folder: (folder / "end").read_text())
    monkeypatch.setattr(sys, "argv", ["kill.py", "--kills", "3", "--name", "none"])
    kill.main()
    assert "3 kills of" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["kill.py", "--kills", "3", "--name", "0"])
    with pytest.raises(AssertionError, match="ended with other bits"):
        kill.main()


@pytest.mark.slow
def test_a_dictionary_is_trained_in_turns_beside_its_peer(tmp_path, monkeypatch):
    bench = script("bench_sae")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32))
    small = {**bench.SETTING, "units": 64, "k": 2, "batch": 8, "steps": 8, "rate": 1e-2, "dead_after_steps": 1}
    epoch, final, _ = bench.aejax(str(tmp_path / "x.npy"), small)
    epoch()
    first = final()
    epoch(4)
    assert final() < first < 1.2


def test_a_likelihood_is_estimated_by_as_many_samples_as_its_figure_was():
    samples_of = script("reproduce").samples_of
    assert [samples_of(name) for name in ("nll_128_nats", "nll_5000_nats", "squared_error")] == [128, 5000, 5000]


def test_with_a_budget_the_quickest_go_first_what_is_measured_is_left_out_and_the_rest_is_named(monkeypatch, capsys):
    reproduce = script("reproduce")
    seconds = {"long": 900.0, "short": 1.0, "done": 2.0}
    monkeypatch.setattr(reproduce, "ledger", lambda: [SimpleNamespace(name=n, seconds=s) for n, s in seconds.items()])
    monkeypatch.setattr(reproduce.aejax, "names", lambda: dict.fromkeys(["never", *seconds]))
    monkeypatch.setattr(reproduce.aejax, "get", lambda name: SimpleNamespace(expected=SimpleNamespace(settings="same")))
    commits = {"long": "old", "short": "old", "done": reproduce.commit()}
    kept = {name: {"commit": commits[name], "comparison": {"seeds": 1}} for name in commits}
    monkeypatch.setattr(reproduce, "kept", lambda name: kept.get(name, {}))
    assert [*reproduce.left_to_do(1, add=False)] == ["short", "long", "never"]
    assert [*reproduce.left_to_do(1, add=True)] == ["never"]
    assert reproduce.left_to_do(2, add=True) == {"short": 2, "done": 2, "long": 2, "never": 2}
    runs = [{"seed": 0, "commit": "old"}, {"seed": 1, "commit": reproduce.commit()}]
    for settings, add, lacking in [("same", True, 1), ("same", False, 2), ("changed since", True, 3)]:
        kept["long"] = {"settings": settings, "runs": runs}
        assert reproduce.lack("long", 3, add) == lacking
    trained = []
    monkeypatch.setattr(reproduce, "reproduce", lambda name, *_: trained.append(name) or True)
    monkeypatch.setattr(reproduce, "enable_compilation_cache", lambda: None)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--all", "--budget", "10m"])
    reproduce.main()
    assert trained == ["short", "never"]
    assert "left for another time: long\n" in capsys.readouterr().out
    for both_or_neither in ([], ["short", "--all"]):
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *both_or_neither])
        with pytest.raises(SystemExit, match="2"):
            reproduce.main()
        assert "give names of experiments, or --all" in capsys.readouterr().err


@pytest.mark.slow
def test_a_stopped_run_of_the_same_settings_and_commit_goes_on(tiny, tmp_path):
    reproduce = script("reproduce")
    assert reproduce.unfinished(tiny.experiment, tmp_path) is None
    run = aejax.fit(tiny.experiment, tiny.dataset, folder=tmp_path, figures=False).run.path
    assert reproduce.unfinished(tiny.experiment, tmp_path) is None
    (run / "result.json").unlink()
    (run / "state.json").unlink()
    assert reproduce.unfinished(tiny.experiment, tmp_path) == run
    assert reproduce.unfinished(dataclasses.replace(tiny.experiment, seed=1), tmp_path) is None


def test_every_entry_with_a_figure_is_in_the_ledger_as_its_result_says():
    tables = script("tables")
    assert tables.LEDGER.read_text() == tables.ledger()
    assert [entry.name for entry in ledger()] == MEASURED
    (entry,) = ledger("vae-flax")
    result = json.loads((RESULTS / "vae-flax.json").read_text())
    assert (entry.measured, entry.published) == (result["comparison"]["measured"], 104.0)
    with pytest.raises(InputError, match="vae-flax"):
        ledger("vae-flux")
