import contextlib
import dataclasses
import glob
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest

from aejax import training
from aejax.cli._sweeps import SweepSearchCommand, SweepShowCommand
from aejax.core import InputError
from aejax.experiment import replace_at, to_json
from aejax.sweeps import Result, Search, Sweep, claims, parse_search_axis, run_search
from aejax.sweeps.space import Range
from aejax.training import population
from tests.helpers import pretended

ROOT = Path(__file__).parents[2]
LR = "optimizer.learning_rate"
SPACE = {LR: Range(1e-5, 1e-1, "log"), "model.latent.size": [1, 2]}


@pytest.fixture
def data(tmp_path):
    """A file of 42 small images: 4 of them are for validation and, so that `pretended` can tell them, 6 for test."""
    path = tmp_path / "data.npz"
    images = np.random.default_rng(0).integers(0, 255, (42, 6), np.uint8)
    np.savez(path, x_train=images[6:], x_test=images[:6])
    return path


@pytest.fixture
def base(tiny, data):
    return replace_at(dataclasses.replace(tiny.experiment, epochs=1), "data", str(data))


@pytest.fixture
def trained(monkeypatch):
    """The groups that were trained, which here takes no time."""
    groups = []

    def fit(experiments, **options):
        groups.append(list(experiments))
        return pretended.fit(experiments)

    monkeypatch.setattr(training, "fit_each", fit)
    return groups


def opened(base, space, folder, **options):
    """With a journal: it takes a third of the time of SQLite, which what is killed has below."""
    return Search.open(base, space, folder, **{"measure": pretended.measure, "storage": f"{folder}.journal"} | options)


def searched(base, space, folder, *, width=5, **options):
    search = opened(base, space, folder, **options)
    run_search(search, width=width)
    return search


def told(search):
    return search.study._study.trials


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("optimizer.learning-rate=1e-4:1e-2:log", Range(1e-4, 1e-2, "log")),
        ("optimizer.learning-rate=-1:1:lin", Range(-1, 1, "lin")),
        ("optimizer.learning-rate=-2..64", Range(-2, 64, "whole")),
        ("optimizer.learning-rate=0..2,7", [0, 1, 2, 7]),
        ("optimizer.learning-rate=1e-4:1e-2:log:2", [1e-4, 1e-2]),
        ("optimizer.learning-rate=../data", ["../data"]),
    ],
)
def test_axes_are_ranges_or_what_they_are_in_a_grid(text, axis):
    assert parse_search_axis(text) == (LR, axis)


@pytest.mark.parametrize("values", ["1:0:lin", "0:1:log", "a:1:lin", "1:2:cubic", "3..3", "0:inf:lin", "nan:1:lin"])
def test_a_range_without_numbers_is_refused(values):
    with pytest.raises(InputError, match="is no range: give LOW:HIGH:log"):
        parse_search_axis(f"seed={values}")


@pytest.mark.slow
def test_groups_of_one_structure_train_together_and_validation_is_told(base, tmp_path, trained):
    search = searched(base, SPACE, tmp_path / "sweep", trials=20)
    assert sum(map(len, trained)) == 20
    assert max(map(len, trained)) > 1
    for group in trained:
        assert len({population.structure(experiment) for experiment in group}) == 1
    results = Sweep.open(tmp_path / "sweep").results()
    assert len(results) == 20
    for trial in told(search):
        own = search.trial(trial.params)
        assert trial.value == results[own.id].metrics["validation"]["loss_nats"] == pretended.loss(trial.params[LR])
        assert results[own.id].settings == own.settings == trial.params


@pytest.mark.slow
def test_later_groups_are_better_for_what_was_told(base, tmp_path, trained):
    search = searched(base, {LR: SPACE[LR]}, tmp_path / "sweep", trials=40, width=10)
    by_chance = 7 / 3  # the mean of the square of what is uniform in [-3, 1]
    assert np.mean([trial.value for trial in told(search)][20:]) < 0.3 * by_chance


