import numpy as np
import pytest

from aejax.core import Examples, InputError
from aejax.data.split import cut, stratified


def numbered(n: int, first: int = 0) -> Examples:
    index = np.arange(first, first + n)
    return Examples(index[:, None].astype(np.float32), index.astype(np.int32))


def test_what_is_lacking_is_cut_from_train_without_overlap_and_labels_go_along():
    dataset = cut("a", {"train": numbered(1000)}, 0.1)
    parts = (dataset.train, dataset.validation, dataset.test)
    assert [len(part) for part in parts] == [800, 100, 100]
    assert sorted(np.concatenate([part.label for part in parts])) == list(range(1000))
    for part in parts:
        np.testing.assert_array_equal(part.x[:, 0], part.label)
        assert (np.diff(part.label) > 0).all()


def test_the_cut_is_fixed():
    one, other = (cut("a", {"train": numbered(200)}, 0.1) for _ in range(2))
    np.testing.assert_array_equal(one.validation.label, other.validation.label)
    np.testing.assert_array_equal(one.test.label, other.test.label)
    assert one.test.label[:5].tolist() == [5, 7, 12, 18, 33]


def test_test_stays_the_same_however_much_goes_to_validation():
    tests = [cut("a", {"train": numbered(100)}, fraction).test.label.tolist() for fraction in (0.0, 0.1, 0.5)]
    assert tests[0] == tests[1] == tests[2]


def test_parts_that_a_set_carries_are_left_alone():
    given = {"train": numbered(50), "validation": numbered(5, 50), "test": numbered(7, 60)}
    dataset = cut("a", given, 0.3)
    assert dataset.train is given["train"]
    assert dataset.validation is given["validation"]
    assert dataset.test is given["test"]


def test_without_validation_train_is_whole_and_the_part_is_empty():
    dataset = cut("a", {"train": numbered(50), "test": numbered(5, 50)}, 0.0)
    assert len(dataset.train) == 50
    assert dataset.validation.x.shape == (0, 1)
    assert dataset.validation.label.shape == (0,)


def test_unlabelled_examples_stay_unlabelled():
    dataset = cut("a", {"train": Examples(np.zeros((20, 3), np.uint8))}, 0.1)
    assert dataset.train.label is dataset.validation.label is dataset.test.label is None


@pytest.mark.parametrize(("n", "fraction"), [(1, 0.0), (2, 0.5), (10, 0.9)])
def test_too_few_examples_are_refused(n, fraction):
    with pytest.raises(InputError, match=rf"a has {n} examples?, too few"):
        cut("a", {"train": numbered(n)}, fraction)


def test_a_stratified_split_gives_each_label_its_share_once():
    labels = np.repeat(np.arange(4, dtype=np.int32), 10)
    examples = Examples(np.arange(40, dtype=np.float32)[:, None], labels)
    parts = stratified(examples, {"train": 7, "validation": 1, "test": 2})
    assert [np.bincount(part.label).tolist() for part in parts.values()] == [[7] * 4, [1] * 4, [2] * 4]
    assert sorted(np.concatenate([part.x[:, 0] for part in parts.values()])) == list(range(40))
    for part in parts.values():
        np.testing.assert_array_equal(part.label, part.x[:, 0] // 10)
