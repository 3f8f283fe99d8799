"""Flows, against autodiff and integrals; the posteriors and priors that are made of them, against exact likelihoods."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax import core
from aejax.core import Adam, Cosine, Examples, InputError, Rate, as_arrays, linen
from aejax.losses import KL, DoublyReparameterised, Gaussian, Loss, Reconstruction
from aejax.metrics import NegativeLogLikelihood
from aejax.models import (
    Flow,
    GaussianLatent,
    IAFLatent,
    MAFPrior,
    MLPDecoder,
    MLPEncoder,
    PlanarLatent,
    RealNVPPrior,
    VariationalAutoencoder,
    masked_autoregressive,
    real_nvp,
    require,
)
from aejax.models.flows import Planar
from tests.helpers import compiled

KEY = jax.random.key(0)
FLOWS = {
    "real-nvp": real_nvp(3, (8,), "tanh"),
    "maf": masked_autoregressive(2, (8,), "tanh"),
    "iaf": masked_autoregressive(2, (8,), "tanh", gated=True),
    "planar": Flow((Planar(2),)),
    "shared planar": Flow((Planar(2, shared=True),)),
}
CONTEXTS = {"iaf": 3, "planar": 3}
LATENTS = {"planar": PlanarLatent(2, 3), "shared planar": PlanarLatent(2, 3, True), "iaf": IAFLatent(2, 2, (6,))}
ELBO = {"reconstruction": Reconstruction(), "kl": KL()}
UNUSED = lambda examples: examples  # noqa: E731 - the encoder, which no flow asks
PRIORS = {"real-nvp": RealNVPPrior(2, (6,)), "maf": MAFPrior(2, (6,))}


def moved(variables, by=0.7):
    """Parameters in place of others of the same shapes, none of them zero."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, by, leaf.shape), jnp.float32), variables)


def normal(*shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_s_change_of_volume_is_the_jacobian_s_and_its_inverse_undoes_it(name):
    flow = FLOWS[name]
    x, context = normal(6, 5), normal(6, 3, seed=2) if name in CONTEXTS else None
    variables = moved(jax.eval_shape(flow.init, KEY, x, context))

    @jax.jit
    def measured(variables, x, context):
        y, log_det = flow.apply(variables, x, context)
        one = jax.jacobian(lambda x, context: flow.apply(variables, x, context)[0])
        slopes = jax.vmap(one)(x, context)
        return y, log_det, slopes, y if "planar" in name else flow.apply(variables, y, context, method="inverse")

    y, log_det, slopes, back = measured(variables, x, context)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(np.asarray(slopes, np.float64))[1], rtol=1e-4, atol=1e-5)
    assert np.ptp(log_det) > 0.1
    assert np.abs(y - x).min(axis=1).max() > 0.01
    if "planar" not in name:
        np.testing.assert_allclose(back, x, atol=1e-5)


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_s_density_integrates_to_one_and_starts_as_standard_normal(name):
    prior = PRIORS[name]
    ticks = np.linspace(-12, 12, 241)
    grid = jnp.asarray(np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2), jnp.float32)
    start = jax.jit(lambda z: prior.init(KEY, z, UNUSED, method="log_prob"))(grid[:3])
    log_prob = jax.jit(lambda variables, z: prior.apply(variables, z, UNUSED, method="log_prob"))
    at_start = log_prob(start, grid)
    np.testing.assert_allclose(at_start, stats.norm.logpdf(np.asarray(grid)).sum(axis=1), rtol=1e-5)
    density = np.exp(np.asarray(log_prob(moved(start, 0.3), grid), np.float64))
    assert np.abs(density - np.exp(at_start)).max() > 0.02
    np.testing.assert_allclose(density.sum() * (ticks[1] - ticks[0]) ** 2, 1, rtol=1e-3)


def drawn(latent, features, samples):
    """Draws of a latent with their log-densities, and its one code, by moved parameters."""

    def made(latent, features):
        posterior = latent(features)
        return posterior.sample_and_log_prob(KEY, samples), posterior.sample(KEY), posterior.mean

    variables = moved(jax.eval_shape(lambda: latent.init(KEY, features, method=made)))
    return jax.jit(lambda variables, features: latent.apply(variables, features, method=made))(variables, features)


@pytest.mark.parametrize("name", ["planar", "shared planar", pytest.param("iaf", marks=pytest.mark.slow)])
def test_the_log_densities_of_draws_are_those_of_a_distribution(name):
    """The mean of r / q over draws from q is 1 for any density r, here a normal one near the draws."""
    features = 0.3 * normal(3, 4)
    (code, log_density), one, mean = drawn(LATENTS[name], features, 20_000)
    assert (code.shape, log_density.shape, mean.shape) == ((20_000, 3, 2), (20_000, 3), (3, 2))
    assert one.shape == (3, 2)
    code, log_density = np.asarray(code, np.float64), np.asarray(log_density, np.float64)
    centre, scale = code.mean(axis=0), 0.6 * code.std(axis=0)
    ratio = np.exp(stats.norm.logpdf(code, centre, scale).sum(axis=2) - log_density)
    error = ratio.std(axis=0) / np.sqrt(len(ratio))
    assert error.max() < 0.03
    assert np.all(np.abs(ratio.mean(axis=0) - 1) < 4 * error)


