import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from aejax.core import InputError
from aejax.losses.aggregate import DimensionwiseKL, MutualInformation, TotalCorrelation, log_weights
from aejax.models import BottomDecoder, HierarchicalLatent, MLPDecoder, MLPEncoder, VariationalAutoencoder, require
from tests.helpers.passes import of_pass, passed, posteriors

pytestmark = pytest.mark.usefixtures("strict")
PARTS = (MutualInformation, TotalCorrelation, DimensionwiseKL)


def by_loops(mean, scale, code, weights):
    """The three parts by a loop over pairs, in float64."""
    batch, size = code.shape
    parts = np.zeros((3, batch))
    for row in range(batch):
        log = np.array([stats.norm.logpdf(code[row], mean[other], scale[other]) for other in range(batch)])
        joint = logsumexp(np.log(weights[row]) + log.sum(axis=1))
        marginals = sum(logsumexp(np.log(weights[row]) + log[:, dimension]) for dimension in range(size))
        parts[:, row] = log[row].sum() - joint, joint - marginals, marginals - stats.norm.logpdf(code[row]).sum()
    return parts


def weights_of(batch, examples, sampling):
    if sampling == "weighted":
        return np.full((batch, batch), 1 / (examples * batch))
    others = np.full((batch, batch), (examples - 1) / (examples * (batch - 1)))
    np.fill_diagonal(others, 1 / examples)
    return others


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
def test_the_parts_are_those_of_a_loop_over_all_pairs(sampling):
    mean, scale, code = posteriors(7, 3)
    parts = [part(examples=50.0, sampling=sampling) for part in PARTS]
    measured = of_pass(lambda forward: [part(forward) for part in parts], mean, scale, code)
    np.testing.assert_allclose(measured, by_loops(mean, scale, code, weights_of(7, 50, sampling)), atol=2e-5)


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
def test_the_parts_add_up_to_the_rate_by_samples(sampling):
    parts = [part(examples=50.0, sampling=sampling) for part in PARTS]

    def both(forward):
        rate = forward.posterior.log_prob(forward.code) - forward.model.prior_log_prob(forward.code)
        return sum(part(forward) for part in parts), rate

    np.testing.assert_allclose(*of_pass(both, *posteriors(7, 3)), atol=1e-5)


def chen(batch, examples):
    """The weights of appendix C.2 for row 0 (its own column 0), for each choice of the one that counts for less."""
    others = batch - 1
    for last in range(1, batch):
        row = np.full(batch, 1 / others)
        row[0], row[last] = 1 / examples, (examples - others) / (examples * others)
        yield row


def test_stratified_weights_are_the_mean_of_chen_s_and_sum_to_one():
    weights = np.exp(jax.jit(lambda: log_weights(5, 20.0, "stratified"))())
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights[0], np.mean(list(chen(5, 20)), axis=0), rtol=1e-6)
    np.testing.assert_allclose(np.diag(weights), 1 / 20, rtol=1e-6)


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_stratified_estimates_of_the_aggregate_density_are_right_on_average_over_every_batch(batch):
    rng = np.random.default_rng(1)
    density = rng.uniform(0, 3, 6)  # of the code of example 0 under each of six posteriors
    weights = np.exp(np.asarray(jax.jit(lambda: log_weights(batch, 6.0, "stratified"))(), np.float64))
    estimates = [weights[0] @ density[[0, *others]] for others in itertools.combinations(range(1, 6), batch - 1)]
    np.testing.assert_allclose(np.mean(estimates), density.mean(), rtol=1e-6)


@pytest.mark.slow
def test_the_total_correlation_of_correlated_codes_is_minus_half_the_log_determinant():
    correlation, noise, n = 0.8, 0.3, 3000
    covariance = np.array([[1, correlation], [correlation, 1]])
    # A sample moved and scaled so that its own moments are exact.
    means = np.random.default_rng(0).normal(size=(n, 2))
    means = (means - means.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(means.T, bias=True)).T)
    means = means @ np.linalg.cholesky(covariance - noise**2 * np.eye(2)).T
    term = jax.jit(lambda mean: TotalCorrelation(examples=float(n))(passed(mean, noise)).mean())
    np.testing.assert_allclose(term(jnp.asarray(means)), -0.5 * np.log(1 - correlation**2), atol=0.03)


def test_codes_that_share_one_posterior_say_nothing_and_have_no_total_correlation():
    parts = (MutualInformation(examples=8.0), TotalCorrelation(examples=8.0))
    made = of_pass(lambda forward: [part(forward) for part in parts], np.tile([[0.4, -1.0]], (8, 1)), [0.5, 1.3])
    np.testing.assert_allclose(made, 0, atol=1e-5)


@pytest.mark.slow
def test_examples_that_are_told_apart_carry_the_logarithm_of_their_number():
    value = of_pass(MutualInformation(examples=16.0), 100.0 * np.arange(16)[:, None] * np.ones((1, 2)), 0.5)
    np.testing.assert_allclose(value.mean(), np.log(16), rtol=1e-5)


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
def test_one_example_alone_is_its_own_aggregate(sampling):
    value = of_pass(MutualInformation(examples=1.0, sampling=sampling), [[0.3, 0.1]], 0.7)
    np.testing.assert_allclose(value, [0.0], atol=1e-6)


def test_the_number_of_examples_is_the_data_s_and_has_no_default():
    part = MutualInformation()
    with pytest.raises(ValueError, match="MutualInformation has no number of examples"):
        of_pass(part, [[0.3, 0.1]], 0.7)
    assert part.resolve(9) == MutualInformation(examples=9.0)
    assert part.resolve(9).resolve(10) == part.resolve(9)


@pytest.mark.slow
def test_posteriors_whose_dimensions_depend_on_each_other_are_refused():
    model = VariationalAutoencoder(MLPEncoder(), HierarchicalLatent((2, 1)), BottomDecoder(MLPDecoder(), 2))
    for part in PARTS:
        with pytest.raises(InputError, match="independent normals, which HierarchicalLatent does not have"):
            require(part(), model)
