import jax
import numpy as np
import pytest

from aejax.data.synthetic import SyntheticFeatures

SMALL = SyntheticFeatures(features=60, values=12, roots=3, branching=3, depth=2, least=0.02, correlation=0.3)
NUMBERS = np.arange(4096, dtype=np.int32)


@pytest.fixture(scope="module")
def codes():
    return np.asarray(jax.jit(SMALL.codes)(NUMBERS))


def test_an_example_is_drawn_by_its_number_alone(codes):
    np.testing.assert_allclose(jax.jit(SMALL.codes)(NUMBERS[[7, 5]]), codes[[7, 5]], rtol=1e-6)
    other = SyntheticFeatures(**{**vars(SMALL), "seed": 1})
    assert not np.array_equal(jax.jit(other.codes)(NUMBERS[:8]), codes[:8])


def test_features_of_no_tree_are_active_as_often_as_the_law_says(codes):
    trees, shares = sum(SMALL.generations), SMALL._shares()
    assert shares.max() == pytest.approx(0.4) or SMALL._shares()[:trees].max() == pytest.approx(0.4)
    assert shares.min() == pytest.approx(0.02)
    free = (codes[:, trees:] > 0).mean(axis=0)
    deviation = np.sqrt(shares * (1 - shares) / len(codes))[trees:]
    # A magnitude below zero counts as inactive: 4 to 5 with deviations of a tenth of that and more, so rarely.
    np.testing.assert_allclose(free, shares[trees:], atol=5 * deviation.max() + 0.01)


def test_of_siblings_one_at_most_is_active_and_only_beside_its_parent(codes):
    first, second, third = SMALL.generations
    for begin, count, parents in ((first, second, 0), (first + second, third, first)):
        children = codes[:, begin : begin + count].reshape(len(codes), -1, SMALL.branching) > 0
        assert children.sum(axis=2).max() == 1
        above = codes[:, parents : parents + count // SMALL.branching] > 0
        assert not (children.any(axis=2) & ~above).any()
        assert (children.any(axis=2) & above).any()


def test_children_are_scaled_by_their_parents(codes):
    found = []
    for child in range(SMALL.generations[0], sum(SMALL.generations[:2])):
        parent = (child - SMALL.generations[0]) // SMALL.branching
        both = codes[:, child] > 0
        found.append(np.corrcoef(codes[both, parent], codes[both, child])[0, 1])
    assert np.mean(found) > 0.4


def test_common_causes_correlate_features(codes):
    trees = sum(SMALL.generations)
    active = (codes[:, trees:] > 0).astype(float)
    frequent = active[:, active.mean(axis=0) > 0.03]
    measured = np.corrcoef(frequent.T)[np.triu_indices(frequent.shape[1], 1)]
    loading = SMALL._loadings()[trees:][active.mean(axis=0) > 0.03]
    common = (loading @ loading.T)[np.triu_indices(len(loading), 1)]
    assert np.corrcoef(measured, common)[0, 1] > 0.7


def test_features_have_length_1_and_are_as_orthogonal_as_so_many_can_be():
    vectors, bias = SMALL.vectors()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert np.linalg.norm(bias) == pytest.approx(0.5, rel=1e-5)
    # Welch 1974: the sum of squared products of n unit vectors of d values is n^2 / d at least.
    assert np.square(vectors @ vectors.T).sum() == pytest.approx(60**2 / 12, rel=1e-3)
