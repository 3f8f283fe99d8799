"""`aejax export` writes what other commands take; `aejax doctor` says what is wrong and what to do."""

import dataclasses
import sys

import numpy as np
import pytest

import aejax
from aejax.cli import _doctor, main
from tests.helpers.small import DATASET, EXPERIMENT


def aejax_(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["aejax", *map(str, arguments)])
    main()


@pytest.mark.slow
def test_what_is_exported_as_safetensors_is_taken_as_a_run(tmp_path, monkeypatch, capsys):
    trained = aejax.fit(dataclasses.replace(EXPERIMENT, epochs=1), DATASET, folder=tmp_path / "runs", figures=False)
    aejax_(monkeypatch, "export", trained.run.path, "--format", "safetensors", "--out", tmp_path / "model")
    assert "model.safetensors (" in capsys.readouterr().out
    np.save(tmp_path / "x.npy", DATASET.test.x)
    aejax_(monkeypatch, "encode", tmp_path / "model", "--data", tmp_path / "x.npy", "--out", tmp_path / "z.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), trained.encode(DATASET.test.x))


def test_the_doctor_finds_nothing_wrong_here(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(_doctor, "_requirements", lambda: {"": []})
    monkeypatch.setenv("AEJAX_CACHE", str(tmp_path / "cache"))
    aejax_(monkeypatch, "doctor")
    said = capsys.readouterr().out
    assert said.rstrip().endswith("Nothing is wrong.")
    assert "cpu" in said


def test_the_doctor_says_what_is_wrong_and_what_to_do(monkeypatch, capsys):
    requirement = pytest.importorskip("packaging.requirements").Requirement
    needed = {"": [requirement("numpy<1"), requirement("aejax-never-made>=2")], "hub": [requirement("numpy<2")]}
    monkeypatch.setattr(_doctor, "_requirements", lambda: needed)
    monkeypatch.setattr(_doctor, "_free", lambda folder: 10**8)
    with pytest.raises(SystemExit) as ended:
        aejax_(monkeypatch, "doctor")
    assert ended.value.code == 1
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("! ")]
    assert len(said) == 4
    assert said[0] == f'! numpy is {np.__version__}, but aejax needs <1: pip install "numpy<1"'
    assert said[1] == '! aejax-never-made is not installed, and aejax needs it: pip install "aejax-never-made>=2"'
    assert "nearly full: make room" in said[3]


def test_an_extra_of_a_package_is_there_where_what_it_adds_is():
    requirement = pytest.importorskip("packaging.requirements").Requirement
    names = {each.name for each in _doctor._expanded(requirement("jax[cuda13]"))}
    assert "jax-cuda13-plugin" in names
    assert "jax" not in names
    assert [each.name for each in _doctor._expanded(requirement("jax>=0.10"))] == ["jax"]