@pytest.mark.slow
def test_the_same_search_proposes_the_same_again(base, tmp_path, trained):
    first, second = (searched(base, SPACE, tmp_path / name, trials=20, width=5) for name in "ab")
    assert [trial.params for trial in told(first)] == [trial.params for trial in told(second)]
    assert len({str(trial.params) for trial in told(first)}) == 20  # each group's are others


@pytest.mark.slow
def test_lists_and_whole_numbers_reach_the_experiment(base, tmp_path, trained):
    space = {"model.encoder.hidden": [[8], [4, 4]], "epochs": Range(1, 3, "whole")}
    searched(base, space, tmp_path / "sweep", trials=8)
    experiments = [experiment for group in trained for experiment in group]
    assert {experiment.model.encoder.hidden for experiment in experiments} == {(8,), (4, 4)}
    assert {experiment.epochs for experiment in experiments} == {1, 2, 3}


def test_what_is_proposed_again_is_told_and_not_trained(base, tmp_path, trained):
    search = searched(base, {LR: [1e-3, 1e-2]}, tmp_path / "sweep", trials=12, width=4)
    assert sum(map(len, trained)) == 2 == len(Sweep.open(tmp_path / "sweep").trials)
    assert {(trial.params[LR], trial.value) for trial in told(search)} == {(1e-2, 0.0), (1e-3, 1.0)}


@pytest.mark.slow
def test_results_that_another_version_named_are_told_and_not_trained_again(base, tmp_path, trained):
    space, folder = {LR: [1e-3, 1e-2]}, tmp_path / "sweep"
    searched(base, space, folder, trials=6)
    content = json.loads((folder / "sweep.json").read_text())
    for number, trial in enumerate(content["trials"]):
        old, trial["id"] = trial["id"], f"{number:016x}"
        (folder / "results" / f"{old}.json").rename(folder / "results" / f"{trial['id']}.json")
    (folder / "sweep.json").write_text(json.dumps(content))
    trained.clear()
    search = searched(base, space, folder, trials=12)
    assert len(told(search)) == 12
    assert not trained
    assert {trial.id for trial in Sweep.open(folder).trials} == {f"{number:016x}" for number in range(2)}


@pytest.mark.slow
def test_a_study_whose_experiment_lacks_a_new_setting_is_gone_on_with(base, tmp_path, trained):
    search = searched(base, SPACE, tmp_path / "sweep", trials=2)
    about = json.loads(search.study._study.user_attrs["about"])
    del about[0]["model"]["remat"]
    search.study._study.set_user_attr("about", json.dumps(about))
    assert searched(base, SPACE, tmp_path / "sweep", trials=3).finished() == 3


def test_a_trial_that_diverges_is_told_as_failed(base, tmp_path, trained):
    search = searched(base, {LR: [1e-2, 0.9]}, tmp_path / "sweep", trials=6)
    assert {(trial.params[LR], trial.state.name) for trial in told(search)} == {(1e-2, "COMPLETE"), (0.9, "FAIL")}
    results = Sweep.open(tmp_path / "sweep").results()
    assert sorted(str(result.failed_at) for result in results.values()) == ["3", "None"]


def test_more_of_an_accuracy_is_better(base, tmp_path, trained):
    def measure(trained, part):
        return {"accuracy": pretended.measure(trained, part)["loss_nats"]}

    search = searched(base, SPACE, tmp_path / "sweep", metric="accuracy", measure=measure, trials=5)
    assert search.study._study.best_value == max(trial.value for trial in told(search))


@pytest.mark.slow
def test_a_search_goes_on_to_more_trials(base, tmp_path, trained):
    searched(base, SPACE, tmp_path / "sweep", trials=5)
    search = searched(base, SPACE, tmp_path / "sweep", trials=8)
    assert sum(map(len, trained)) == 8 == len(told(search)) == len(Sweep.open(tmp_path / "sweep").results())


