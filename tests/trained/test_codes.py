import numpy as np
import pytest
from scipy import stats

from aejax.core import InputError
from aejax.trained import codes


@pytest.mark.parametrize("path", ["line", "arc"])
def test_a_way_begins_at_the_first_and_ends_at_the_second(rng, path):
    first, second = rng.normal(size=(2, 6, 5)).astype(np.float32)
    way = codes.between(first, second, 7, path)
    np.testing.assert_allclose(way[:, 0], first, atol=1e-6)
    np.testing.assert_allclose(way[:, -1], second, atol=1e-5)
    np.testing.assert_allclose(codes.between(second, first, 7, path), way[:, ::-1], atol=1e-5)


def test_a_line_goes_in_even_steps_and_an_arc_in_even_angles_and_lengths(rng):
    first, second = rng.normal(size=(2, 6, 5)) * [[[1.0]], [[3.0]]]
    line, arc = (codes.between(first, second, 5, path) for path in ("line", "arc"))
    np.testing.assert_allclose(np.diff(line, n=2, axis=1), 0, atol=1e-6)
    lengths = np.linalg.norm(arc, axis=2)
    np.testing.assert_allclose(np.diff(lengths, n=2, axis=1), 0, atol=1e-5)
    cosines = np.sum(arc[:, 1:] * arc[:, :-1], axis=2) / (lengths[:, 1:] * lengths[:, :-1])
    np.testing.assert_allclose(np.diff(np.arccos(cosines), axis=1), 0, atol=1e-3)


def test_an_arc_between_codes_in_line_and_from_zero_is_the_line():
    first, second = np.array([[1.0, 1.0], [0.0, 0.0], [2.0, 0.0]]), np.array([[3.0, 3.0], [1.0, 0.0], [2.0, 0.0]])
    arc, line = codes.between(first, second, 4, "arc"), codes.between(first, second, 4)
    np.testing.assert_allclose(arc[[0, 2]], line[[0, 2]], atol=1e-3)
    assert np.isfinite(arc).all()


def test_one_step_and_what_is_no_pair_are_refused():
    with pytest.raises(InputError, match="1 first examples and 2 second ones are no pairs"):
        codes.between(np.zeros((1, 2)), np.ones((2, 2)), 3)
    with pytest.raises(InputError, match="1 steps do not lead"):
        codes.between(np.zeros((1, 2)), np.ones((1, 2)), 1)


def test_one_dimension_moves_at_a_time_the_most_active_first(rng):
    many = rng.normal(size=(5000, 4)) * [0.1, 3.0, 1.0, 2.0]
    order = codes.most_active(many)
    np.testing.assert_array_equal(order, [1, 3, 2, 0])
    start = np.full(4, 9.0)
    rows = codes.along(start, many, order[:2], 5)
    assert rows.shape == (2, 5, 4)
    for row, dimension, scale in zip(rows, order, (3.0, 2.0), strict=False):
        others = np.delete(row, dimension, axis=1)
        np.testing.assert_array_equal(others, np.full_like(others, 9.0))
        expected = np.linspace(*stats.norm(scale=scale).ppf(codes.RANGE), 5)
        np.testing.assert_allclose(row[:, dimension], expected, atol=0.15 * scale)


def test_the_plane_is_read_from_the_top_left_at_even_quantiles(rng):
    ticks, grid = codes.plane(rng.normal(size=(200_000, 2)) * [1.0, 2.0] + [0.0, 5.0], 4)
    expected = stats.norm.ppf(np.linspace(*codes.RANGE, 4))
    np.testing.assert_allclose(ticks, np.stack([expected, 5 + 2 * expected], axis=1), atol=0.05)
    np.testing.assert_array_equal(grid[0], [ticks[0, 0], ticks[-1, 1]])
    np.testing.assert_array_equal(grid[3], [ticks[3, 0], ticks[-1, 1]])
    np.testing.assert_array_equal(grid[-1], [ticks[3, 0], ticks[0, 1]])


def test_labels_change_in_the_middle_of_the_way():
    np.testing.assert_array_equal(codes.halves(np.array([1, 2]), np.array([3, 2]), 3), [[1, 1, 3], [2, 2, 2]])
    np.testing.assert_array_equal(codes.halves(np.array([1]), np.array([3]), 2), [[1, 3]])


def test_on_a_sphere_a_traverse_keeps_the_length_of_a_code(rng):
    many = rng.normal(size=(500, 4))
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    rows = codes.along(many[0], many, np.asarray([2, 0]), 7, on_sphere=True)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=2), 1, rtol=1e-6)
    for row, dimension in zip(rows, (2, 0), strict=True):
        np.testing.assert_allclose(row[:, dimension], np.linspace(*np.quantile(many[:, dimension], codes.RANGE), 7))
        others, own = np.delete(row, dimension, axis=1), np.delete(many[0], dimension)
        np.testing.assert_allclose(others, np.linalg.norm(others, axis=1)[:, None] * (own / np.linalg.norm(own))[None])
