"""Files made by others are read or refused in one sentence: no code runs, nothing hangs, no memory is lost."""

import gc
import io
import json
import pickle
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import aejax
from aejax.core import InputError
from aejax.data import cache
from aejax.data.files import read
from aejax.data.packing import pack_parts
from aejax.runs import Run, _older, array_file, read_json
from aejax.sweeps import Result, Sweep, grid, page, read_axes, summary
from aejax.training import loop
from tests.helpers.older import made_older
from tests.helpers.small import DATASET, EXPERIMENT

quick = settings(
    derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
damage = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.sampled_from(["flip", "cut", "insert"]))
odd = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 10**30, 1e308, "", "x", "../../x", [], {}, [[]], {"class": "Adam"}, [10**9] * 3]
    ),
    st.floats(),
    st.text(max_size=5),
    st.integers(),
)


class Trap:
    """Whoever unpickles it runs its code."""

    def __reduce__(self):
        return (pytest.fail, ("code of a file has run",))


def damaged(content: bytes, how) -> bytes:
    where, value, kind = how
    at = int(where * len(content))
    if kind == "cut":
        return content[:at]
    if kind == "insert":
        return content[:at] + bytes([value]) * 3 + content[at:]
    return content[:at] + bytes([content[at] ^ value]) + content[at + 1 :] if content else bytes([value])


def exchanged(draw, value, other):
    """A JSON value with one of its parts exchanged."""
    children = list(value.items() if isinstance(value, dict) else enumerate(value)) if value else []
    if not children or draw(st.integers(0, 4)) == 0:
        return other
    name, child = draw(st.sampled_from(children))
    new = exchanged(draw, child, other) if isinstance(child, dict | list) else other
    if isinstance(value, dict):
        return {**value, name: new}
    return [*value[:name], new, *value[name + 1 :]]


def read_or_refused(read):
    said = ""
    try:
        read()
    except InputError as error:
        said = str(error)
    assert "\n" not in said


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return loop.train(EXPERIMENT, folder=folder, dataset=DATASET).run.path


@pytest.fixture(scope="module")
def older(run):
    """The same run, as version 0.1.0 wrote it."""
    return made_older(run)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """One of three trials, with results as `train` writes them."""
    folder = tmp_path_factory.mktemp("sweep")
    made = Sweep.create(folder, grid(EXPERIMENT, {"seed": [0, 1, 2]}))
    for trial in made.claim("worker", 3):
        part = {"loss_nats": 1.5, "squared_error": 2.0}
        metrics = dict.fromkeys(("train", "validation", "test"), part)
        made.record("worker", trial, Result(trial.id, trial.settings, None, None, 1.0, metrics, {"train": [2.0, 1.5]}))
    return folder


def show(folder):
    opened = Sweep.open(folder)
    found = summary.summarise(opened)
    summary.show_trials(found)
    page.sweep_page(found, {})
    summary.export(opened, folder / "export.csv")


@quick
@given(how=damage)
@pytest.mark.parametrize("name", ["experiment.json", pytest.param("metrics.jsonl", marks=pytest.mark.slow)])
def test_a_damaged_run_is_loaded_or_refused(run, tmp_path, name, how):
    copy = shutil.copytree(run, tmp_path / "run", dirs_exist_ok=True)
    (copy / name).write_bytes(damaged((run / name).read_bytes(), how))
    read_or_refused(lambda: aejax.load(copy).history[0]["loss_nats"] if aejax.load(copy).history else None)


@pytest.mark.slow
@quick
@given(data=st.data(), other=odd)
def test_an_experiment_with_an_odd_part_is_loaded_or_refused(run, tmp_path, data, other):
    copy = shutil.copytree(run, tmp_path / "run", dirs_exist_ok=True)
    content = json.loads((run / "experiment.json").read_text())
    (copy / "experiment.json").write_text(json.dumps(exchanged(data.draw, content, other)))
    read_or_refused(lambda: aejax.load(copy))


