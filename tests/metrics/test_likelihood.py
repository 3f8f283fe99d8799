import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from aejax.core import Examples, InputError, unseen
from aejax.losses import KL, Bernoulli, Gaussian, Loss, Reconstruction
from aejax.metrics import NegativeLogLikelihood, likelihood
from aejax.metrics.likelihood import add_exponentials
from aejax.models import (
    BottomDecoder,
    ConditionalAutoencoder,
    GaussianLatent,
    HierarchicalLatent,
    HierarchicalPrior,
    MLPDecoder,
    MLPEncoder,
    VariationalAutoencoder,
)
from aejax.models.priors import MixturePrior
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
KEYS = {"latent": jax.random.key(1), "corruption": jax.random.key(2), "params": jax.random.key(0)}
LINEAR = VariationalAutoencoder(MLPEncoder(), GaussianLatent(2), MLPDecoder(), shape=(4,))
ONE = VariationalAutoencoder(MLPEncoder((6,), "tanh"), GaussianLatent(2), MLPDecoder((6,), "tanh"), shape=(4,))
TWO = VariationalAutoencoder(
    MLPEncoder((6,), "tanh"),
    HierarchicalLatent((2, 1), (4,)),
    BottomDecoder(MLPDecoder((6,), "tanh"), 2),
    shape=(4,),
    prior=HierarchicalPrior((2, 1), (4,)),
)
CONDITIONAL = ConditionalAutoencoder(
    MLPEncoder((6,), "tanh"),
    GaussianLatent(2),
    MLPDecoder((6,), "tanh"),
    shape=(4,),
    prior=MixturePrior(3),
    classes=3,
)
ELBO = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()})
RNG = np.random.default_rng(0)
BINARY = Examples(jnp.asarray(RNG.integers(0, 2, (3, 4)), jnp.float32), jnp.asarray([2, 0, 1]))
REAL = Examples(jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32))
S = 0.7  # standard deviation of the linear model's likelihood
W, B = RNG.normal(size=(4, 2)), RNG.normal(size=4)


def built(model):
    variables = compiled.init(lambda model, part: ELBO(model, part, True), model, KEYS, BINARY)
    return jax.tree.map(lambda leaf: leaf + 0.2, variables)


def estimates(measure, model, variables, part, key=1):
    keys = KEYS | {"latent": jax.random.key(key)}
    values = compiled.apply(measure, model, variables, keys, part)[0]
    return np.asarray(values[f"nll_{measure.samples}_nats"])


def linear(off=0.0, wider=1.0):
    """Variables of x = W z + b + s noise and its true posterior, whose scale a diagonal one can only have from above.

    With W's columns orthogonal the true one is diagonal. `off` moves its mean, `wider` widens it.
    """
    kernel = np.linalg.qr(W)[0] * [1.5, 0.4]
    variance = 1 / (1 + (kernel**2).sum(axis=0) / S**2)
    towards = kernel / S**2 * variance[None]
    raw = 10 * np.arctanh(np.log(wider * np.sqrt(variance)) / 10)
    dense = {
        "latent": {
            "code": {"kernel": towards, "bias": -B @ towards + off},
            "scale": {"kernel": np.zeros((4, 2)), "bias": raw},
        },
        "decoder": {"out": {"kernel": kernel.T, "bias": B}},
    }
    marginal = stats.multivariate_normal(B, kernel @ kernel.T + S**2 * np.eye(4))
    return {"params": jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), dense)}, -marginal.logpdf(REAL.x)


@pytest.mark.parametrize(("samples", "rows"), [(1, 1000), (5, 6), (64, 6), (64, 7), (64, 1000)])
def test_with_the_true_posterior_a_linear_gaussian_model_s_likelihood_is_exact_at_any_number_and_chunk(samples, rows):
    variables, exact = linear()
    measure = NegativeLogLikelihood(Gaussian(S), samples, rows)
    np.testing.assert_allclose(estimates(measure, LINEAR, variables, REAL), exact, rtol=2e-6)


@pytest.mark.parametrize("rows", [1000, 30_000])
def test_with_another_posterior_it_comes_to_the_closed_form(rows):
    variables, exact = linear(off=0.3, wider=1.4)
    few = estimates(NegativeLogLikelihood(Gaussian(S), 3), LINEAR, variables, REAL)
    many = estimates(NegativeLogLikelihood(Gaussian(S), 20_000, rows), LINEAR, variables, REAL)
    assert np.abs(few - exact).max() > 0.02
    np.testing.assert_allclose(many, exact, atol=0.02)


@pytest.mark.slow
def test_more_samples_give_a_tighter_bound_on_average():
    variables, exact = linear(off=0.6, wider=0.6)
    many = Examples(jnp.repeat(REAL.x, 2000, axis=0))
    gap = [
        (
            estimates(NegativeLogLikelihood(Gaussian(S), samples), LINEAR, variables, many).reshape(3, -1)
            - exact[:, None]
        )
        for samples in (1, 4, 16)
    ]
    assert (np.diff([each.mean() for each in gap]) < -0.05).all()
    assert np.mean(gap[-1]) > 0


