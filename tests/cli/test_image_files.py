"""Codes of image files stand beside the files' names; one file alone is taken as well."""

import dataclasses

import numpy as np
import pyarrow.csv
import pytest
from PIL import Image

import aejax
from aejax.data import Data
from tests.helpers.small import EXPERIMENT

N = 24


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of small images in two classes, and a run that was trained on them."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(N):
        path = folder / "photos" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).save(path)
    own = dataclasses.replace(EXPERIMENT, data=Data(str(folder / "photos"), 0.2), epochs=1)
    return folder / "photos", aejax.fit(own, folder=folder / "runs", figures=False).run.path


def encoded(command, run, *arguments):
    code, out, err = command("encode", run, *arguments)
    assert code == 0, err
    return out


@pytest.mark.parametrize("split", [None, "test", "train"])
def test_each_code_stands_beside_the_name_of_its_file(made, command, tmp_path, split):
    folder, run = made
    encoded(command, run, "--data", folder, "--out", tmp_path / "codes.csv", *(["--split", split] if split else []))
    table = pyarrow.csv.read_csv(tmp_path / "codes.csv")
    assert table.column_names == ["index", "path", "label", "code_0", "code_1", "code_2"]
    files = table["path"].to_pylist()
    assert len(files) == {None: N, "test": 2, "train": 17}[split]
    x = np.stack([np.asarray(Image.open(folder / name))[..., None] for name in files])
    codes = np.stack([table[f"code_{place}"].to_numpy() for place in range(3)], axis=1)
    np.testing.assert_allclose(codes, aejax.load(run).encode(x), rtol=1e-5, atol=1e-6)
    assert [name.partition("/")[0] for name in files] == table["label"].to_pylist()


@pytest.mark.parametrize("end", ["csv", "npz", "parquet"])
def test_codes_with_names_are_decoded_again(made, command, tmp_path, end):
    folder, run = made
    encoded(command, run, "--data", folder, "--out", tmp_path / f"codes.{end}")
    code, _, err = command("decode", run, "--data", tmp_path / f"codes.{end}", "--out", tmp_path / "x.npy")
    assert code == 0, err
    assert np.load(tmp_path / "x.npy").shape == (N, 4, 4, 1)


def test_one_image_is_encoded_by_itself(made, command, tmp_path):
    folder, run = made
    out = encoded(command, run, "--data", folder / "b" / "03.png", "--out", tmp_path / "code.npz")
    assert "codes of all of 03.png, 1 x 3 float32" in out
    with np.load(tmp_path / "code.npz") as found:
        assert list(found["path"]) == ["03.png"]
        x = np.asarray(Image.open(folder / "b" / "03.png"))[None, ..., None]
        np.testing.assert_allclose(found["code"], aejax.load(run).encode(x), rtol=1e-5, atol=1e-6)


def test_one_image_is_too_few_to_train_on(made, command):
    code, _, err = command("train", "ae-conv", "--data", made[0] / "b" / "03.png")
    assert code == 2
    assert "03.png has 1 examples, too few to hold" in err
