import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import Examples, InputError
from aejax.losses import Bernoulli, ContractiveLayer, GaussianNoise, Loss, Reconstruction
from aejax.losses.contractive import Contractive
from aejax.models import (
    Autoencoder,
    ConditionalAutoencoder,
    ConvDecoder,
    ConvEncoder,
    GaussianLatent,
    MLPDecoder,
    MLPEncoder,
    Plain,
)
from tests.helpers import compiled
from tests.losses.test_loss import built, gradient, init, values_of

KEYS = {"latent": jax.random.key(1), "corruption": jax.random.key(2), "dropout": jax.random.key(3)}
DEEP = Autoencoder(MLPEncoder((6,), "tanh"), Plain(3, "sigmoid"), MLPDecoder())
CONV = Autoencoder(ConvEncoder((2,), activation="tanh"), Plain(3), ConvDecoder((2,)))
NORMED = Autoencoder(MLPEncoder((6,), "tanh", "batch", 0.5), Plain(3), MLPDecoder())
LAYERS = [Autoencoder(MLPEncoder(), Plain(3, name), MLPDecoder()) for name in ("sigmoid", "tanh", "linear")]


def contractive(term):
    return Loss(Bernoulli(), {"contractive": term})


@partial(jax.jit, static_argnums=0)
def by_jacobian(model, variables, x, label=None):
    """sum_ij (dz_i / dx_j)^2 of each example, by JAX's whole Jacobian."""

    def code(x, label):
        one = jax.tree.map(lambda leaf: leaf[None], Examples(x, label))
        return compiled.apply(lambda model: model.encode(one).mean, model, variables, {})[0][0]

    return jax.vmap(lambda *one: jnp.sum(jnp.square(jax.jacrev(code)(*one))))(x, label)


@pytest.mark.parametrize("model", [DEEP, CONV, NORMED], ids=["deep", "conv", "normalised"])
def test_the_exact_norm_is_that_of_the_jacobian(model):
    loss = contractive(Contractive(samples=None))
    model, variables, part = built(loss, model)
    values, collections = compiled.apply(loss, model, variables, KEYS, part, True, mutable=True)
    # A batch's statistics have joined the running averages by the time that the term is asked.
    expected = by_jacobian(model, {"params": variables["params"], **collections}, part.x)
    np.testing.assert_allclose(values["contractive_nats"], expected, rtol=1e-5)


@pytest.mark.parametrize("model", LAYERS, ids=lambda model: model.latent.activation)
def test_the_closed_form_of_one_layer_is_that_of_the_jacobian(model):
    model, variables, part = built(loss := contractive(ContractiveLayer()), model)
    values = values_of(loss, model, variables, part)["contractive_nats"]
    np.testing.assert_allclose(values, by_jacobian(model, variables, part.x), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("term", "model"),
    [
        (Contractive(samples=None), ConditionalAutoencoder(MLPEncoder((6,), "tanh"), GaussianLatent(3), MLPDecoder())),
        (ContractiveLayer(), ConditionalAutoencoder(MLPEncoder(), Plain(3, "tanh"), MLPDecoder())),
    ],
    ids=["exact", "closed form"],
)
def test_a_conditional_model_s_code_is_differentiated_by_the_example_alone(term, model):
    _, _, part = built(loss := contractive(term), LAYERS[0])
    model, part = model.clone(shape=(4, 4, 1), classes=3), dataclasses.replace(part, label=jnp.arange(5) % 3)
    variables = init(model, loss, part)
    got = values_of(loss, model, variables, part)["contractive_nats"]
    np.testing.assert_allclose(got, by_jacobian(model, variables, part.x, part.label), rtol=1e-5)


@pytest.mark.slow
def test_the_estimate_is_unbiased_and_fresh_for_every_key():
    one, many = contractive(Contractive()), contractive(Contractive(samples=4000))
    model, variables, part = built(one, DEEP)
    exact = by_jacobian(model, variables, part.x)
    estimates = values_of(many, model, variables, part)["contractive_nats"]
    single = values_of(one, model, variables, part)["contractive_nats"]
    np.testing.assert_allclose(estimates, exact, rtol=0.05)
    other = compiled.apply(one, model, variables, {**KEYS, "latent": jax.random.key(9)}, part)[0]["contractive_nats"]
    assert not np.allclose(single, exact, rtol=1e-3)
    assert not np.allclose(single, other, rtol=1e-3)


def test_its_gradient_is_that_of_the_closed_form():
    gradients = []
    for term in (Contractive(samples=None), ContractiveLayer()):
        made = built(loss := contractive(term), LAYERS[0])
        gradients.append(gradient(loss, *made))
    assert max(abs(leaf).max() for leaf in jax.tree.leaves(gradients[0])) > 1e-3
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), *gradients)


@pytest.mark.slow
def test_the_gradient_goes_through_convolutions():
    made = built(loss := contractive(Contractive()), CONV)
    slopes = gradient(loss, *made)["params"]["encoder"]["Convolution_0"]["kernel"]
    assert np.isfinite(slopes).all()
    assert abs(slopes).max() > 0


@pytest.mark.parametrize("term", [Contractive(samples=None), ContractiveLayer()], ids=["exact", "closed form"])
def test_it_is_taken_at_what_the_encoder_saw_and_kept_when_the_batch_is_duplicated(term):
    model, variables, part = built(loss := contractive(term), LAYERS[0])
    once = values_of(loss, model, variables, part)["contractive_nats"]
    twice = values_of(loss, model, variables, Examples(jnp.concatenate([part.x, part.x])))["contractive_nats"]
    np.testing.assert_allclose(twice.mean(), once.mean(), rtol=1e-5)
    noisy = dataclasses.replace(loss, corruption=GaussianNoise(1.0))
    values = compiled.apply(noisy, model, variables, KEYS, part)[0]["contractive_nats"]
    assert not np.allclose(values, once, rtol=1e-3)


def test_a_batch_s_statistics_are_updated_once_with_a_contractive_term():
    with_term = Loss(Bernoulli(), {"reconstruction": Reconstruction(), "contractive": Contractive()})
    model, variables, part = built(with_term, NORMED)
    updated = [
        compiled.apply(loss, model, variables, KEYS, part, True, mutable=True)[1] for loss in (with_term, Loss())
    ]
    jax.tree.map(np.testing.assert_array_equal, *updated)


@pytest.mark.parametrize(
    ("term", "model", "message"),
    [
        (Contractive(samples=0), DEEP, "samples is 0"),
        (ContractiveLayer(), DEEP, "without layers of its own, which MLPEncoder does not"),
        (ContractiveLayer(), CONV, "which ConvEncoder does not have: .* or Contractive"),
    ],
)
def test_what_cannot_be_computed_is_refused(term, model, message):
    with pytest.raises(InputError, match=message):
        built(contractive(term), model)
