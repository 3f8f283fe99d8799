import dataclasses
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Examples, apply
from aejax.losses import Bernoulli, Gaussian, ImportanceWeighted, Loss, Reconstruction
from aejax.losses.importance import CombinedImportanceWeighted, DoublyReparameterised, PartiallyImportanceWeighted
from aejax.models import GaussianLatent, MLPDecoder, MLPEncoder, VariationalAutoencoder
from aejax.models.latents import LOG_SCALE_BOUND
from tests.losses.test_variational import KEYS, ONE, TWO, built

pytestmark = pytest.mark.usefixtures("strict")
GENERATIVE = {"decoder", "prior"}


@partial(jax.jit, static_argnums=0)
def gradient(model, term, variables, part):
    """The batch's mean, with the noise that every term of as many codes shares, and its gradient."""
    loss = Loss(Bernoulli(), {"bound": term})

    def objective(params):
        return apply(loss, model, {"params": params}, KEYS, part, True)[0]["loss_nats"].mean()

    return jax.value_and_grad(objective)(variables["params"])


def assert_close(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("model", [ONE, TWO], ids=["one layer", "two layers"])
def test_piwae_moves_the_encoder_by_miwae_and_decoder_and_prior_by_iwae(model):
    variables, part = built(model, Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=3, bounds=2)}))
    value, partial = gradient(model, PartiallyImportanceWeighted(samples=3, bounds=2), variables, part)
    _, loose = gradient(model, ImportanceWeighted(samples=3, bounds=2), variables, part)
    tight_value, tight = gradient(model, ImportanceWeighted(samples=6), variables, part)
    assert float(value) == pytest.approx(float(tight_value), rel=1e-6)
    assert {"encoder", "latent", "decoder"} <= set(partial)
    for name in partial:
        assert_close(partial[name], (tight if name in GENERATIVE else loose)[name])
        assert not np.allclose(*(np.concatenate([g.ravel() for g in jax.tree.leaves(t[name])]) for t in (tight, loose)))


@pytest.mark.slow
def test_ciwae_lies_between_the_elbo_and_the_bound_in_value_and_gradient():
    variables, part = built(ONE, Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=3, bounds=2)}))
    elbo, bound = (
        jax.device_get(gradient(ONE, ImportanceWeighted(samples=samples, bounds=6 // samples), variables, part))
        for samples in (1, 3)
    )
    assert elbo[0] > bound[0]
    for beta in np.float32([0.0, 0.3, 1.0]):
        term = CombinedImportanceWeighted(samples=3, bounds=2, beta=beta)
        between = jax.tree.map(lambda a, b, beta=beta: beta * a + (1 - beta) * b, elbo, bound)
        assert_close(gradient(ONE, term, variables, part), between)


@partial(jax.jit, static_argnums=0)
def encoder_gradients(terms, variables, part):
    model, loss = LINEAR, Loss(Gaussian(SCALE))

    def gradient(term, key):
        bound = dataclasses.replace(loss, terms={"bound": term})
        keys = KEYS | {"latent": key}

        def objective(latent):
            params = {"params": {**variables["params"], "latent": latent}}
            return apply(bound, model, params, keys, part, True)[0]["loss_nats"].mean()

        return jax.flatten_util.ravel_pytree(jax.grad(objective)(variables["params"]["latent"]))[0]

    keys = jax.random.split(jax.random.key(5), 6)
    return [jax.vmap(partial(gradient, term))(keys) for term in terms]


SCALE = 0.7
LINEAR = VariationalAutoencoder(MLPEncoder(()), GaussianLatent(2), MLPDecoder(()), shape=(4,))


def test_where_the_posterior_is_exact_the_encoder_s_gradient_by_dreg_has_no_noise():
    """Of a linear model, by Bishop 2006, equations 12.42 and 12.43: every weight is p(x), whatever the code."""
    weight = np.asarray([[1.0, 0.5, 0.0, -1.0], [0.5, 1.0, -2.0, 1.0]], np.float32)
    assert weight[0] @ weight[1] == 0  # so that the posterior's covariance is diagonal
    variance = 1 / (1 + np.sum(weight**2, axis=1) / SCALE**2)
    decoder = {"out": {"kernel": weight, "bias": np.zeros(4, np.float32)}}
    scale = {
        "kernel": np.zeros((4, 2), np.float32),
        "bias": LOG_SCALE_BOUND * np.arctanh(0.5 * np.log(variance) / LOG_SCALE_BOUND),
    }
    latent = {"code": {"kernel": weight.T * variance / SCALE**2, "bias": np.zeros(2, np.float32)}, "scale": scale}
    part = Examples(jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32))
    kinds = (ImportanceWeighted, DoublyReparameterised, partial(DoublyReparameterised, sticking_the_landing=True))
    terms = tuple(kind(samples=3, bounds=2) for kind in kinds)
    theirs, *ours = encoder_gradients(terms, {"params": {"decoder": decoder, "latent": latent}}, part)
    assert np.std(theirs, axis=0).max() > 0.1
    for gradients in ours:
        np.testing.assert_allclose(gradients, 0, atol=2e-5)


@partial(jax.jit, static_argnums=(0, 4))
def gradients(model, term, variables, part, draws):
    """The gradients of the batch's mean for as many keys, each as one vector: the encoder's, and all other."""
    loss = Loss(Bernoulli(), {"bound": term})

    def one(key):
        objective = lambda params: apply(  # noqa: E731
            loss, model, {"params": params}, KEYS | {"latent": key}, part, True
        )[0]["loss_nats"].mean()
        value, found = jax.value_and_grad(objective)(variables["params"])
        sides = ([found[n] for n in found if (n in GENERATIVE) is generative] for generative in (False, True))
        return value, *(jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(side)]) for side in sides)

    return jax.lax.map(one, jax.random.split(jax.random.key(4), draws), batch_size=500)