def test_a_planar_posterior_of_features_of_zeros_is_finite():
    def made(latent, features):
        return latent(features).sample_and_log_prob(KEY)

    latent, features = PlanarLatent(2, 1), jnp.zeros((2, 4))
    variables = jax.eval_shape(lambda: latent.init(KEY, features, method=made))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), variables)
    log_density = jax.jit(jax.value_and_grad(lambda variables: latent.apply(variables, features, method=made)[1].sum()))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(log_density(zeros)))


def test_shared_planar_steps_start_as_the_identity_and_learn_at_once():
    flow, x = Flow((Planar(3, shared=True),)), normal(4, 5)
    variables = flow.init(KEY, x)
    y, log_det = flow.apply(variables, x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_allclose(log_det, 0, atol=1e-6)
    slopes = jax.grad(lambda variables: jnp.sum(flow.apply(variables, x)[0] ** 2))(variables)
    assert np.abs(slopes["params"]["steps_0"]["u"]).min() > 0.01


LINEAR = VariationalAutoencoder(MLPEncoder(), LATENTS["planar"], MLPDecoder(), shape=(4,))


@pytest.mark.parametrize("name", ["iaf", pytest.param("planar", marks=pytest.mark.slow)])
def test_the_likelihood_and_the_bound_of_a_linear_decoder_are_the_exact_ones(name):
    """x is normal with covariance W W' + s^2, whatever the posterior: the bound is below, the estimate comes to it."""
    model, loss = (
        LINEAR.clone(latent=LATENTS[name]),
        Loss(Gaussian(1.5), ELBO),
    )
    keys = {stream: jax.random.key(n) for n, stream in enumerate(("params", "latent", "corruption", "dropout"))}
    part = Examples(0.5 * normal(4, 4))
    started = lambda model, part: loss(model, part, True)  # noqa: E731
    variables = moved(jax.eval_shape(lambda: linen.init_variables(started, model, keys, part)))
    variables["params"]["latent"]["base"]["scale"]["bias"] += 2  # wide, so that the weights have a variance
    nll = NegativeLogLikelihood(loss.likelihood, 4000, rows=16_000)

    def both(model, part):
        return loss(model, part)["loss_nats"], nll(model, part)[nll.name]

    (bound, estimate), _ = compiled.apply(both, model, variables, keys, part)
    weight, bias = (np.asarray(variables["params"]["decoder"]["out"][n], np.float64) for n in ("kernel", "bias"))
    exact = -stats.multivariate_normal(bias, weight.T @ weight + 1.5**2 * np.eye(4)).logpdf(np.asarray(part.x))
    np.testing.assert_allclose(estimate, exact, atol=0.05)
    assert bound.mean() > exact.mean()


def test_a_bound_that_scores_codes_anew_is_refused():
    with pytest.raises(
        InputError, match=r"DoublyReparameterised needs .* any code.*, which PlanarLatent does not have"
    ):
        require(DoublyReparameterised(), LINEAR, Loss(Gaussian()))


@pytest.mark.slow
def test_members_of_a_population_train_as_they_would_alone():
    model = LINEAR.clone(latent=IAFLatent(2, 1, (4,)), prior=RealNVPPrior(1, (4,)))
    part, loss = Examples(normal(4, 4)), as_arrays(Loss(Gaussian(), ELBO))

    def trained(rate):
        optimizer, key = Adam(rate, horizon=3.0), jax.random.key(0)
        state = core.init(model, loss, optimizer, part, key)
        step = lambda state, _: core.step(model, loss, optimizer, state, part, key)  # noqa: E731
        return jax.lax.scan(step, state, length=3)[1]["loss_nats"].sum

    rates = jnp.asarray([0.01, 0.1])
    together, alone = jax.jit(jax.vmap(trained))(rates), [jax.jit(trained)(rate) for rate in rates]
    assert together[1, -1] < together[0, -1] < together[0, 0]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@pytest.mark.slow
def test_a_flow_closes_the_gap_of_a_posterior_of_independent_dimensions():
    """Of a linear model the posterior is normal with precision 1 + W W' / s^2, whose best diagonal fit is known."""
    weight, scale = np.asarray([[1.0, 1.0, 0.5, 0.0], [0.8, 1.0, 0.3, 0.4]], np.float32), 0.4
    precision = np.eye(2) + weight @ weight.T / scale**2
    gap = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    covariance = weight.T @ weight + scale**2 * np.eye(4)
    x = np.random.default_rng(0).multivariate_normal(np.zeros(4), covariance, 512).astype(np.float32)
    exact = -stats.multivariate_normal(np.zeros(4), covariance).logpdf(x).mean()
    part, loss = Examples(jnp.asarray(x)), as_arrays(Loss(Gaussian(scale), ELBO))
    optimizer = Adam(0.05, Cosine(), horizon=500.0, rates={"decoder": Rate("^decoder", 0.0)})

    def short_by(latent):
        model = LINEAR.clone(latent=latent)
        state = core.init(model, loss, optimizer, part, KEY)
        decoder = {"out": {"kernel": jnp.asarray(weight), "bias": jnp.zeros(4)}}
        state = dataclasses.replace(state, params={**state.params, "decoder": decoder})
        step = lambda state, _: core.step(model, loss, optimizer, state, part, KEY)  # noqa: E731
        return jnp.mean(jax.lax.scan(step, state, length=500)[1]["loss_nats"].sum[-100:]) / len(x) - exact

    independent, flow = (
        float(jax.jit(short_by, static_argnums=0)(each)) for each in (GaussianLatent(2), LATENTS["iaf"])
    )
    assert independent > gap - 0.03 > 0.7
    assert -0.03 < flow < 0.1
