import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logsumexp

from aejax.core import Examples, InputError
from aejax.losses import Bernoulli, ContrastiveDivergence, FreeEnergy, Gaussian, Loss, Reconstruction
from aejax.losses.rbm import RBM, free_energy, gibbs
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain, TiedAutoencoder
from tests.losses.test_loss import built, gradient, init, values_of

pytestmark = pytest.mark.usefixtures("strict")
VISIBLE, HIDDEN = 5, 4
STATES = np.array(list(itertools.product((0, 1), repeat=VISIBLE)), np.float64)
HIDDEN_STATES = np.array(list(itertools.product((0, 1), repeat=HIDDEN)), np.float64)
KINDS = {"sigmoid": False, "linear": True}
GRID = np.linspace(-9, 9, 121)


def drawn(linear, scale=0.7):
    rng = np.random.default_rng(0)
    parts = (rng.normal(0, scale, shape) for shape in ((VISIBLE, HIDDEN), (VISIBLE,), (HIDDEN,)))
    return RBM(*(jnp.asarray(part, jnp.float32) for part in parts), linear)


def log_unnormalised(rbm):
    """log sum_h exp(-E(v, h)) of every v: by enumeration, or on a grid, over each hidden unit."""
    kernel, visible, hidden = (np.asarray(part, np.float64) for part in (rbm.kernel, rbm.visible, rbm.hidden))
    given = STATES @ kernel
    if rbm.linear:
        # Hidden units are independent given v, so that the integral is a product of integrals.
        exponent = given[:, :, None] * GRID - 0.5 * (GRID - hidden[:, None]) ** 2
        summed = np.log(np.exp(exponent).sum(axis=2) * (GRID[1] - GRID[0])).sum(axis=1)
    else:
        summed = logsumexp(given @ HIDDEN_STATES.T + (HIDDEN_STATES @ hidden)[None], axis=1)
    return STATES @ visible + summed


def probabilities(rbm):
    """p(v) of every v, with the exact log-partition."""
    logs = log_unnormalised(rbm)
    return np.exp(logs - logsumexp(logs))


@pytest.mark.parametrize("linear", KINDS.values(), ids=KINDS)
def test_the_free_energy_and_its_log_partition_are_those_of_enumeration(linear):
    rbm = drawn(linear)
    free = np.asarray(free_energy(rbm, jnp.asarray(STATES, jnp.float32)), np.float64)
    np.testing.assert_allclose(-free, log_unnormalised(rbm), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logsumexp(-free), logsumexp(log_unnormalised(rbm)), rtol=1e-6)


@pytest.mark.parametrize("linear", KINDS.values(), ids=KINDS)
def test_gibbs_sampling_leaves_the_machine_s_own_distribution_as_it_is(linear):
    rbm = drawn(linear, 1.0)
    exact, count = probabilities(rbm), 40_000
    rng = np.random.default_rng(1)
    v = jnp.asarray(STATES[rng.choice(len(STATES), count, p=exact)], jnp.float32)
    for seed in range(3):
        v = jax.jit(gibbs)(rbm, v, jax.random.key(seed))
    seen = np.bincount(np.asarray(v, int) @ (2 ** np.arange(VISIBLE)[::-1]), minlength=len(STATES))
    assert (abs(seen - count * exact) < 5 * np.sqrt(count * exact) + 1).all()


def rbm_model(kind="sigmoid"):
    return TiedAutoencoder(MLPEncoder(), Plain(HIDDEN, kind), shape=(VISIBLE,))


def variables_of(rbm):
    code = {"kernel": rbm.kernel, "bias": rbm.hidden}
    return {"params": {"latent": {"code": code}, "decoder": {"out": {"bias": rbm.visible}}}}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sigmoid", "linear"])