@pytest.mark.slow
@quick
@given(data=st.data(), other=odd)
def test_rows_with_an_odd_part_are_passed_over(run, tmp_path, data, other):
    copy = shutil.copytree(run, tmp_path / "run", dirs_exist_ok=True)
    row = json.loads((run / "metrics.jsonl").read_text().splitlines()[1])
    (copy / "metrics.jsonl").write_text(json.dumps(exchanged(data.draw, row, other)) + "\n")
    opened = Run(copy)
    read_or_refused(lambda: opened.restore({}, "best"))
    assert len(opened.rewind(2**40)) <= 1
    opened._close()


@quick
@given(how=damage)
def test_a_damaged_checkpoint_whose_checksum_was_made_to_fit_is_loaded_or_refused(run, tmp_path, how):
    copy = shutil.copytree(run, tmp_path / "run", dirs_exist_ok=True)
    content = bytearray(damaged((run / "checkpoints" / "30.safetensors").read_bytes(), how))
    start = 8 + len(array_file._BEFORE_CHECKSUM)
    content[start : start + 8] = b"0" * 8
    content[start : start + 8] = f"{zlib.crc32(content):08x}".encode()
    (copy / "checkpoints" / "30.safetensors").write_bytes(content)
    read_or_refused(lambda: aejax.load(copy))


# Orbax ends its event loop while threads of its own still read for it: what they say then nobody hears.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@quick
@given(how=damage, data=st.data())
def test_an_older_checkpoint_whose_checksum_was_made_to_fit_is_loaded_or_refused(older, tmp_path, how, data):
    copy = tmp_path / "run"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(older, copy)
    step = copy / "checkpoints" / "30"
    file = data.draw(st.sampled_from(sorted(path for path in step.rglob("*") if path.is_file())))
    file.write_bytes(damaged(file.read_bytes(), how))
    (step / "crc32").write_text(str(_older._checksum(step)))
    read_or_refused(lambda: aejax.load(copy))
    gc.collect()


def test_arrays_that_claim_more_than_their_files_hold_are_refused_before_they_are_read(older, monkeypatch, caplog):
    aejax.load(older)
    monkeypatch.setattr(_older, "_SMALL", 0)
    monkeypatch.setattr(_older, "_COMPRESSED_LIMIT", 0.01)
    with pytest.raises(InputError, match="no checkpoint that can be loaded"):
        aejax.load(older)
    assert "more than its files can hold" in caplog.text


@quick
@given(how=damage, data=st.data())
def test_a_damaged_sweep_is_shown_or_refused(sweep, tmp_path, how, data):
    copy = shutil.copytree(sweep, tmp_path / "sweep", dirs_exist_ok=True)
    file = data.draw(st.sampled_from([sweep / "sweep.json", *sorted((sweep / "results").iterdir())]))
    (copy / file.relative_to(sweep)).write_bytes(damaged(file.read_bytes(), how))
    read_or_refused(lambda: show(copy))


@quick
@given(other=odd, data=st.data())
def test_a_sweep_with_an_odd_part_is_shown_or_refused(sweep, tmp_path, other, data):
    copy = shutil.copytree(sweep, tmp_path / "sweep", dirs_exist_ok=True)
    file = data.draw(st.sampled_from([sweep / "sweep.json", *sorted((sweep / "results").iterdir())]))
    content = exchanged(data.draw, json.loads(file.read_text()), other)
    (copy / file.relative_to(sweep)).write_text(json.dumps(content))
    read_or_refused(lambda: show(copy))


def test_a_sweep_writes_to_no_file_that_its_plan_names(sweep, tmp_path):
    copy = shutil.copytree(sweep, tmp_path / "sweep")
    content = json.loads((copy / "sweep.json").read_text())
    content["trials"][0]["id"] = "../../elsewhere"
    (copy / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="no sweep"):
        Sweep.open(copy)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 300 + "]" * 300, "1" * 10_000, "\xff"])
def test_json_that_is_nested_too_deeply_or_broken_is_a_value_error(tmp_path, text):
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError):  # noqa: PT011 - whatever its text
        read_json(tmp_path / "a.json")


