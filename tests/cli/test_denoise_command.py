"""Photos of any size are denoised, and holes in them filled, from files to files."""

import numpy as np
import pytest
from PIL import Image

import aejax
from aejax.data import Data, Dataset
from aejax.experiment import Experiment
from aejax.losses import Loss, Masking
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from tests.helpers.small import digits

PHOTO = np.random.default_rng(0).integers(0, 256, (9, 13), np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on grey images of 4 x 4, trained to fill holes."""
    model = Autoencoder(MLPEncoder((8,)), Plain(3), MLPDecoder((8,)))
    experiment = Experiment(model, Loss(corruption=Masking()), Data("small"), batch_size=8, steps=5, name="small")
    dataset = Dataset("arrays", digits(40), digits(11, 1), digits(10, 2))
    return aejax.fit(experiment, dataset, folder=tmp_path_factory.mktemp("runs"), figures=False).run.path


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def read(path):
    return np.asarray(Image.open(path))


def levels(shares):
    return np.rint(255 * shares[0, ..., 0]).astype(np.uint8)


def test_a_photo_keeps_its_size(run, photo, command):
    code, out, err = command("denoise", run, "--data", photo, "--out", photo.with_name("out.png"))
    assert (code, err) == (0, "")
    assert out.endswith("out.png: 9 x 13 pixels\n")
    made = aejax.load(run).denoise(PHOTO[None, ..., None])
    np.testing.assert_array_equal(read(photo.with_name("out.png")), levels(made))
    assert len(np.unique(made)) > 10


def test_a_mask_s_white_pixels_alone_are_replaced(run, photo, command):
    missing = np.zeros(PHOTO.shape, bool)
    missing[2:7, 3:5] = True
    Image.fromarray(np.where(missing, 255, 10).astype(np.uint8)).save(photo.with_name("mask.png"))
    arguments = ("denoise", run, "--data", photo, "--mask", photo.with_name("mask.png"), "--out")
    code, _, err = command(*arguments, photo.with_name("out.png"))
    assert (code, err) == (0, "")
    found = read(photo.with_name("out.png"))
    np.testing.assert_array_equal(found[~missing], PHOTO[~missing])
    made = aejax.load(run).denoise(PHOTO[None, ..., None], missing=missing)
    np.testing.assert_array_equal(found, levels(made))
    assert (found != PHOTO)[missing].mean() > 0.8


def test_a_folder_of_photos_becomes_a_folder(run, tmp_path, command, caplog):
    (tmp_path / "photos").mkdir()
    sizes = {"a.png": (4, 4), "b.jpg": (5, 9), "c.bmp": (12, 4)}
    for name, size in sizes.items():
        Image.fromarray(np.resize(PHOTO, (*size, 3))).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    arguments = ("denoise", run, "--data", tmp_path / "photos", "--out", tmp_path / "clean")
    Image.fromarray(PHOTO[:3]).save(tmp_path / "photos" / "small.png")
    code, _, err = command(*arguments)
    assert code == 2
    assert "small.png has 3 x 13 pixels" in err
    assert not (tmp_path / "clean").exists()
    (tmp_path / "photos" / "small.png").unlink()
    code, out, err = command(*arguments)
    assert code == 0
    assert "is in colour, and becomes grey" in caplog.text
    assert out.endswith("clean: 3 images\n")
    assert {path.name: read(path).shape for path in (tmp_path / "clean").iterdir()} == {
        f"{name[0]}.png": size for name, size in sizes.items()
    }
    code, _, err = command(*arguments)
    assert code == 2
    assert "is there already: give --out a folder that is not there yet" in err


def test_larger_arrays_stay_arrays(run, tmp_path, command):
    np.save(tmp_path / "x.npy", np.stack([PHOTO, PHOTO[::-1]])[..., None])
    code, out, _ = command("denoise", run, "--data", tmp_path / "x.npy", "--out", tmp_path / "y.npy")
    assert code == 0
    assert out.endswith("y.npy: denoised examples of all of x.npy, 2 x 9 x 13 x 1 float32\n")


@pytest.mark.parametrize(
    ("data", "out", "said"),
    [
        ("photo.png", "out.jpg", "says no format that is written: give --out a name that ends in .png, .npy"),
        ("photo.png", "folder", "says no format that is written"),
        ("photos", "out.png", "says no format that is written: give --out a name that ends in .npy"),
        ("none.png", "out.png", "there is no none.png: give an image"),
        ("none.pgn", "out.png", "there is no none.pgn: give an image"),
        ("photo.png", "photo.png", "--out is photo.png itself, which would be lost"),
        ("mnist-5k", "folder", "there is no mnist-5k: give an image"),
        ("empty", "folder", "holds no images"),
        ("twins", "folder", "holds one.jpg and one.png, which are told by their ends: rename one"),
        ("small.png", "out.png", "small.png has 3 x 9 pixels, fewer than the 4 x 4 of the images"),
    ],
)
def test_what_cannot_be_done_is_said(run, photo, command, monkeypatch, data, out, said):
    monkeypatch.chdir(photo.parent)
    for folder in ("photos", "empty", "twins"):
        photo.with_name(folder).mkdir()
    for name in ("photos/one.png", "twins/one.png", "twins/one.jpg"):
        Image.fromarray(PHOTO).save(name)
    Image.fromarray(PHOTO[:3, :9]).save("small.png")
    code, _, err = command("denoise", run, "--data", data, "--out", out)
    assert code == 2
    assert said in err
    assert out == data or not photo.with_name(out).exists()


def test_a_mask_of_another_size_is_refused(run, photo, command):
    Image.fromarray(PHOTO[:5]).save(photo.with_name("mask.png"))
    arguments = ("--mask", photo.with_name("mask.png"), "--out", photo.with_name("out.png"))
    code, _, err = command("denoise", run, "--data", photo, *arguments)
    assert code == 2
    assert "photo.png has 9 x 13 pixels, and the mask 5 x 13: give a mask of the same size" in err
