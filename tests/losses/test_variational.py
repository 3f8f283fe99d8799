from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from aejax.core import Examples, InputError
from aejax.losses import KL, Bernoulli, ImportanceWeighted, Loss, Reconstruction, importance_log_weights
from aejax.losses.terms import Forward
from aejax.models import (
    Autoencoder,
    BottomDecoder,
    GaussianLatent,
    HierarchicalLatent,
    HierarchicalPrior,
    MLPDecoder,
    MLPEncoder,
    Normal,
    Plain,
    VariationalAutoencoder,
    latents,
)
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
KEYS = {"latent": jax.random.key(1), "corruption": jax.random.key(2), "params": jax.random.key(0)}
ONE = VariationalAutoencoder(MLPEncoder((6,), "tanh"), GaussianLatent(3), MLPDecoder((6,), "tanh"), shape=(4,))
TWO = VariationalAutoencoder(
    MLPEncoder((6,), "tanh"),
    HierarchicalLatent((3, 2), (4,)),
    BottomDecoder(MLPDecoder((6,), "tanh"), 3),
    shape=(4,),
    prior=HierarchicalPrior((3, 2), (4,)),
)
ELBO = {"reconstruction": Reconstruction(), "kl": KL()}


def built(model, loss, batch=5):
    part = Examples(jnp.asarray(np.random.default_rng(0).integers(0, 2, (batch, 4)), jnp.float32))
    return jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.2), init(model, loss, part)), part


@partial(jax.jit, static_argnums=0)
def init(model, loss, part):
    return compiled.init(lambda model, part: loss(model, part, True), model, KEYS, part)


@partial(jax.jit, static_argnums=0)
def values(model, loss, variables, part, step=None, key=1):
    keys = KEYS | {"latent": jax.random.key(key)}
    return compiled.apply(loss, model, variables, keys, part, True, step)[0]


def forward_of(model, part):
    posterior = model.encode(part, True)
    code, density = posterior.sample_and_log_prob(jax.random.key(5))
    raw = model.decode(code, part)
    return Forward(model, part, part, posterior, code, raw, Bernoulli(), log_posterior=density)


