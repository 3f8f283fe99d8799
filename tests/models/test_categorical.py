import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp
from scipy.stats import entropy

from aejax.core import Examples, InputError
from aejax.losses import KL, Bernoulli, Exact, GumbelSoftmax, Loss, Reconstruction
from aejax.metrics import Bound, NegativeLogLikelihood
from aejax.models import (
    Autoencoder,
    CategoricalLatent,
    GaussianLatent,
    MLPDecoder,
    MLPEncoder,
    OneHotCategorical,
    UniformPrior,
    VariationalAutoencoder,
)
from tests.helpers import compiled

KEY = jax.random.key(0)
LOGITS = log_softmax(np.random.default_rng(0).normal(0, 2, (5, 2, 3)).astype(np.float32), axis=2)
POSTERIOR = OneHotCategorical(jnp.asarray(LOGITS))
MODEL = VariationalAutoencoder(MLPEncoder(), CategoricalLatent(2, 3), MLPDecoder(), (4,), prior=UniformPrior(3))
LOSS = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "kl": KL()}, relaxation=GumbelSoftmax(0.5))
BATCH = Examples(jnp.asarray(np.random.default_rng(1).integers(0, 2, (6, 4)), jnp.float32))
KEYS = {name: jax.random.key(number) for number, name in enumerate(("params", "latent", "corruption"))}


@pytest.fixture(scope="module")
def variables():
    made = compiled.init(LOSS, MODEL, KEYS, BATCH)
    return jax.tree.map(lambda leaf: 2 * leaf, made)


def test_the_divergence_is_the_closed_form_and_what_hard_draws_estimate():
    kl = POSTERIOR.kl(UniformPrior(3))
    np.testing.assert_allclose(kl, 2 * np.log(3) - entropy(np.exp(LOGITS), axis=2).sum(axis=1), rtol=1e-5)
    code, log_prob = jax.jit(lambda: POSTERIOR.sample_and_log_prob(KEY, 20_000))()
    np.testing.assert_allclose(log_prob.mean(axis=0) + 2 * np.log(3), kl, atol=0.03)
    np.testing.assert_allclose(code.mean(axis=0).reshape(5, 2, 3), np.exp(LOGITS), atol=0.02)
    np.testing.assert_allclose(jax.vmap(POSTERIOR.log_prob)(code[:3]), log_prob[:3], rtol=1e-6)


def test_relaxed_draws_become_hard_ones_and_have_a_gradient():
    @jax.jit
    @jax.vmap
    def drawn(temperature):
        def total(logits, posterior):
            return jnp.sum(jnp.sin(jnp.arange(6.0))[None] * posterior(OneHotCategorical(logits)).sample(KEY))

        relaxed = POSTERIOR.relaxed(temperature).sample(KEY)
        of_hard = jax.grad(lambda logits: total(logits, lambda q: q))(POSTERIOR.log_prob_each)
        return (
            relaxed,
            jax.grad(lambda logits: total(logits, lambda q: q.relaxed(temperature)))(POSTERIOR.log_prob_each),
            of_hard,
        )

    relaxed, gradient, of_hard = drawn(jnp.asarray([1.0, 1e-3]))
    hard = POSTERIOR.sample(KEY)
    assert set(np.unique(hard)) == {0, 1}
    np.testing.assert_allclose(relaxed[1], hard, atol=1e-6)
    np.testing.assert_allclose(relaxed.reshape(2, 5, 2, 3).sum(axis=3), 1, rtol=1e-5)
    assert 0.01 < np.abs(relaxed[0] - hard).max() < 1
    assert np.abs(gradient[0]).min() > 0
    np.testing.assert_array_equal(of_hard, 0)


def test_the_temperature_falls_exponentially_and_stays():
    annealed = GumbelSoftmax(0.25, 1.0, anneal_steps=4.0)
    taus = [float(annealed(POSTERIOR, jnp.asarray(step)).temperature) for step in (0, 1, 3, 100)]
    np.testing.assert_allclose(taus, [2**-0.5, 0.5, 0.25, 0.25], rtol=1e-6)
    assert annealed(POSTERIOR, None).temperature == 0.25
    assert len(jax.tree.leaves(annealed)) == 3  # traced: a sweep of temperatures is one program


def test_training_sees_relaxed_codes_and_evaluation_hard_ones(variables):
    def codes(model, batch):
        return [LOSS.forward(model, batch, train).code for train in (True, False)]

    (trained, held), _ = compiled.apply(codes, MODEL, variables, KEYS, BATCH)
    assert set(np.unique(held)) == {0, 1}
    assert ((trained > 0) & (trained < 1)).any()


def test_the_likelihood_is_that_of_all_codes_summed(variables):
    codes = np.asarray(
        [np.eye(3)[list(chosen)].ravel() for chosen in itertools.product(range(3), repeat=2)], np.float32
    )

    def measured(model, batch):
        raw = model.decode(jnp.asarray(codes), batch)
        each = jnp.stack([Bernoulli().log_prob(batch.x, jnp.tile(one[None], (6, 1))) for one in raw])
        return each, NegativeLogLikelihood(Bernoulli(), 20_000)(model, batch) | Bound()(model, batch)

    (each, values), _ = compiled.apply(measured, MODEL, variables, KEYS, BATCH)
    exact = np.log(9) - logsumexp(each, axis=0)
    np.testing.assert_allclose(values["nll_20000_nats"], exact, atol=0.05)
    assert values["negative_elbo_nats"].mean() > exact.mean()


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        (MODEL, dataclasses.replace(LOSS, relaxation=Loss().relaxation), "CategoricalLatent needs a relaxation"),
        (Autoencoder(MLPEncoder(), MODEL.latent, MLPDecoder()), LOSS, "CategoricalLatent needs a prior over one-hot"),
        (MODEL.clone(latent=GaussianLatent(3)), LOSS, "UniformPrior needs categorical codes"),
    ],
)
def test_parts_that_do_not_fit_are_refused(model, loss, message, tiny):
    experiment = dataclasses.replace(tiny.experiment, model=model.clone(shape=()), loss=loss)
    with pytest.raises(InputError, match=message):
        experiment.resolve(tiny.dataset)


@pytest.mark.parametrize("relaxation", [GumbelSoftmax(), Exact()])
def test_a_relaxation_is_what_brings_a_gradient_to_the_encoder(variables, relaxation):
    loss = Loss(Bernoulli(), relaxation=relaxation)

    def total(params):
        return compiled.apply(loss, MODEL, {"params": params}, KEYS, BATCH, True)[0]["loss_nats"].sum()

    gradient = jax.grad(total)(variables["params"])
    assert (np.abs(gradient["latent"]["code"]["kernel"]).max() > 1e-3) == (relaxation != Exact())
    assert np.abs(gradient["decoder"]["out"]["kernel"]).max() > 1e-3
