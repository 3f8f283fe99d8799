import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from aejax.data import Data, cache, load, read_examples
from aejax.data._idx import read_idx
from aejax.data.identity import fingerprint

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
ODDS, MNIST = SHARED / "odds" / "wbc.mat", SHARED / "mnist"
PARTS = ("train", "validation", "test")


def rows(x: np.ndarray) -> set[bytes]:
    return {example.tobytes() for example in x}


def test_every_digit_is_alike_in_each_part():
    dataset = load(Data("mnist-5k"))
    for name, each in zip(PARTS, (400, 50, 50), strict=True):
        part = dataset.part(name)
        assert part.x.shape == (10 * each, 28, 28, 1)
        assert part.x.dtype == np.uint8
        assert np.bincount(part.label).tolist() == [each] * 10
        assert len(set(part.label[:50].tolist())) > 5  # in no order of digits


def test_parts_share_no_digit_and_hold_them_all():
    dataset = load(Data("mnist-5k"))
    sets = [rows(dataset.part(name).x) for name in PARTS]
    assert len(set.union(*sets)) == sum(len(part) for part in sets) == 5000
    assert dataset.train.x.mean() / 255 == pytest.approx(0.13, abs=0.005)


def test_the_split_is_the_same_built_again_read_again_and_whatever_validation_says():
    first = load(Data("mnist-5k"))
    again = load(Data("mnist-5k", validation=0.5))
    cache.path("mnist-5k").unlink()
    anew = load(Data("mnist-5k"))
    for name in PARTS:
        for other in (again, anew):
            np.testing.assert_array_equal(first.part(name).x, other.part(name).x)
            np.testing.assert_array_equal(first.part(name).label, other.part(name).label)


def test_the_split_is_the_one_that_results_were_measured_on():
    dataset = load(Data("mnist-5k"))
    assert dataset.test.label[:12].tolist() == [2, 2, 9, 2, 9, 2, 9, 9, 4, 8, 2, 8]
    prints = {part: fingerprint(dataset.part(part)) for part in PARTS}
    assert prints == {  # those in the records of runs, which must still resume
        "train": "fad1d1526df54459b59d1a13276429a7",
        "validation": "9915514b9baf331ea39f4361e80994c1",
        "test": "e878805f95f391d2473fd72e85bc3c41",
    }


@pytest.mark.slow
def test_it_is_the_first_500_of_each_digit_of_mnist_s_training_files():
    if not MNIST.is_dir():
        pytest.skip("the files of MNIST are not at ../shared/data/mnist")
    images, labels = (
        read_idx(MNIST / f"train-{kind}-ubyte.gz", rank=rank) for kind, rank in (("images-idx3", 3), ("labels-idx1", 1))
    )
    first = np.concatenate([np.flatnonzero(labels == digit)[:500] for digit in range(10)])
    with np.load(resources.files("aejax.data") / "digits" / "mnist-5k.npz") as kept:
        np.testing.assert_array_equal(kept["x"], images[first][..., None])
        np.testing.assert_array_equal(kept["label"], labels[first])


def test_a_damaged_copy_is_made_again_with_a_warning(caplog):
    first = load(Data("mnist-5k"))
    file = cache.path("mnist-5k")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    np.testing.assert_array_equal(load(Data("mnist-5k")).train.x, first.train.x)
    assert len(caplog.records) == 1
    assert cache.read("mnist-5k") is not None


def test_a_cache_that_cannot_be_written_costs_a_warning_and_no_more(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AEJAX_CACHE", str(tmp_path / "file" / "below"))
    assert len(load(Data("mnist-5k")).train) == 4000
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "could not be kept" in caplog.text


def test_it_needs_no_tfds_and_no_image_library():
    code = (
        "import sys; from aejax.data import Data, load; load(Data('mnist-5k'));"
        "print([m for m in ('tensorflow_datasets', 'tensorflow', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wbc_is_odds_own_table_in_pyod_s_split():
    dataset = load(Data("wbc", validation=0.0))
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((226, 30), (152, 30))
    assert dataset.train.label.sum() + dataset.test.label.sum() == 21
    if not ODDS.is_file():
        pytest.skip("the sets of ODDS are not at ../shared/data/odds")
    table = read_examples(str(ODDS))
    split = train_test_split(table.x, table.label, test_size=0.4, random_state=np.random.RandomState(0))
    both = np.concatenate([dataset.train.x, dataset.test.x])
    ours = (both - load_breast_cancer().data.min(axis=0)) / np.ptp(load_breast_cancer().data, axis=0)
    np.testing.assert_allclose(ours, np.concatenate(split[:2]), atol=1e-5)
    np.testing.assert_array_equal(dataset.test.label, split[3])