@pytest.mark.parametrize(("samples", "rows"), [(1, 100), (5, 1), (7, 9), (12, 12), (13, 12), (13, 100)])
def test_it_takes_exactly_the_asked_number_of_samples(monkeypatch, samples, rows):
    drawn, most = [], max(rows // 3, 1)

    def weights(forward, size, key):
        drawn.append(size)
        return jnp.zeros((size, 3))

    monkeypatch.setattr(likelihood, "importance_log_weights", weights)
    # With every weight 1 the mean is 1, unless more or fewer than K are in the sum.
    got = estimates(NegativeLogLikelihood(Bernoulli(), samples, rows), ONE, built(ONE), BINARY)
    np.testing.assert_allclose(got, 0, atol=1e-6)
    assert max(drawn) <= most


@pytest.mark.parametrize(
    "model",
    [ONE, *(pytest.param(model, marks=pytest.mark.slow) for model in (TWO, CONDITIONAL))],
    ids=["one layer", "two layers", "conditional, mixture"],
)
def test_it_is_the_integral_over_the_codes_by_an_independent_sum(model):
    variables = jax.tree.map(lambda leaf: 0.3 * leaf, built(model))  # posteriors wide enough for every code
    # draws from the prior, without any posterior
    z = compiled.apply(lambda model: model.sample_prior(jax.random.key(9), 100_000), model, variables, {})[0]
    label = jnp.repeat(BINARY.label, len(z))
    decode = lambda model: model.decode(jnp.tile(z, (3, 1)), unseen(3 * len(z), label))  # noqa: E731
    logits = np.asarray(compiled.apply(decode, model, variables, {})[0], np.float64).reshape(3, len(z), 4)
    sign = 2 * np.asarray(BINARY.x, np.float64) - 1
    log = -np.logaddexp(0, -logits * sign[:, None]).sum(axis=2)
    got = estimates(NegativeLogLikelihood(Bernoulli(), 20_000, 3000), model, variables, BINARY)
    np.testing.assert_allclose(got, math.log(len(z)) - logsumexp(log, axis=1), atol=0.02)


@pytest.mark.slow
def test_it_is_numpy_s_on_the_same_codes():
    variables = built(ONE)
    measure = NegativeLogLikelihood(Bernoulli(), 7, 12)  # two chunks of four, the eighth sample unasked for
    key = compiled.apply(lambda model: model.make_rng("latent"), ONE, variables, KEYS)[0]
    posterior = compiled.apply(lambda model, part: model.encode(part), ONE, variables, {}, BINARY)[0]
    many = jax.tree.map(lambda leaf: jnp.tile(leaf, (4, 1)), posterior)
    codes = np.concatenate([np.reshape(many.sample(jax.random.fold_in(key, chunk)), (4, 3, 2)) for chunk in (0, 1)])
    weights = numpy_log_weights(variables["params"], np.asarray(BINARY.x, np.float64), codes[:7].astype(np.float64))
    expected = -(logsumexp(weights, axis=0) - math.log(7))
    np.testing.assert_allclose(estimates(measure, ONE, variables, BINARY), expected, rtol=1e-5)


def numpy_log_weights(params, x, z):
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    dense = lambda layer, x: x @ layer["kernel"] + layer["bias"]  # noqa: E731
    hidden = np.tanh(dense(params["encoder"]["Stack_0"]["Dense_0"], x))
    mean, raw = dense(params["latent"]["code"], hidden), dense(params["latent"]["scale"], hidden)
    posterior = stats.norm(mean, np.exp(10 * np.tanh(raw / 10)))
    logits = dense(params["decoder"]["out"], np.tanh(dense(params["decoder"]["Stack_0"]["Dense_0"], z)))
    likelihood = np.log(np.where(x, 1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(logits)))).sum(axis=2)
    return likelihood + stats.norm.logpdf(z).sum(axis=2) - posterior.logpdf(z).sum(axis=2)


@pytest.mark.slow
def test_an_example_s_estimate_does_not_depend_on_the_others_of_its_batch():
    variables, exact = linear(off=0.3)
    measure = NegativeLogLikelihood(Gaussian(S), 20_000)
    alone = [estimates(measure, LINEAR, variables, Examples(REAL.x[i : i + 1]))[0] for i in range(3)]
    np.testing.assert_allclose(alone, estimates(measure, LINEAR, variables, REAL), atol=0.01)
    np.testing.assert_allclose(alone, exact, atol=0.01)


def test_a_stream_of_exponents_far_apart_keeps_its_sum():
    values = np.array([[-2000.0, 3.0], [-2001.0, -500.0], [-1999.0, 3.0], [-np.inf, 900.0]], np.float32)
    highest, total = jnp.full(2, -jnp.inf), jnp.zeros(2)
    for chunk in (values[:1], values[1:3], values[3:]):
        highest, total = add_exponentials((highest, total), jnp.asarray(chunk))
    np.testing.assert_allclose(highest + jnp.log(total), logsumexp(values.astype(np.float64), axis=0), rtol=1e-6)


def test_no_samples_are_refused():
    with pytest.raises(InputError, match="samples is 0: give at least 1"):
        estimates(NegativeLogLikelihood(samples=0), ONE, built(ONE), BINARY)
