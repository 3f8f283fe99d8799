import numpy as np
import pytest

from aejax.core import InputError
from aejax.data import Binarise, Data, Scale, cache, load, names, prepare, read_array, read_examples


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.npz"
    np.savez(file, x=np.arange(300, dtype=np.float32).reshape(100, 3), y=np.arange(100))
    return file


@pytest.fixture
def three_parts(tmp_path):
    file = tmp_path / "parts.npz"
    parts = {"train": 10, "validation": 3, "test": 4}
    np.savez(file, **{f"x_{name}": np.full((n, 2), n, np.uint8) for name, n in parts.items()})
    return file


def test_data_is_a_hashable_value_whose_leaves_are_its_preprocessing():
    import jax

    assert Data() == Data("mnist", 0.1, Scale())
    assert hash(Data("a")) == hash(Data("a"))
    assert Data("a") != Data("a", preprocess=Binarise())
    assert jax.tree.leaves(Data()) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("mnits", "mnist"),
        ("Fashion-MNIST", "fashion_mnist"),
        ("mnist5k", "mnist-5k"),
    ],
)
@pytest.mark.parametrize("use", [lambda name: load(Data(name)), prepare, read_examples])
def test_an_unknown_name_gets_its_nearest_and_where_to_look(name, near, use):
    with pytest.raises(
        InputError, match=rf"no data set named '{name}': did you mean {near}( or .*)?\? `aejax data list`"
    ):
        use(name)


def test_a_name_like_no_other_gets_no_guess():
    with pytest.raises(InputError, match=r"no data set named 'qqq': `aejax data list` shows all"):
        load(Data("qqq"))


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 3.0, float("nan")])
def test_a_validation_that_is_no_fraction_is_refused(fraction):
    with pytest.raises(InputError, match="give a fraction"):
        load(Data("mnist-5k", validation=fraction))


def test_names_say_what_each_is_and_whether_it_is_prepared():
    before = names()
    drawn = ["sprites", "synthetic-dictionary", "synthetic-dictionary-16k", "synthetic-counts"]
    assert list(before) == ["mnist-5k", *drawn, "wbc", "mnist", "fashion_mnist", "kmnist"]
    assert all(line.endswith("(not prepared yet)") and "\n" not in line for line in before.values())
    prepare("mnist-5k")
    assert names()["mnist-5k"].endswith("(prepared)")
    assert names()["mnist"] == before["mnist"]


def test_preparing_again_keeps_a_sound_copy():
    written = prepare("mnist-5k").stat().st_mtime_ns
    assert prepare("mnist-5k") == cache.path("mnist-5k")
    assert prepare("mnist-5k").stat().st_mtime_ns == written


def test_preparing_what_needs_none_says_so(small, tmp_path):
    with pytest.raises(InputError, match="needs no preparing"):
        prepare(str(small))
    with pytest.raises(InputError, match="without --from"):
        prepare("mnist-5k", tmp_path)


def test_preparing_into_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AEJAX_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(InputError, match="set AEJAX_CACHE to another"):
        prepare("mnist-5k")


def test_a_file_without_parts_is_cut_in_three(small):
    dataset = load(Data(str(small)))
    assert dataset.name == str(small)
    assert dataset.shape == (3,)
    assert [len(dataset.part(name)) for name in ("train", "validation", "test")] == [80, 10, 10]
    for name in ("train", "validation", "test"):
        part = dataset.part(name)
        np.testing.assert_array_equal(part.x[:, 0], 3 * part.label)


def test_a_file_with_parts_is_not_cut(three_parts):
    dataset = load(Data(str(three_parts)))
    assert [len(dataset.part(name)) for name in ("train", "validation", "test")] == [10, 3, 4]


def test_a_folder_does_not_shadow_a_name(tmp_path, monkeypatch):
    (tmp_path / "mnist-5k").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(load(Data("mnist-5k")).train) == 4000


def test_examples_of_a_path_are_all_of_them_in_order(small):
    part = read_examples(str(small))
    assert part.label.tolist() == list(range(100))
    np.testing.assert_array_equal(read_array(small), part.x)


def test_examples_of_a_name_or_of_named_parts_are_the_part_asked_for(three_parts):
    assert len(read_examples("mnist-5k")) == 500
    assert len(read_examples("mnist-5k", "train")) == 4000
    assert len(read_examples(str(three_parts))) == 4
    assert len(read_examples(str(three_parts), "train")) == 10


def test_a_part_that_is_not_there_is_refused(three_parts):
    for spec in ("mnist-5k", str(three_parts)):
        with pytest.raises(InputError, match="no part named 'dev': its parts are train, validation, test"):
            read_examples(spec, "dev")


def test_one_array_is_not_found_among_several(three_parts):
    with pytest.raises(InputError, match="parts train, validation, test where one array"):
        read_array(three_parts)
