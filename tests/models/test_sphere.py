"""Distributions on the sphere, against SciPy in float64, quadrature and each other."""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betaln, digamma, gammaln, ive, polygamma
from scipy.stats import kstest

from aejax import core
from aejax.core import Examples, InputError
from aejax.losses import KL, Bernoulli, DoublyReparameterised, ImportanceWeighted, Loss, Reconstruction
from aejax.metrics import Bound, NegativeLogLikelihood
from aejax.models import (
    GaussianLatent,
    MLPDecoder,
    MLPEncoder,
    PowerSpherical,
    PowerSphericalLatent,
    StandardNormal,
    UniformSphere,
    VariationalAutoencoder,
    VonMisesFisher,
    VonMisesFisherLatent,
)
from aejax.models._bessel import cumulant, shortfall
from tests.helpers import compiled

KEY = jax.random.key(0)
KAPPA = np.geomspace(1e-2, 1e4, 60, dtype=np.float32)
KINDS = [VonMisesFisher, PowerSpherical]
LATENTS = {VonMisesFisher: VonMisesFisherLatent, PowerSpherical: PowerSphericalLatent}


def directions(n, size, seed=0):
    z = np.random.default_rng(seed).normal(size=(n, size))
    return jnp.asarray(z / np.linalg.norm(z, axis=1, keepdims=True), jnp.float32)


def around(cls, kappa, size):
    kappa = jnp.asarray(kappa, jnp.float32)
    return cls(directions(len(kappa), size), kappa)


def ratio(kappa, size):
    """A = I_{m/2} / I_{m/2 - 1} in float64."""
    return ive(size / 2, kappa) / ive(size / 2 - 1, kappa)


def log_mean_exp(kappa, size):
    """log E exp(kappa (w - 1)) under the uniform distribution in float64."""
    order = size / 2 - 1
    return gammaln(order + 1) + order * np.log(2 / kappa) + np.log(ive(order, kappa))


@pytest.mark.parametrize("size", [2, 11, 128, *(pytest.param(size, marks=pytest.mark.slow) for size in (3, 4, 32, 64))])
def test_bessel_functions_are_scipy_s(size):
    found, short, slope = jax.jit(
        lambda kappa: (
            cumulant(kappa, size),
            shortfall(kappa, size),
            jax.vmap(jax.grad(lambda each: shortfall(each, size)))(kappa),
        )
    )(KAPPA)
    kappa = KAPPA.astype(np.float64)
    np.testing.assert_allclose(found, log_mean_exp(kappa, size), rtol=1.5e-5)
    exact = ratio(kappa, size)
    np.testing.assert_allclose(1 - np.asarray(short, np.float64), exact, rtol=1.6e-5, atol=1.5e-7)
    np.testing.assert_allclose(short, 1 - exact, rtol=4e-4)  # also where float32 has no digits of A left
    riccati = -(1 - exact**2 - (size - 1) * exact / kappa)
    few = kappa < 100  # beyond, it cancels in float64 too
    np.testing.assert_allclose(slope[few], riccati[few], rtol=2e-3)
    assert ((slope < 0) & np.isfinite(slope)).all()


@pytest.mark.parametrize("size", [2, 11, 128])
def test_the_divergence_is_the_closed_form_and_has_the_slope_of_one(size):
    kappa = KAPPA.astype(np.float64)
    half = (size - 1) / 2
    beta, mean = betaln(half + kappa, half) - betaln(half, half), ratio(kappa, size)
    exact = {
        VonMisesFisher: kappa * (mean - 1) - log_mean_exp(kappa, size),
        PowerSpherical: kappa * (digamma(half + kappa) - digamma(2 * half + kappa)) - beta,
    }
    slopes = {
        VonMisesFisher: np.where(kappa < 100, kappa * (1 - mean**2) - (size - 1) * mean, np.nan),  # beyond, it cancels
        PowerSpherical: kappa * (polygamma(1, half + kappa) - polygamma(1, 2 * half + kappa)),
    }
    for cls in KINDS:
        posterior = around(cls, KAPPA, size)

        def kl(concentration, posterior=posterior):
            return dataclasses.replace(posterior, concentration=concentration).kl(UniformSphere())

        found, slope = jax.jit(lambda kappa, kl=kl: (kl(kappa), jax.grad(lambda each: kl(each).sum())(kappa)))(KAPPA)
        np.testing.assert_allclose(found, exact[cls], atol=2e-4, rtol=1e-5)
        known = np.isfinite(slopes[cls])
        np.testing.assert_allclose(slope[known], slopes[cls][known], rtol=3e-3, atol=1e-6)
        assert posterior.kl(StandardNormal()) is None


