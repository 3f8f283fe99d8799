import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from aejax.core import Examples, InputError
from aejax.losses import KL, Bernoulli, Loss, Reconstruction
from aejax.models import (
    GaussianLatent,
    HierarchicalLatent,
    MLPDecoder,
    MLPEncoder,
    Normal,
    VampPrior,
    VariationalAutoencoder,
    require,
)
from aejax.models.priors import MixturePrior
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
KEYS = {name: jax.random.key(number) for number, name in enumerate(("params", "latent", "corruption", "dropout"))}
LOSS = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()})
PRIORS = [MixturePrior(3), VampPrior(3)]


def built(prior, latent=1, **encoder):
    """A model with that prior on four values, its variables made unequal, and a batch."""
    encoder = MLPEncoder((6,), "tanh", **encoder)
    model = VariationalAutoencoder(encoder, GaussianLatent(latent), MLPDecoder((4,)), prior=prior)
    model = model.resolve((4,), (4,))
    part = Examples(jnp.asarray(np.random.default_rng(0).integers(0, 2, (5, 4)), jnp.float32))
    variables = dict(compiled.init(lambda model, part: LOSS(model, part, True), model, KEYS, part))
    shift = np.random.default_rng(1)
    variables["params"] = jax.tree.map(
        lambda leaf: np.asarray(leaf) + np.float32(0.4 * shift.normal(size=leaf.shape)), variables["params"]
    )
    return model, variables, part


def applied(function, model, variables, *args):
    return compiled.apply(function, model, variables, KEYS, *args)[0]


def components(model, variables):
    """Weights, means and scales of the prior's components, as numpy computes them from the parameters."""
    own = variables["params"]["prior"]
    if isinstance(model.prior, MixturePrior):
        weights = np.exp(own["logits"]) / np.exp(own["logits"]).sum()
        return weights, np.asarray(own["mean"]), np.exp(10 * np.tanh(np.asarray(own["scale"]) / 10))
    u = 1 / (1 + np.exp(-np.asarray(own["pseudo_inputs"])))
    assert u.min() > 0
    assert u.max() < 1
    posterior = applied(lambda model, u: model.encode(Examples(u)), model, variables, jnp.asarray(u))
    return np.full(len(u), 1 / len(u)), np.asarray(posterior.mean), np.asarray(posterior.scale)