@pytest.mark.slow
def test_a_stopped_search_gives_back_what_it_was_at_work_on(base, tmp_path, trained, monkeypatch):
    fit = training.fit_each

    def failing(experiments, **options):
        if trained:
            raise KeyboardInterrupt
        return fit(experiments, **options)

    monkeypatch.setattr(training, "fit_each", failing)
    with pytest.raises(KeyboardInterrupt):
        searched(base, {LR: SPACE[LR]}, tmp_path / "sweep", trials=8, width=4)
    monkeypatch.setattr(training, "fit_each", fit)
    search = opened(base, {LR: SPACE[LR]}, tmp_path / "sweep", trials=8)
    assert Counter(trial.state.name for trial in told(search)) == {"COMPLETE": 4, "WAITING": 4}
    queued = [trial.params for trial in told(search) if trial.state.name == "WAITING"]
    run_search(search, width=4)
    assert [{LR: experiment.optimizer.learning_rate} for experiment in trained[-1]] == queued


@pytest.mark.slow
def test_machines_that_share_a_study_alone_each_have_every_result(base, tmp_path, trained):
    storage = str(tmp_path / "journal")
    searched(base, SPACE, tmp_path / "here", trials=6, storage=storage)
    searched(base, SPACE, tmp_path / "there", trials=6, storage=storage)
    assert sum(map(len, trained)) == 6
    here, there = (Sweep.open(tmp_path / name).results() for name in ("here", "there"))
    assert here == there
    assert len(here) == 6


@pytest.mark.slow
def test_a_trial_that_was_taken_over_is_another_s(base, tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "LEASE", 0.05)
    mine, other = (opened(base, SPACE, tmp_path / "sweep", trials=1).study for _ in range(2))
    (claimed,) = mine.claim(1, 1)
    assert other.claim(1, 1) == []  # seen for the first time, it might be alive
    time.sleep(0.1)
    assert other.claim(1, 1) == [claimed]
    by_me, by_another = (Result("1", {}, None, None, seconds, {"test": {}}) for seconds in (1.0, 2.0))
    mine.finish(claimed.number, 1.0, by_me)
    assert other.finished(1) == 0
    other.finish(claimed.number, 2.0, by_another)
    assert [result for _, result in mine.results()] == [by_another]


def test_a_storage_that_is_lost_is_said_in_one_sentence(base, tmp_path, trained, monkeypatch):
    def lost(*arguments):
        raise optuna.exceptions.StorageInternalError("nobody answers\nat all")

    search = opened(base, SPACE, tmp_path / "sweep")
    monkeypatch.setattr(search.study._storage, "set_trial_user_attr", lost)
    with pytest.raises(InputError, match=r"study cannot be reached, the same command goes on: nobody answers$"):
        run_search(search)


