"""The annealed norm: p falls as it says, the penalty does not jump, and the gradient is that of f^p."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import core
from aejax.core import SGD, Examples, InputError, as_arrays
from aejax.losses import AnnealedLp, Gaussian, Loss
from aejax.models import Dictionary, Rectified

X = jnp.asarray(np.random.default_rng(0).normal(size=(8, 5)), jnp.float32)
MODEL = Dictionary(latent=Rectified(12), shape=(5,))


def begun(**settings):
    loss, optimizer = as_arrays((Loss(Gaussian(), {"lp": AnnealedLp(0.3, **settings)}), SGD(0.0, horizon=9.0)))
    state = jax.jit(core.init, static_argnums=0)(MODEL, loss, optimizer, Examples(X[:1]), jax.random.key(0))
    return loss, optimizer, state


def code_of(state):
    return core.apply(lambda model: model.encode(Examples(X)).mean, MODEL, state.variables, {})[0]


def test_p_falls_in_steps_and_the_penalty_stays_as_it_was():
    loss, optimizer, state = begun(end=0.2, begin=3, every=2, updates=4)
    f = np.asarray(code_of(state))
    step = jax.jit(lambda state: core.step(MODEL, loss, optimizer, state, Examples(X), jax.random.key(0)))
    seen = []
    for _ in range(13):  # the parameters stay, as the rate is 0
        state, metrics = step(state)
        seen.append([float(metrics[name].sum) / 8 for name in ("lp_nats", "loss_nats", "lp_multiplier")])
    sums, losses, factors = np.asarray(seen).T
    p = [1, 1, 1, 0.8, 0.8, 0.6, 0.6, 0.4, 0.4, 0.2, 0.2, 0.2, 0.2]
    expected = [np.where(f > 0, f, 0)[f > 0].__pow__(q).sum() / 8 for q in p]
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    np.testing.assert_allclose(losses, 0.3 * expected[0], rtol=1e-4)
    np.testing.assert_allclose(factors, expected[0] / np.asarray(expected), rtol=1e-4)


def test_the_gradient_is_that_of_the_power_and_none_at_zero():
    loss, _, state = begun(end=0.5, begin=1, every=1, updates=1)
    out = state.params["decoder"]["out"]

    def total(params):
        variables = {"params": params, **state.collections}
        keys = {name: jax.random.key(0) for name in ("corruption", "latent")}
        step = jnp.asarray(5)
        values, _ = core.apply(loss, MODEL, variables, keys, Examples(X), True, step, mutable=True)
        return values["loss_nats"].sum()

    def written(params):
        kernel, bias = params["latent"]["code"]["kernel"], params["latent"]["code"]["bias"]
        length = jnp.linalg.norm(params["decoder"]["out"]["kernel"], axis=1)
        f = jax.nn.relu((X - params["decoder"]["out"]["bias"][None]) @ kernel + bias[None]) * length[None]
        return 0.3 * jnp.sum(jnp.where(f > 0, jnp.sqrt(jnp.where(f > 0, f, 1)), 0))

    assert out["kernel"].shape == (12, 5)
    ours, expected = (jax.jit(jax.grad(function))(state.params) for function in (total, written))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, expected)


@pytest.mark.parametrize("settings", [{"begin": 0}, {"every": 0}, {"updates": 0}])
def test_steps_that_are_none_are_refused(settings):
    with pytest.raises(InputError, match="AnnealedLp has"):
        begun(**settings)