@pytest.mark.parametrize("prior", [PRIORS[0], pytest.param(PRIORS[1], marks=pytest.mark.slow)], ids=["mixture", "vamp"])
def test_a_prior_s_density_is_the_mixture_s_and_integrates_to_one(prior):
    model, variables, _ = built(prior)
    grid = np.linspace(-30, 30, 20_001)
    log_density = np.asarray(
        applied(lambda model, z: model.prior_log_prob(z), model, variables, jnp.asarray(grid[:, None], jnp.float32))
    )
    weights, mean, scale = components(model, variables)
    each = stats.norm(mean.T, scale.T).logpdf(grid[:, None]) + np.log(weights)[None]
    np.testing.assert_allclose(log_density, logsumexp(each, axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.trapezoid(np.exp(log_density), grid), 1, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("prior", PRIORS, ids=["mixture", "vamp"])
def test_draws_have_the_mixture_s_mean_and_covariance(prior):
    model, variables, _ = built(prior, latent=2)
    drawn = np.asarray(applied(lambda model: model.sample_prior(jax.random.key(0), 40_000), model, variables))
    weights, mean, scale = components(model, variables)
    centre = weights @ mean
    covariance = np.einsum("k,ki,kj->ij", weights, mean - centre, mean - centre) + np.diag(weights @ scale**2)
    error = np.sqrt(np.diag(covariance)) / np.sqrt(len(drawn))
    np.testing.assert_allclose(drawn.mean(axis=0), centre, atol=5 * error.max())
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.05 * covariance.max())


@pytest.mark.parametrize("log_scale", [0, -5, -9])
def test_every_code_under_every_row_is_scipy_s_density(log_scale):
    """Scales differ, and each row has a code within its scale, whose log-density is small where squares are large."""
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(size=(3, 20)), np.exp(log_scale + rng.uniform(-1, 1, (3, 20)))
    z = mean[[0, 1, 2, 0]] + scale[[0, 1, 2, 0]] * rng.normal(size=(4, 20))
    mean, scale, z = (array.astype(np.float32) for array in (mean, scale, z))

    @jax.jit
    def both(mean, scale, z):
        ours, slopes = jax.vjp(lambda z: Normal(mean, scale).log_prob_each(z), z)
        return ours, slopes(jnp.eye(4, 3))[0]

    ours, slopes = both(mean, scale, z)
    apart = (z[:, None].astype(np.float64) - mean[None]) / scale[None].astype(np.float64)
    theirs = stats.norm.logpdf(apart).sum(axis=2) - np.log(scale.astype(np.float64)).sum(axis=1)[None]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(slopes[:3], -(apart / scale[None])[np.arange(3), np.arange(3)], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prior", [PRIORS[0], pytest.param(PRIORS[1], marks=pytest.mark.slow)], ids=["mixture", "vamp"])
def test_the_kl_is_the_log_ratio_at_the_one_code_drawn(prior):
    model, variables, part = built(prior)

    def sampled(model, part):
        posterior = model.encode(part, True)
        z = posterior.sample(model.make_rng("latent"))
        return posterior, z, model.prior_log_prob(z)

    posterior, z, log_prior = applied(sampled, model, variables, part)
    log_posterior = stats.norm(posterior.mean, posterior.scale).logpdf(z).sum(axis=1)
    kl = applied(LOSS, model, variables, part)["kl_nats"]
    np.testing.assert_allclose(kl, log_posterior - log_prior, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_the_rate_reaches_pseudo_inputs_and_encoder_by_two_ways():
    model, variables, part = built(VampPrior(3))

    def rate(params):
        def prior_alone(model, part):
            z = jax.lax.stop_gradient(model.encode(part).mean)
            return model.prior_log_prob(z).mean()

        return compiled.apply(prior_alone, model, {"params": params}, KEYS, part)[0]

    gradient = jax.jit(jax.grad(rate))(variables["params"])
    assert np.abs(gradient["prior"]["pseudo_inputs"]).min(axis=1).max() > 0
    assert np.abs(gradient["encoder"]["Stack_0"]["Dense_0"]["kernel"]).max() > 0  # though the codes' own way is cut
    assert np.abs(gradient["latent"]["scale"]["kernel"]).max() > 0


@pytest.mark.slow
def test_pseudo_inputs_meet_the_encoder_as_in_evaluation():
    model, variables, part = built(VampPrior(3), norm="batch", dropout=0.5)
    z = jnp.zeros((2, 1))
    trained = lambda *also: compiled.apply(  # noqa: E731
        lambda model, part: [model.encode(part, True).mean, *(model.prior_log_prob(z) for _ in also)][-1],
        model,
        variables,
        KEYS,
        part,
        mutable=True,
    )
    density, changed = trained("prior")
    by_averages = applied(lambda model: model.prior_log_prob(z), model, {"params": variables["params"], **changed})
    np.testing.assert_array_equal(density, by_averages)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, changed, trained()[1])))  # the averages are of x alone


def test_a_mixture_of_nothing_and_of_other_posteriors_is_refused():
    with pytest.raises(InputError, match="a mixture of 0 components is no prior"):
        built(VampPrior(0))
    model = VariationalAutoencoder(MLPEncoder(), HierarchicalLatent((2, 1), (2,)), MLPDecoder(), prior=VampPrior(2))
    with pytest.raises(InputError, match=r"VampPrior needs .* normals, which HierarchicalLatent does not have"):
        require(model.prior, model, LOSS)