LAUGHS = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}1]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS + "parameters: {seed: {values: *a39}}",
        "parameters: {seed: {value: 2001-99-99}}",
        "parameters: {seed: {values: " + "[" * 3000,
        "parameters: {seed: {value: !!python/object/apply:os.abort []}}",
        "parameters: {[1]: {value: 1}}",
        "parameters: {seed: 3}",
        "- parameters",
        "\xff",
    ],
)
def test_grids_that_cannot_be_read_are_refused(tmp_path, text):
    (tmp_path / "grid.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="no grid in YAML"):
        read_axes(tmp_path / "grid.yaml")


@quick
@given(how=damage)
@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x/0.png", "x/0.jpg"])
def test_damaged_data_is_read_or_refused(tmp_path, name, how):
    from PIL import Image

    path, rng = tmp_path / name, np.random.default_rng(0)
    path.parent.mkdir(exist_ok=True)
    x = rng.integers(0, 256, (6, 8), np.uint8)
    file = io.BytesIO()
    if name.endswith("npy"):
        np.save(file, x)
    elif name.endswith("npz"):
        np.savez_compressed(file, x=x, y=np.arange(6))
    else:
        Image.fromarray(x).save(file, "PNG" if name.endswith("png") else "JPEG")
    path.write_bytes(damaged(file.getvalue(), how))
    read_or_refused(lambda: read(path if name.startswith("x.") else path.parent))


@quick
@given(how=damage, name=st.sampled_from(["index.json", "shards.jsonl", "train-00000-x.npy", "train-00000-label.npy"]))
def test_damaged_packed_data_is_read_or_refused(tmp_path, how, name):
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    if not whole.exists():
        pack_parts({"train": [DATASET.train]}, whole, "lives")
    shutil.copytree(whole, copy, dirs_exist_ok=True)
    (copy / name).write_bytes(damaged((whole / name).read_bytes(), how))
    read_or_refused(lambda: read(copy))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": "aejax packed 1", "parts": {"train": {"low": 1e999}}}', "3"]
)
def test_a_packed_folder_with_an_odd_index_is_refused(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(InputError, match="is not whole"):
        read(tmp_path)


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    objects = np.empty(2, object)
    objects[:] = [Trap(), Trap()]
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "b.npz", x=objects)
    (tmp_path / "c.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("a.npy", "b.npz", "c.npz"):
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / name)
    monkeypatch.setenv("AEJAX_CACHE", str(tmp_path))
    np.savez(cache.path("trap"), train_x=objects)
    assert cache.read("trap") is None


def npy(shape: tuple[int, ...], values: bytes) -> bytes:
    """A file of uint8 whose header claims any shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue() + values


@pytest.mark.parametrize("shape", [(10**6, 10**7), (2**62, 2**62), (100, 3)])
def test_an_array_in_a_zip_file_cannot_claim_more_than_it_holds(tmp_path, shape):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", npy(shape, bytes(6)))
    with pytest.raises(InputError, match="more than it holds"):
        read(tmp_path / "x.npz")


def test_a_zip_file_that_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 1000), np.uint8))
    assert (tmp_path / "x.npz").stat().st_size < 5000
    assert len(read(tmp_path / "x.npz").parts["train"]) == 1000
    monkeypatch.setattr("aejax.data.files.os.sysconf", lambda name: 900)
    with pytest.raises(InputError, match="more than this machine's memory"):
        read(tmp_path / "x.npz")


def test_an_image_that_claims_a_terabyte_is_refused(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 2**20, 2**20, 8, 0, 0, 0, 0)
    ends = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + ends)
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image .*decompression bomb"):
        read(tmp_path)


def test_a_mat_file_is_unpacked_once(tmp_path):
    """Ten kilobytes of compressed zeros in compressed zeros would be ten gigabytes."""

    def element(kind, content):
        return struct.pack("<II", kind, len(content)) + content

    inner = element(15, zlib.compress(element(14, bytes(10**6)), 9))
    (tmp_path / "x.mat").write_bytes(bytes(124) + b"\0\1IM" + element(15, zlib.compress(inner, 9)))
    with pytest.raises(InputError, match="holds nothing"):
        read(tmp_path / "x.mat")