def test_no_more_are_proposed_than_asked_for_when_two_ask_at_once(base, tmp_path, trained, monkeypatch):
    first, second = (opened(base, SPACE, tmp_path / "sweep", trials=3) for _ in "ab")
    first.study.claim(2, 3)
    ask = second.study._study.ask

    def late(*arguments):
        first.study._study.ask(*arguments)  # in the moment between counting and asking
        return ask(*arguments)

    monkeypatch.setattr(second.study._study, "ask", late)
    assert second.study.claim(2, 3) == []


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (SPACE, {"metric": "mig"}, "no metric 'mig' of validation: it has loss_nats"),
        (SPACE, {"storage": "postgresql://me:secret@nowhere.invalid/x"}, r"me:\*\*\*@nowhere.invalid/x cannot hold"),
        (SPACE, {"storage": "/nowhere/at/all"}, "/nowhere/at/all cannot hold a study"),
        ({"batch_size": Range(8, 4000, "whole")}, {}, "batch_size is 4000"),
        ({"data.validation": [0.0]}, {}, "holds none out: give data.validation=0.1"),
        ({"optimizer.learning_rte": Range(0, 1)}, {}, "did you mean optimizer.learning_rate"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_trains(base, tmp_path, trained, space, options, message):
    with pytest.raises(InputError, match=message) as refused:
        searched(base, space, tmp_path / "sweep", **options)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert not trained


def test_a_folder_or_a_study_of_something_else_is_refused(base, tmp_path, trained):
    searched(base, SPACE, tmp_path / "sweep", trials=2)
    for other in ({LR: SPACE[LR]}, SPACE | {LR: [0.2]}):
        with pytest.raises(InputError, match=r"other settings: choose another --out|another search by the name"):
            searched(base, other, tmp_path / "sweep")
    with pytest.raises(InputError, match="other settings: choose another --out"):
        searched(dataclasses.replace(base, batch_size=4), SPACE, tmp_path / "sweep")
    with pytest.raises(InputError, match=r"journal holds another search by the name of tiny: give this one another"):
        searched(base, {LR: [0.1]}, tmp_path / "other", storage=f"{tmp_path / 'sweep'}.journal")


@pytest.mark.slow
def test_a_worker_with_other_data_is_refused(base, tmp_path, trained, monkeypatch):
    """On another machine, where the same path leads to other examples; and where two workers begin at once."""
    storage, path = str(tmp_path / "journal"), Path(base.data.name)
    here = opened(base, SPACE, tmp_path / "here", storage=storage)
    content = path.read_bytes()
    images = np.random.default_rng(1).integers(0, 255, (42, 6), np.uint8)
    np.savez(path, x_train=images[6:], x_test=images[:6])
    with pytest.raises(InputError, match=r"is of other data, .*data.npz here holds as many examples with other values"):
        opened(base, SPACE, tmp_path / "there", storage=storage)
    monkeypatch.setattr("aejax.sweeps._study.Study._require_same_data", lambda self: None)
    there = opened(base, SPACE, tmp_path / "there", storage=storage)
    monkeypatch.undo()
    with pytest.raises(InputError, match="is of other data"):
        there.study.claim(1, 64)
    path.write_bytes(content)
    assert opened(base, SPACE, tmp_path / "elsewhere", storage=storage).study.claim(1, 64)
    assert here.study.claim(1, 64)


def test_a_search_by_a_loss_whose_weights_it_varies_asks_for_another_metric(base, tmp_path, trained):
    space = {"loss.terms.reconstruction.weight": Range(0.5, 2.0)}
    with pytest.raises(InputError, match=r"another meaning at each loss.terms.*: give --metric squared_error"):
        searched(base, space, tmp_path / "sweep")
    with pytest.raises(InputError, match=r"measured on data that are not the same \(data.size vary\)"):
        searched(base, {"data.size": [[4, 4], [8, 8]]}, tmp_path / "sweep", metric="squared_error")
    assert not trained
    assert not (tmp_path / "sweep").exists()


def test_without_optuna_the_extra_is_named(base, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r'optuna is needed for this .*: pip install "aejax\[sweep\]"'):
        searched(base, SPACE, tmp_path / "sweep")


@pytest.mark.slow
def test_the_command_searches_and_the_outcome_is_shown(data, tmp_path, capsys):
    axes = (
        f"data={data}",
        "data.validation=0.1",
        "epochs=1",
        "batch-size=8",
        "model.latent.size=2",
        f"{LR}=1e-3:1e-1:log",
    )
    SweepSearchCommand("ae-keras", axes, out=tmp_path / "sweep", trials=4, width=2)()
    assert "4 of 4 trials have a result" in capsys.readouterr().out
    SweepShowCommand(tmp_path / "sweep")()
    rows = Sweep.open(tmp_path / "sweep").results().values()
    assert f"{min(row.metrics['validation']['loss_nats'] for row in rows):.4g}" in capsys.readouterr().out


# Workers that are killed.

WORKER = """
import json, sys, threading, time
from pathlib import Path
from tests.helpers import pretended
from aejax import training
from aejax.experiment import from_json
from aejax.sweeps import Search, run_search, claims
from aejax.sweeps.space import Range

claims.LEASE = 1.0
folder, storages = Path(sys.argv[1]), sys.argv[2:]
base = from_json(json.loads((folder / "base.json").read_text()))
space = {"optimizer.learning_rate": Range(1e-5, 1e-1, "log")}
here = threading.local()

def fit(experiments, **options):  # the first group ends, the second never
    if hasattr(here, "done"):
        (folder / f"{here.number} hangs").touch()
        time.sleep(1000)
    here.done = True
    return pretended.fit(experiments)

training.fit_each = fit

def run(number):
    here.number = number
    options = {"storage": storages[number], "measure": pretended.measure, "name": f"study {number}"}
    run_search(Search.open(base, space, folder / str(number), trials=10, **options), width=4)

threads = [threading.Thread(target=run, args=(number,)) for number in range(len(storages))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@contextlib.contextmanager
def postgresql():
    """The URL of a server that runs meanwhile, without a password, on a socket in a folder of its own."""
    programs = [*sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True), os.environ["PATH"]]
    initdb, postgres = (shutil.which(name, path=os.pathsep.join(programs)) for name in ("initdb", "postgres"))
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL is not installed")
    # It refuses to run as root.
    options = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
    folder = tempfile.mkdtemp(prefix="aejax-")
    server = None
    try:
        if options:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        options |= {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [initdb, "-D", "data", "-U", "me", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"]
        subprocess.run(command, check=True, timeout=120, **options)
        settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "unix_socket_permissions=0777"]
        server = subprocess.Popen([postgres, "-D", "data", "-k", folder, *settings], **options)
        url = f"postgresql://me@/postgres?host={folder}"
        wait_until(lambda: answers(url))
        yield url
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(60)
        shutil.rmtree(folder)


def answers(url):
    import psycopg2

    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def wait_until(happens):
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SQLite and journal", "PostgreSQL"])
def test_what_a_killed_worker_was_at_work_on_is_done_by_another(kind, base, tmp_path, trained, monkeypatch):
    with contextlib.ExitStack() as stack:
        if kind == "PostgreSQL":
            storages = [stack.enter_context(postgresql())]
        else:
            storages = [f"sqlite:///{tmp_path / 'study.db'}", str(tmp_path / "journal")]
        (tmp_path / "base.json").write_text(json.dumps(to_json(base)))
        environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), *storages], env=environment)
        try:
            wait_until(lambda: worker.poll() is not None or len(list(tmp_path.glob("* hangs"))) == len(storages))
            monkeypatch.setattr(claims, "LEASE", 1.0)
            space = {LR: SPACE[LR]}
            searches = [
                opened(base, space, tmp_path / str(number), trials=10, storage=storage, name=f"study {number}")
                for number, storage in enumerate(storages)
            ]
            before = [told(search) for search in searches]
            stop = time.monotonic() + 1.5
            while time.monotonic() < stop:  # the living keep what they are at work on
                assert [search.study.claim(4, 8) for search in searches] == [[] for _ in searches]
                time.sleep(0.1)
        finally:
            worker.kill()
            worker.wait()
        for search, trials in zip(searches, before, strict=True):
            assert Counter(trial.state.name for trial in trials) == {"COMPLETE": 4, "RUNNING": 4}
            trained.clear()
            run_search(search, width=4)
            after = told(search)
            assert [trial.state.name for trial in after] == ["COMPLETE"] * 10
            assert [trial.params for trial in after[:8]] == [trial.params for trial in trials]
            done = [experiment.optimizer.learning_rate for group in trained for experiment in group]
            assert sorted(done) == sorted(trial.params[LR] for trial in after[4:])  # each once, none that was done
            assert len(Sweep.open(search.folder).results()) == 10