def test_the_gradient_after_many_steps_is_that_of_the_exact_likelihood(kind):
    rbm = drawn(KINDS[kind], 0.4)
    data = jnp.asarray(np.random.default_rng(2).integers(0, 2, (3, VISIBLE)), jnp.float32)

    def log_likelihood(rbm):
        every = -free_energy(rbm, jnp.asarray(STATES, jnp.float32))
        return -(-free_energy(rbm, data)).mean() + jax.nn.logsumexp(every)

    exact = jax.grad(log_likelihood)(rbm)
    loss = Loss(Bernoulli(), {"cd": ContrastiveDivergence(steps=30)})
    many = Examples(jnp.tile(data, (6000, 1)))
    slopes = gradient(loss, rbm_model(kind), variables_of(rbm), many)["params"]
    np.testing.assert_allclose(slopes["latent"]["code"]["kernel"], exact.kernel, atol=0.03)
    np.testing.assert_allclose(slopes["latent"]["code"]["bias"], exact.hidden, atol=0.03)
    np.testing.assert_allclose(slopes["decoder"]["out"]["bias"], exact.visible, atol=0.03)
    assert min(abs(part).max() for part in (exact.kernel, exact.hidden, exact.visible)) > 0.08


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_gradient_of_k_steps_is_hinton_s_rule(steps):
    """<v h>_data - <v h>_reconstruction: with weights so large that the chain has no chance in it.

    Of these weights each further step leads elsewhere.
    """
    kernel = 60.0 * np.random.default_rng(36).choice([-1.0, 1.0], (VISIBLE, HIDDEN))
    rbm = RBM(jnp.asarray(kernel, jnp.float32), jnp.full(VISIBLE, 25.0), jnp.full(HIDDEN, -25.0))
    v = STATES[[3, 9, 20, 30]]
    h, back = expit(v @ kernel - 25), v
    for _ in range(steps):
        back = expit(expit(back @ kernel - 25) @ kernel.T + 25)
    h_back = expit(back @ kernel - 25)
    expected = -(v.T @ h - back.T @ h_back) / len(v)
    loss = Loss(Bernoulli(), {"cd": ContrastiveDivergence(steps=steps)})
    slopes = gradient(loss, rbm_model(), variables_of(rbm), Examples(jnp.asarray(v, jnp.float32)))["params"]
    np.testing.assert_allclose(slopes["latent"]["code"]["kernel"], expected, atol=1e-4)
    assert abs(expected).max() > 0.2


def test_the_reconstruction_beside_it_is_the_mean_field_one():
    rbm = drawn(False)
    part = Examples(jnp.asarray(STATES, jnp.float32))
    loss = Loss(Bernoulli(), {"free_energy": FreeEnergy(0.0), "reconstruction": Reconstruction(0.0)})
    values = values_of(loss, rbm_model(), variables_of(rbm), part)
    h = expit(STATES @ np.asarray(rbm.kernel) + np.asarray(rbm.hidden))
    p = expit(h @ np.asarray(rbm.kernel).T + np.asarray(rbm.visible))
    expected = -(STATES * np.log(p) + (1 - STATES) * np.log(1 - p)).sum(axis=1)
    np.testing.assert_allclose(values["reconstruction_nats"], expected, rtol=1e-4)
    np.testing.assert_allclose(values["free_energy_nats"], -log_unnormalised(rbm), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(values["loss_nats"], np.zeros(len(STATES)))


def test_terms_keep_their_mean_when_the_batch_is_duplicated():
    loss = Loss(Bernoulli(), {"free_energy": FreeEnergy(), "cd": ContrastiveDivergence()})
    model, variables, part = built(loss, TiedAutoencoder(latent=Plain(4, "sigmoid")))
    once = values_of(loss, model, variables, part)
    twice = values_of(loss, model, variables, Examples(jnp.concatenate([part.x, part.x])))
    np.testing.assert_allclose(twice["free_energy_nats"].mean(), once["free_energy_nats"].mean(), rtol=1e-6)
    assert twice["cd_nats"].shape == (10,)


NOT_RBMS = {
    "free weights": (Autoencoder(MLPEncoder(), Plain(3, "sigmoid"), MLPDecoder()), Bernoulli()),
    "two layers": (TiedAutoencoder(MLPEncoder((6,)), Plain(3, "sigmoid")), Bernoulli()),
    "rectified": (TiedAutoencoder(latent=Plain(3, "relu")), Bernoulli()),
    "normal visible units": (TiedAutoencoder(latent=Plain(3, "sigmoid")), Gaussian()),
}


@pytest.mark.parametrize(("model", "likelihood"), NOT_RBMS.values(), ids=NOT_RBMS)
def test_a_model_that_is_no_rbm_is_refused(model, likelihood):
    with pytest.raises(
        InputError, match=r"FreeEnergy needs .*(machine|zeros and ones), which \w+ does not have: use (Tied|Bern)"
    ):
        jax.eval_shape(
            partial(init, model.clone(shape=(5,)), Loss(likelihood, {"f": FreeEnergy()})), Examples(jnp.ones((2, 5)))
        )


def test_no_steps_are_refused():
    with pytest.raises(InputError, match="steps is 0"):
        built(Loss(Bernoulli(), {"cd": ContrastiveDivergence(steps=0)}), TiedAutoencoder(latent=Plain(4, "sigmoid")))