@pytest.mark.parametrize("cls", KINDS)
def test_densities_integrate_to_one(cls):
    turn = (np.arange(20_000) + 0.5) * 2 * math.pi / 20_000
    circle = jnp.asarray(np.stack([np.cos(turn), np.sin(turn)], axis=1), jnp.float32)
    height = (np.arange(400) + 0.5) / 200 - 1
    across = np.sqrt(1 - height**2)[:, None] * np.stack([np.cos(turn[::50]), np.sin(turn[::50])])[:, None]
    globe = np.stack([*across, np.broadcast_to(height[:, None], across[0].shape)], axis=2).reshape(-1, 3)
    for points, area in ((circle, 2 * math.pi), (jnp.asarray(globe, jnp.float32), 4 * math.pi)):
        posterior = around(cls, [0.1, 3.0, 60.0], points.shape[1])
        density = jax.jit(
            jax.vmap(lambda z, q=posterior: jnp.exp(q.log_prob(jnp.broadcast_to(z[None], q.mean.shape))))
        )(points)
        np.testing.assert_allclose(np.asarray(density, np.float64).mean(axis=0) * area, 1, rtol=2e-4)


@pytest.mark.parametrize("cls", KINDS)
@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow), 11])
def test_draws_have_the_density(cls, size):
    kappa = np.asarray([0.1, 1.0, 30.0, 2000.0])
    posterior = around(cls, kappa, size)

    @jax.jit
    def drawn(posterior):
        code, log_prob = posterior.sample_and_log_prob(KEY, 1000)
        one = posterior.sample(KEY) - posterior.sample_and_log_prob(KEY)[0]
        return code, log_prob, jax.vmap(posterior.log_prob)(code), one

    code, log_prob, again, one = drawn(posterior)
    np.testing.assert_allclose(np.linalg.norm(code, axis=2), 1, rtol=2e-6)
    np.testing.assert_allclose(log_prob, again, atol=2e-3)
    np.testing.assert_array_equal(one, 0)
    angle = 2 * np.arcsin(np.linalg.norm(np.asarray(code - posterior.mean[None], np.float64), axis=2) / 2)
    grid = np.linspace(0, math.pi, 20_001)
    statistic = {VonMisesFisher: np.cos(grid) - 1, PowerSpherical: 2 * np.log(np.cos(grid / 2) + 1e-30)}[cls]
    for number, each in enumerate(kappa):
        mass = np.sin(grid) ** (size - 2) * np.exp(each * statistic)
        below = (np.cumsum(mass) - mass / 2) / mass.sum()
        assert kstest(angle[:, number], lambda x, below=below: np.interp(x, grid, below)).pvalue > 1e-3
    middle = np.asarray(posterior.mean[2])[None]
    side = np.asarray(code[:, 2]) - (np.asarray(code[:, 2]) @ middle.T) * middle
    assert np.abs(side.mean(axis=0)).max() < 5 * side.std() / math.sqrt(len(side))  # to all sides alike


@pytest.mark.parametrize("cls", KINDS)
@pytest.mark.parametrize("size", [2, pytest.param(11, marks=pytest.mark.slow)])
def test_the_gradient_through_draws_is_that_of_the_expectation(cls, size):
    """Of E (c . z) = a(kappa) c . mu, and of E (mu . z)^2, whose derivatives are numerical ones of quadrature."""
    kappa, draws = np.asarray([1.5, 12.0]), 10_000
    posterior, c = around(cls, kappa, size), directions(1, size, 1)[0]
    mu = posterior.mean

    def sums(mean, concentration):
        z = cls(mean, concentration).sample_and_log_prob(KEY, draws)[0]
        return jnp.mean(z @ c, axis=0).sum(), jnp.mean(jnp.square(jnp.sum(z * mu[None], axis=2)), axis=0).sum()

    @jax.jit
    def gradients(posterior):
        _, back = jax.vjp(sums, posterior.mean, posterior.concentration)
        return *back((1.0, 0.0)), back((0.0, 1.0))[1]

    of_mean, of_kappa, of_square = gradients(posterior)
    (first, _), up, down = (moments(cls, kappa + off, size) for off in (0, 1e-3, -1e-3))
    slope, slope_of_square = ((one - other) / 2e-3 for one, other in zip(up, down, strict=True))
    mu, c = np.asarray(mu, np.float64), np.asarray(c, np.float64)
    np.testing.assert_allclose(of_kappa, slope * (mu @ c), atol=0.03 * slope.max())
    np.testing.assert_allclose(of_square, slope_of_square, rtol=0.05)
    tangent = c[None] - (mu @ c)[:, None] * mu  # what lies along the sphere: off it, directions have no meaning
    found = of_mean - np.sum(of_mean * mu, axis=1, keepdims=True) * mu
    np.testing.assert_allclose(found, first[:, None] * tangent, atol=0.03)


MODELS = {
    cls: VariationalAutoencoder(MLPEncoder(), LATENTS[cls](3), MLPDecoder(), (4,), prior=UniformSphere())
    for cls in KINDS
}
BATCH = Examples(jnp.asarray(np.random.default_rng(1).integers(0, 2, (6, 4)), jnp.float32))
KEYS = {name: jax.random.key(number) for number, name in enumerate(("params", "latent", "corruption", "dropout"))}
ELBO = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()})


