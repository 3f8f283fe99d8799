from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import rel_entr

from aejax.core import Examples, InputError, unseen
from aejax.losses import CodeL1, Gaussian, KLSparsity, Loss, Reconstruction, SigmoidGaussian, WeightL2
from aejax.losses.terms import Forward
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, require
from aejax.models.distributions import Point
from aejax.models.sparse import UnitNormDecoder
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
KEYS = {name: jax.random.key(0) for name in ("params", "corruption", "latent")}
RNG = np.random.default_rng(0)
TERMS = [CodeL1(), KLSparsity(rho=0.2)]
CODE = jnp.asarray(RNG.uniform(0.05, 0.95, (6, 4)), jnp.float32)


def forward(code, activation="sigmoid"):
    """A forward pass that ended in this code."""
    batch = Examples(jnp.zeros((len(code), 3)))
    model = SimpleNamespace(latent=Plain(4, activation))
    return Forward(model, batch, batch, Point(code), code, batch.x, Gaussian())


def divergence(rho, means):
    return (rel_entr(rho, means) + rel_entr(1 - rho, 1 - means)).sum()


def test_l1_is_the_sum_of_magnitudes_of_each_code():
    code = jnp.asarray([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(CodeL1()(forward(code)), [3.0, 0.0])


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 0.99), st.integers(1, 7))
def test_kl_is_the_divergence_of_the_batch_s_mean_activations_summed_over_units(rho, batch):
    code = np.random.default_rng(batch).uniform(0.01, 0.99, (batch, 4)).astype(np.float32)
    value = KLSparsity(rho=rho)(forward(jnp.asarray(code)))
    expected = divergence(np.float64(rho), code.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(value, np.full(batch, expected), rtol=1e-4, atol=1e-5)


def test_kl_is_zero_where_every_unit_is_active_as_often_as_asked():
    assert abs(KLSparsity(rho=0.3)(forward(jnp.full((5, 4), 0.3)))).max() < 1e-6
    assert KLSparsity(rho=0.3)(forward(jnp.full((5, 4), 0.4)))[0] > 0.01


@pytest.mark.parametrize("term", TERMS)
def test_the_mean_is_unchanged_when_the_batch_is_duplicated(term):
    once, twice = term(forward(CODE)), term(forward(jnp.concatenate([CODE, CODE])))
    assert once.shape == (6,)
    np.testing.assert_allclose(twice.mean(), once.mean(), rtol=1e-6)


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_and_gradient_are_finite_where_all_codes_are_at_an_end(term, value):
    total, gradient = jax.value_and_grad(lambda code: term(forward(code)).mean())(jnp.full((3, 4), value))
    assert np.isfinite(total)
    assert np.isfinite(gradient).all()


def test_the_gradient_of_kl_moves_every_unit_to_the_target():
    gradient = jax.grad(lambda code: KLSparsity(rho=0.5)(forward(code)).mean())(CODE)
    np.testing.assert_array_equal(np.sign(gradient[0]), np.sign(CODE.mean(axis=0) - 0.5))


def test_kl_refuses_codes_that_are_no_probabilities():
    with pytest.raises(InputError, match=r"KLSparsity needs codes between 0 and 1, which Plain does not .*sigmoid"):
        require(KLSparsity(), Autoencoder(MLPEncoder(), Plain(4, "relu"), MLPDecoder()))


def built(rng, loss, decoder):
    model = Autoencoder(MLPEncoder(), Plain(4, "sigmoid"), decoder, (2, 2, 1))
    part = Examples(jnp.asarray(rng.uniform(0, 1, (5, 2, 2, 1)), jnp.float32))
    return model, compiled.init(loss, model, KEYS, part), part


def test_the_loss_is_ufldl_s_cost_plus_the_gaussian_s_constant(rng):
    terms = {"reconstruction": Reconstruction(), "sparsity": KLSparsity(3.0, 0.1), "decay": WeightL2(3e-3)}
    loss = Loss(SigmoidGaussian(), terms)
    model, variables, part = built(rng, loss, MLPDecoder())
    total = compiled.apply(loss, model, variables, KEYS, part)[0]["loss_nats"].mean()
    layers = variables["params"]["latent"]["code"], variables["params"]["decoder"]["out"]
    (w1, b1), (w2, b2) = ((np.asarray(p["kernel"], float), np.asarray(p["bias"], float)) for p in layers)
    x = np.asarray(part.x, float).reshape(5, -1)
    code = 1 / (1 + np.exp(-(x @ w1 + b1)))
    error = 0.5 * np.square(1 / (1 + np.exp(-(code @ w2 + b2))) - x).sum(axis=1).mean()
    decay = 3e-3 / 2 * (np.square(w1).sum() + np.square(w2).sum())
    cost = error + decay + 3.0 * divergence(0.1, code.mean(axis=0))
    np.testing.assert_allclose(total, cost + 4 * 0.5 * np.log(2 * np.pi), rtol=1e-5)


def test_l1_is_gamed_by_growing_a_free_decoder_and_not_by_growing_one_of_unit_norm(rng):
    # Half the code and twice the kernel: with a free decoder the same output at half the L1.
    loss = Loss(Gaussian(), {"l1": CodeL1()})
    code = jnp.asarray(rng.uniform(0.1, 1, (5, 4)), jnp.float32)
    same = {}
    for decoder in (MLPDecoder(), UnitNormDecoder()):
        model, variables, _ = built(rng, loss, decoder)
        grown = jax.tree.map(lambda leaf: 2 * leaf, variables)
        decoded, gamed = (
            compiled.apply(lambda model, z: model.decode(z, unseen(len(z))), model, params, {}, z)[0]
            for params, z in ((variables, code), (grown, code / 2))
        )
        same[type(decoder)] = bool(np.allclose(decoded, gamed, rtol=1e-5))
    assert same == {MLPDecoder: True, UnitNormDecoder: False}
