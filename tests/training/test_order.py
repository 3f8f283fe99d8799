import numpy as np
import pytest
from scipy import stats

from aejax.training._order import WindowedOrder, permuted


def epoch(order, number):
    """The places of an epoch's examples, [steps, batch]."""
    windows = range(-(-order.steps // order.length))
    lanes = [
        [order.lane(number, window, lane)[order.shuffled(number, window, lane)] for lane in range(order.lanes)]
        for window in windows
    ]
    return np.concatenate([np.concatenate(parts, axis=1) for parts in lanes])


@pytest.mark.parametrize("size", [1, 2, 3, 64, 65, 1000])
def test_a_permutation_answers_by_number_and_reaches_each_once(size):
    words = np.random.RandomState(size).randint(0, 2**64, 6, np.uint64)
    whole = permuted(np.arange(size), size, words)
    np.testing.assert_array_equal(np.sort(whole), np.arange(size))
    few = np.arange(0, size, 3)
    np.testing.assert_array_equal(permuted(few, size, words), whole[few])


@pytest.mark.slow
def test_permutations_are_uniform():
    words = np.random.RandomState(0).randint(0, 2**64, (6000, 6), np.uint64)
    orders = np.array([permuted(np.arange(4), 4, word) for word in words])
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3
    large = np.array([permuted(np.arange(50), 50, word) for word in words[:2000]])
    for place in (0, 17, 49):  # where each of fifty numbers goes
        assert stats.chisquare(np.bincount(large[:, place], minlength=50)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("size", "batch", "held"), [(1003, 8, 150), (1003, 12, 1002), (997, 7, 60), (5000, 64, 700), (40, 8, 39)]
)
def test_an_epoch_has_each_example_once_in_whole_batches(size, batch, held):
    order = WindowedOrder.of(size, 1, batch, held / 1e6, seed=3)
    found = [epoch(order, number) for number in range(3)]
    for places in found:
        assert places.shape == (size // batch, batch)
        assert len(np.unique(places)) == places.size
        assert 0 <= places.min() <= places.max() < size
    assert (found[0] != found[1]).any()
    np.testing.assert_array_equal(epoch(order, 1), found[1])


@pytest.mark.slow
def test_what_an_epoch_leaves_out_is_any_example_as_often():
    size, batch = 103, 10
    order = [WindowedOrder.of(size, 1, batch, 60 / 1e6, seed) for seed in range(250)]
    left = [np.setdiff1d(np.arange(size), epoch(one, number)) for number, one in enumerate(order)]
    counts = np.bincount(np.concatenate(left), minlength=size)
    assert counts.sum() == 3 * 250
    assert stats.chisquare(counts).pvalue > 1e-3


def test_examples_that_lie_together_are_far_apart_in_the_batches_and_any_step_is_as_likely():
    size, batch = 4096, 32
    order = WindowedOrder.of(size, 1, batch, 1024 / 1e6, seed=1)
    assert (order.block, order.length, order.lanes) == (16, 32, 16)
    places = np.array([epoch(order, number) for number in range(20)])
    step = np.empty((20, size), int)
    np.put_along_axis(step, places.reshape(20, -1), np.repeat(np.arange(size // batch), batch)[None], axis=1)
    neighbours = step[:, 1:] == step[:, :-1]
    assert neighbours.mean() < 1.5 / order.length  # of two that share a window, one step in so many is the same
    for example in (0, 1000, 4095):
        thirds = np.bincount(step[:, example] * 3 // (size // batch), minlength=3)
        assert stats.chisquare(thirds).pvalue > 1e-3
    sorted_by_class = np.arange(size) * 8 // size  # a file in which the classes follow each other
    counts = np.array([np.bincount(sorted_by_class[batch], minlength=8) for batch in places.reshape(-1, batch)])
    assert counts.std(axis=0).mean() < 2 * np.sqrt(batch / 8 * 7 / 8)  # within twice that of a full shuffle


def test_the_order_is_for_good():
    order = WindowedOrder.of(10_000, 16, 24, 0.01, seed=7)
    assert order.lane(2, 3, 1)[:6].tolist() == [3905, 3906, 3907, 524, 525, 526]
    assert order.shuffled(2, 3, 1)[0].tolist() == [15, 35, 71]


def test_the_order_of_a_trillion_examples_takes_no_memory_for_them():
    order = WindowedOrder.of(2**40, 768, 4096, 256, seed=0)
    found = order.lane(1, 10**6, 5)
    assert found.nbytes < 1e6
    assert len(np.unique(found)) == len(found)
    assert found.max() < 2**40
