import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from aejax.core import Examples
from aejax.losses import Bernoulli, Gaussian, Loss, Reconstruction, WeightL2
from aejax.losses.likelihoods import GaussianLearnedScale
from aejax.models import Autoencoder, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, Plain
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("strict")
KEYS = {"latent": jax.random.key(1), "params": jax.random.key(0)}
MLP = Autoencoder(MLPEncoder((6,), "tanh"), Plain(3), MLPDecoder((6,), "tanh"))
CONV = Autoencoder(ConvEncoder((2,)), Plain(3), ConvDecoder((2,)))
TERMS = {"reconstruction": Reconstruction(), "decay": WeightL2()}


def built(loss, model=MLP, batch=5):
    """A model whose output fits the loss, its variables (biases too are not zero), and a batch."""
    model = model.clone(shape=loss.likelihood.raw_shape((4, 4, 1)))
    part = Examples(jnp.asarray(np.random.default_rng(0).uniform(0, 1, (batch, 4, 4, 1)), jnp.float32))
    return model, jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), init(model, loss, part)), part


@partial(jax.jit, static_argnums=0)
def init(model, loss, part):
    return compiled.init(lambda model, part: loss(model, part, True), model, KEYS, part)


@partial(jax.jit, static_argnums=1)
def values_of(loss, model, variables, part):
    return compiled.apply(loss, model, variables, KEYS, part, True)[0]


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(), GaussianLearnedScale()])
def test_every_term_s_mean_is_unchanged_when_the_batch_is_duplicated(likelihood):
    loss = Loss(likelihood, TERMS)
    model, variables, part = built(loss)
    once = values_of(loss, model, variables, part)
    twice = values_of(loss, model, variables, Examples(jnp.concatenate([part.x, part.x])))
    assert set(once) == {"loss_nats", "reconstruction_nats", "decay_nats"}
    for name, value in once.items():
        assert value.shape == (5,)
        np.testing.assert_allclose(twice[name].mean(), value.mean(), rtol=1e-6)


def test_the_loss_is_the_weighted_sum_of_its_terms():
    loss = Loss(Bernoulli(), {"reconstruction": Reconstruction(0.7), "decay": WeightL2(3.0)})
    values = values_of(loss, *built(loss))
    expected = 0.7 * values["reconstruction_nats"] + 3.0 * values["decay_nats"]
    np.testing.assert_allclose(values["loss_nats"], expected, rtol=1e-6)


def test_terms_are_logged_before_their_weight():
    light, heavy = Loss(Bernoulli(), {"decay": WeightL2(0.1)}), Loss(Bernoulli(), {"decay": WeightL2(10.0)})
    made = built(light)
    np.testing.assert_array_equal(values_of(light, *made)["decay_nats"], values_of(heavy, *made)["decay_nats"])


@partial(jax.jit, static_argnums=1)
def gradient(loss, model, variables, part):
    return jax.grad(lambda variables: values_of(loss, model, variables, part)["loss_nats"].mean())(variables)


def test_doubling_a_weight_doubles_its_part_of_the_gradient():
    def weighing(weight):
        return Loss(Bernoulli(), {"reconstruction": Reconstruction(), "decay": WeightL2(weight)})

    made = built(weighing(0.0))
    none, once, twice = (jax.device_get(gradient(weighing(weight), *made)) for weight in (0.0, 0.5, 1.0))
    part = jax.tree.map(np.subtract, once, none)
    assert max(abs(leaf).max() for leaf in jax.tree.leaves(part)) > 0.01
    jax.tree.map(
        lambda all_, base, half: np.testing.assert_allclose(all_ - base, 2 * half, rtol=1e-4, atol=1e-5),
        twice,
        none,
        part,
    )


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.3), GaussianLearnedScale()])
def test_pixels_are_summed_so_an_example_said_twice_costs_twice_the_nats(likelihood):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (3, 2, 4, 1))
    raw = rng.normal(size=(3, *likelihood.raw_shape((2, 4, 1))))
    log_prob = jax.jit(likelihood.log_prob)
    twice = log_prob(np.concatenate([x, x], axis=1), np.concatenate([raw, raw], axis=1))
    np.testing.assert_allclose(twice, 2 * np.asarray(log_prob(x, raw)), rtol=1e-6)


@pytest.mark.parametrize("model", [MLP, CONV])
def test_weight_l2_is_half_the_sum_of_squared_kernels_and_counts_no_biases(model):
    loss = Loss(Bernoulli(), {"decay": WeightL2()})
    made = built(loss, model)
    leaves = flatten_dict(made[1]["params"], sep="/")
    kernels = [np.asarray(leaf, np.float64) for name, leaf in leaves.items() if name.endswith("kernel")]
    assert len(kernels) == len(leaves) / 2
    expected = 0.5 * sum((kernel**2).sum() for kernel in kernels)
    np.testing.assert_allclose(values_of(loss, *made)["decay_nats"], np.full(5, expected), rtol=1e-6)


@partial(jax.jit, static_argnums=0)
def decoded(model, variables, part):
    return compiled.apply(lambda model: model.decode(model.encode(part).mean, part), model, variables, {})[0]


def test_reconstruction_is_the_negative_log_likelihood_of_what_is_decoded():
    loss = Loss(Gaussian(0.5))
    model, variables, part = built(loss)
    expected = -np.asarray(jax.jit(loss.likelihood.log_prob)(part.x, decoded(model, variables, part)))
    np.testing.assert_allclose(values_of(loss, model, variables, part)["reconstruction_nats"], expected, rtol=1e-6)


def test_a_loss_s_numbers_are_leaves_and_its_terms_are_structure():
    loss = Loss(Gaussian(0.5), {"reconstruction": Reconstruction(2.0), "decay": WeightL2(3.0)})
    assert sorted(jax.tree.leaves(loss)) == [0.0, 0.0, 0.5, 2.0, 3.0]  # the zeros are warm-ups
    other = dataclasses.replace(loss, terms={"reconstruction": Reconstruction()})
    assert jax.tree.structure(loss) != jax.tree.structure(other)


def test_no_term_can_take_the_place_of_the_total():
    with pytest.raises(ValueError, match="loss"):
        values_of(loss := Loss(Bernoulli(), {"loss": WeightL2(0.5)}), *built(loss))