def test_the_kl_of_a_normal_is_the_mean_of_the_log_ratio_over_many_draws():
    posterior = Normal(jnp.asarray([[0.3, -1.0]]), jnp.asarray([[0.5, 1.7]]))
    many = Normal(jnp.tile(posterior.mean, (200_000, 1)), jnp.tile(posterior.scale, (200_000, 1)))
    z = np.asarray(many.sample(jax.random.key(0)))
    ratio = stats.norm(posterior.mean, posterior.scale).logpdf(z) - stats.norm(0, 1).logpdf(z)
    np.testing.assert_allclose(posterior.kl_to_standard()[0], ratio.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(many.log_prob(many.mean)[0], stats.norm(0, posterior.scale).logpdf(0).sum(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["exp", "softplus"])
def test_a_scale_stays_positive_and_finite_for_any_output_of_its_layer(kind):
    scale = latents.positive_scale(jnp.asarray([[-1e30, -40.0, 0.0, 40.0]]), kind)
    assert np.all((np.asarray(scale) > 1e-5) & np.isfinite(np.log(scale)))


@pytest.mark.slow
def test_two_layers_have_the_densities_of_their_conditionals_and_sample_by_them():
    loss = Loss(Bernoulli(), ELBO)
    variables, part = built(TWO, loss)

    def measured(model, part):
        posterior = model.encode(part)
        z = posterior.sample(jax.random.key(3))
        above = model.latent.ladder(1, z[:, :3])
        below = model.prior.ladder(1, z[:, 3:])
        own = posterior.log_prob(z), model.prior_log_prob(z), posterior.mean
        return own, (posterior.first, above, below, model.latent.ladder(1, posterior.first.mean)), z

    own, (first, above, below, middle), z = compiled.apply(measured, TWO, variables, {}, part)[0]
    log = lambda normal, z: stats.norm(normal.mean, normal.scale).logpdf(z).sum(axis=1)  # noqa: E731
    np.testing.assert_allclose(own[0], log(first, z[:, :3]) + log(above, z[:, 3:]), rtol=1e-4)
    np.testing.assert_allclose(own[1], log(below, z[:, :3]) + stats.norm.logpdf(z[:, 3:]).sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(own[2], np.concatenate([first.mean, middle.mean], axis=1), rtol=1e-5)
    drawn = compiled.apply(lambda model: model.sample_prior(jax.random.key(0), 4000), TWO, variables, {})[0]
    mean = compiled.apply(lambda model, z: model.prior.ladder(1, z), TWO, variables, {}, drawn[:, 3:])[0]
    standardised = (drawn[:, :3] - mean.mean) / mean.scale
    np.testing.assert_allclose([np.mean(standardised), np.std(standardised)], [0, 1], atol=0.05)


@pytest.mark.parametrize("model", [ONE, pytest.param(TWO, marks=pytest.mark.slow)], ids=["one layer", "two layers"])
def test_the_bounds_are_log_means_of_the_weights_with_m_outside_and_k_inside(model):
    variables, part = built(model, Loss(Bernoulli(), ELBO))
    bound = lambda k, m: compiled.apply(  # noqa: E731
        lambda model, part: ImportanceWeighted(samples=k, bounds=m)(forward_of(model, part)),
        model,
        variables,
        KEYS,
        part,
    )[0]
    weights = np.asarray(
        compiled.apply(
            lambda model, part: importance_log_weights(forward_of(model, part), 6, model.make_rng("latent")),
            model,
            variables,
            KEYS,
            part,
        )[0],
        np.float64,
    )
    inside = np.log(np.exp(weights.reshape(3, 2, -1)).mean(axis=1)).mean(axis=0)
    np.testing.assert_allclose(bound(2, 3), -inside, rtol=1e-5)
    np.testing.assert_allclose(bound(6, 1), -np.log(np.exp(weights).mean(axis=0)), rtol=1e-5)
    np.testing.assert_allclose(bound(1, 6), -weights.mean(axis=0), rtol=1e-5)


def test_the_weights_are_joint_over_posterior_of_the_codes_that_were_drawn():
    variables, part = built(ONE, Loss(Bernoulli(), ELBO))

    def both(model, part):
        forward = forward_of(model, part)
        weights = importance_log_weights(forward, 2, jax.random.key(7))
        z = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), forward.posterior).sample(jax.random.key(7))
        return weights, z, forward.posterior, model.decode(z, part)

    weights, z, posterior, raw = compiled.apply(both, ONE, variables, KEYS, part)[0]
    x = np.concatenate([part.x, part.x])
    likelihood = stats.bernoulli(1 / (1 + np.exp(-np.asarray(raw, np.float64)))).logpmf(x).sum(axis=1)
    mean, scale = (np.concatenate([leaf, leaf]) for leaf in (posterior.mean, posterior.scale))
    ratio = stats.norm.logpdf(z).sum(axis=1) - stats.norm(mean, scale).logpdf(z).sum(axis=1)
    np.testing.assert_allclose(weights.reshape(-1), likelihood + ratio, rtol=1e-4)


def test_the_elbo_in_closed_form_is_the_expectation_of_the_one_by_samples():
    closed, sampled = Loss(Bernoulli(), ELBO), Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=1, bounds=4000)})
    variables, part = built(ONE, closed)
    variables = jax.tree.map(lambda leaf: 0.3 * leaf, variables)  # with wide posteriors it takes many more samples
    many = Examples(jnp.repeat(part.x[:1], 4000, axis=0))
    expected = values(ONE, closed, variables, many)["loss_nats"].mean()
    np.testing.assert_allclose(values(ONE, sampled, variables, part)["loss_nats"][0], expected, atol=0.05)


@pytest.mark.parametrize("terms", [ELBO, {"bound": ImportanceWeighted(samples=3)}], ids=["elbo", "iwae"])
def test_every_bound_s_mean_is_unchanged_when_the_batch_is_duplicated(terms):
    loss = Loss(Bernoulli(), terms)
    variables, part = built(ONE, loss, batch=400)
    twice = Examples(jnp.concatenate([part.x, part.x]))
    once, doubled = (values(ONE, loss, variables, item)["loss_nats"].mean() for item in (part, twice))
    np.testing.assert_allclose(doubled, once, rtol=0.02)  # other noise, the same expectation


def test_a_weight_warms_up_over_its_steps_and_is_whole_in_evaluation():
    loss = Loss(Bernoulli(), {"kl": KL(2.0, warmup_steps=4.0)})
    variables, part = built(ONE, loss)
    steps = (jnp.int32(0), jnp.int32(3), jnp.int32(9), None)
    measured = [values(ONE, loss, variables, part, step) for step in steps]
    factors = [(value["loss_nats"] / value["kl_nats"])[0] for value in measured]
    np.testing.assert_allclose(factors, [0.5, 2.0, 2.0, 2.0], rtol=1e-6)


def test_a_model_without_densities_is_refused():
    model = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder(), shape=(4,))
    with pytest.raises(
        InputError, match="KL needs a prior, which Autoencoder does not have: use VariationalAutoencoder"
    ):
        built(model, Loss(Bernoulli(), ELBO))
    with pytest.raises(InputError, match="samples is 0 and bounds is 1"):
        built(ONE, Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=0)}))
