"""Terms of regularised autoencoders: lengths of codes, weights of the decoder, its Jacobian."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Examples, InputError
from aejax.losses import Bernoulli, CodeL2, DecoderJacobian, Loss, WeightL2
from aejax.models import (
    Autoencoder,
    ConditionalAutoencoder,
    GaussianLatent,
    MLPDecoder,
    MLPEncoder,
    Plain,
    TiedAutoencoder,
)
from tests.helpers import compiled
from tests.losses.test_loss import built, init, values_of

DEEP = Autoencoder(MLPEncoder((6,)), Plain(3, "tanh"), MLPDecoder((5,), "tanh"))
NORMED = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder((6,), "tanh", "batch", 0.5))
LABELLED = ConditionalAutoencoder(MLPEncoder(), GaussianLatent(2), MLPDecoder((5,), "tanh"), classes=4)
KEYS = {name: jax.random.key(number) for number, name in enumerate(("latent", "corruption", "dropout"), 1)}


def of(term):
    return Loss(Bernoulli(), {"term": term})


@partial(jax.jit, static_argnums=0)
def jacobians(model, variables, code, label=None):
    """The Jacobian of the decoded mean of each code, and the gradient of the sum of its squares."""

    def decoded(z, label):
        batch = Examples(jnp.zeros((1, 0)), None if label is None else label[None])
        raw = compiled.apply(lambda model: model.decode(z[None], batch), model, variables, {})[0]
        return jax.nn.sigmoid(raw).reshape(-1)

    squares = lambda z, label: jnp.sum(jnp.square(decoded(z, label)))  # noqa: E731
    return jax.vmap(jax.jacfwd(decoded))(code, label), jax.vmap(jax.grad(squares))(code, label)


def _codes(model, variables, part):
    return compiled.apply(lambda model: model.encode(part).mean, model, variables, {})[0]


@pytest.mark.parametrize("model", [DEEP, NORMED], ids=["deep", "normalised"])
def test_the_exact_norm_is_that_of_the_jacobian_and_not_of_the_gradient_of_squares(model):
    """What the reference differentiates is 2 J^T x, another number."""
    model, variables, part = built(loss := of(DecoderJacobian(samples=None)), model)
    values, collections = compiled.apply(loss, model, variables, KEYS, part, True, mutable=True)
    values = values["term_nats"]
    # A batch's statistics have joined the running averages by the time that the term is asked.
    whole, gradient = jacobians(model, {"params": variables["params"], **collections}, _codes(model, variables, part))
    np.testing.assert_allclose(values, np.square(whole).sum(axis=(1, 2)), rtol=1e-4)
    assert not np.allclose(values, np.square(gradient).sum(axis=1), rtol=0.1)


def test_hutchinson_s_estimate_is_unbiased():
    """Its mean over 4,000 vectors is within 4 of its errors of the exact norm, of which one vector alone is not."""
    model, variables, part = built(of(DecoderJacobian()), DEEP)
    whole, _ = jacobians(model, variables, _codes(model, variables, part))
    exact = np.square(whole).sum(axis=(1, 2))
    many = values_of(of(DecoderJacobian(samples=4000)), model, variables, part)["term_nats"]
    products = np.einsum("bij,bik->bjk", whole, whole)
    apart = np.square(products).sum(axis=(1, 2)) - np.square(np.einsum("bjj->bj", products)).sum(axis=1)
    error = np.sqrt(2 * apart / 4000)  # of random signs: Hutchinson 1990
    assert (np.abs(many - exact) < 4 * error + 1e-5 * exact).all()
    one = values_of(of(DecoderJacobian()), model, variables, part)["term_nats"]
    assert (np.abs(one - exact) > 4 * error).any()


def test_a_conditional_decoder_has_a_jacobian_for_each_label():
    loss, model = of(DecoderJacobian(samples=None)), LABELLED.clone(shape=(4, 4, 1))
    part = Examples(jnp.asarray(np.random.default_rng(0).random((3, 4, 4, 1)), jnp.float32), jnp.asarray([0, 1, 2]))
    variables = init(model, loss, part)

    def measured(model, part):
        forward = loss.forward(model, part)
        return loss.terms["term"](forward), forward.code

    (values, code), _ = compiled.apply(measured, model, variables, KEYS, part)
    whole, _ = jacobians(model, variables, code, part.label)
    np.testing.assert_allclose(values, np.square(whole).sum(axis=(1, 2)), rtol=1e-4)
    others, _ = jacobians(model, variables, code, part.label + 1)
    assert not np.allclose(whole, others, rtol=0.01)


def test_lengths_of_codes_and_weights_of_the_decoder():
    model, variables, part = built(loss := of(CodeL2()), DEEP)
    code = _codes(model, variables, part)
    values = values_of(loss, model, variables, part)["term_nats"]
    np.testing.assert_allclose(values, np.square(code).sum(axis=1) / 2, rtol=1e-5)
    weights = jax.tree.leaves(variables["params"]["decoder"])
    expected = sum(np.square(leaf).sum() / 2 for leaf in weights if leaf.ndim > 1)
    values = values_of(of(WeightL2(of="decoder")), model, variables, part)["term_nats"]
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert (values < values_of(of(WeightL2()), model, variables, part)["term_nats"]).all()


def test_what_has_no_meaning_is_refused():
    with pytest.raises(InputError, match=r"DecoderJacobian.samples is 0: give at least 1"):
        built(of(DecoderJacobian(samples=0)), DEEP)
    with pytest.raises(InputError, match="the decoder has no weights of its own to penalise"):
        built(of(WeightL2(of="decoder")), TiedAutoencoder(latent=Plain(3)))