def test_the_likelihood_is_that_of_the_whole_sphere():
    """The mean of p(x | z) over many uniform codes, and by importance sampling from the posterior.

    Its weights have no finite variance where the posterior is power spherical, whose density has a zero.
    """
    model = MODELS[VonMisesFisher]
    variables = compiled.init(ELBO, model, KEYS, BATCH)

    def measured(model, batch):
        codes = model.sample_prior(KEY, 20_000)
        raw = model.decode(codes, batch)
        each = -jnp.sum(nn.softplus(raw)[None] - raw[None] * batch.x[:, None], axis=2)
        exact = math.log(len(codes)) - jax.nn.logsumexp(each, axis=1)
        return exact, NegativeLogLikelihood(Bernoulli(), 2000)(model, batch) | Bound()(model, batch)

    (exact, values), _ = compiled.apply(measured, model, variables, KEYS, BATCH)
    np.testing.assert_allclose(values["nll_2000_nats"], exact, atol=0.03)
    assert values["negative_elbo_nats"].mean() > exact.mean()


@pytest.mark.slow
@pytest.mark.parametrize("cls", KINDS)
def test_doubly_reparameterised_gradients_are_those_of_the_bound(cls):
    """On average over many draws: both are exact only if the gradient through a draw is."""
    model, variables = MODELS[cls], jax.tree.map(lambda leaf: 2 * leaf, compiled.init(ELBO, MODELS[cls], KEYS, BATCH))

    def mean_gradient(term):
        def total(latent, key):
            own = {**variables["params"], "latent": latent}
            loss = Loss(Bernoulli(), {"bound": term})
            values, _ = core.apply(loss, model, {"params": own}, {**KEYS, "latent": key}, BATCH, True)
            return values["loss_nats"].mean()

        keys = jax.random.split(KEY, 4000)
        found = jax.jit(jax.vmap(jax.grad(total), (None, 0)))(variables["params"]["latent"], keys)
        return jax.tree.map(lambda leaf: (leaf.mean(axis=0), leaf.std(axis=0) / len(keys) ** 0.5), found)

    plain, doubly = (mean_gradient(term(samples=3)) for term in (ImportanceWeighted, DoublyReparameterised))

    def near(one, other):
        (mean, error), (again, less) = one, other
        assert (np.abs(mean - again) < 5 * np.hypot(error, less) + 1e-4).all()
        assert np.abs(mean).max() > 5 * error.max()

    jax.tree.map(near, plain, doubly, is_leaf=lambda leaf: isinstance(leaf, tuple))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            MODELS[VonMisesFisher].clone(prior=StandardNormal()),
            "VonMisesFisherLatent needs a uniform prior on the sphere",
        ),
        (MODELS[PowerSpherical].clone(latent=GaussianLatent(3)), "UniformSphere needs codes of length 1"),
    ],
)
def test_parts_that_do_not_fit_are_refused(model, message, tiny):
    experiment = dataclasses.replace(tiny.experiment, model=model.clone(shape=()), loss=ELBO)
    with pytest.raises(InputError, match=message):
        experiment.resolve(tiny.dataset)


def test_a_sphere_of_one_dimension_is_refused():
    with pytest.raises(InputError, match="PowerSphericalLatent has size=1: a sphere has at least 2 dimensions"):
        PowerSphericalLatent(1).init(KEY, jnp.ones((2, 4)))


def moments(cls, kappa, size):
    """E w and E w^2 of w = mu . z, by quadrature in float64."""
    grid = (np.arange(20_000) + 0.5) * math.pi / 20_000
    w = np.cos(grid)
    statistic = w - 1 if cls is VonMisesFisher else np.log((1 + w) / 2)
    mass = np.sin(grid) ** (size - 2) * np.exp(kappa[:, None] * statistic)
    mass /= mass.sum(axis=1, keepdims=True)
    return mass @ w, mass @ w**2


@pytest.mark.parametrize("size", [2, 11, pytest.param(3, marks=pytest.mark.slow), 128])
def test_an_angle_moves_as_its_quantile_does(size):
    kappa = np.asarray([1.0, 20.0, 500.0])
    angle, speed = jax.jit(
        lambda kappa: jax.jvp(
            lambda kappa: around(VonMisesFisher, kappa[0], size).angle(KEY, kappa), (kappa,), (jnp.ones_like(kappa),)
        )
    )(jnp.tile(jnp.asarray(kappa, jnp.float32)[None], (50, 1)))
    grid = np.linspace(0, math.pi, 200_001)

    def below(kappa):
        mass = np.sin(grid) ** (size - 2) * np.exp(kappa * (np.cos(grid) - 1))
        return (np.cumsum(mass) - mass / 2) / mass.sum()

    for number, each in enumerate(kappa):
        up, down = below(each * 1.001), below(each * 0.999)
        level = np.interp(np.asarray(angle[:, number], np.float64), grid, below(each))
        moved = (np.interp(level, up, grid) - np.interp(level, down, grid)) / (0.002 * each)
        np.testing.assert_allclose(speed[:, number], moved, atol=2e-3 * np.abs(moved).max())