@pytest.mark.slow
@pytest.mark.parametrize("model", [ONE, TWO], ids=["one layer", "two layers"])
def test_dreg_has_the_bound_s_value_and_mean_gradient_with_less_noise_in_all(model):
    settings = {"samples": 4, "bounds": 2}
    variables, part = built(model, Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=3)}))
    theirs = gradients(model, ImportanceWeighted(**settings), variables, part, 2000)
    ours = gradients(model, DoublyReparameterised(**settings), variables, part, 2000)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-3, atol=1e-5)
    difference = np.asarray(ours[1] - theirs[1], np.float64)
    assert np.all(np.abs(difference.mean(axis=0)) < 5 * difference.std(axis=0) / np.sqrt(len(difference)) + 1e-7)
    assert np.var(ours[1], axis=0).sum() < np.var(theirs[1], axis=0).sum()


def operations(term):
    """The floating-point operations of a compiled gradient through a wide decoder, as XLA counts them."""
    model = VariationalAutoencoder(MLPEncoder((6,)), GaussianLatent(3), MLPDecoder((128, 128)), shape=(4,))
    variables, part = built(model, Loss(Bernoulli(), {"bound": ImportanceWeighted(samples=3)}))
    loss = Loss(Bernoulli(), {"bound": term})
    step = jax.grad(lambda variables: apply(loss, model, variables, KEYS, part, True)[0]["loss_nats"].mean())
    return jax.jit(step).lower(variables).compile().cost_analysis()["flops"]


@pytest.mark.slow
def test_dreg_passes_through_the_decoder_as_often_as_the_bound_alone():
    plain, ours = (operations(term(samples=40)) for term in (ImportanceWeighted, DoublyReparameterised))
    assert ours < 1.1 * plain


def decoded_rows(terms):
    """The first axes of what the compiled gradient's products of matrices in the decoder make."""
    loss = Loss(Bernoulli(), terms)
    variables, part = built(ONE, loss)
    step = jax.grad(lambda variables: apply(loss, ONE, variables, KEYS, part, True)[0]["loss_nats"].mean())
    text = jax.jit(step).lower(variables).compile().as_text()
    products = re.findall(r"= f32\[(\d+),\d+\]\S* dot\(.*VariationalAutoencoder\.decode", text)
    return {int(rows) for rows in products}


@pytest.mark.slow
def test_a_step_decodes_the_codes_of_the_bound_and_no_single_one_beside_them():
    bound = {"bound": ImportanceWeighted(samples=7)}
    rows = decoded_rows(bound)
    assert 5 * 7 in rows
    assert 5 not in rows
    assert 5 in decoded_rows(bound | {"reconstruction": Reconstruction()})
