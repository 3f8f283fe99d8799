import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import core
from aejax.core import SGD, Adam, Examples, as_arrays
from aejax.losses import (
    GECO,
    KL,
    L0,
    CodeL1,
    GateDecoding,
    GateL1,
    Gaussian,
    Loss,
    Reconstruction,
    StepL0,
    TargetL0,
    Term,
)
from aejax.models import (
    Autoencoder,
    Dictionary,
    Gated,
    GaussianLatent,
    JumpReLU,
    MLPDecoder,
    MLPEncoder,
    Plain,
    Rectified,
    UnitNormDecoder,
    VariationalAutoencoder,
)

KEY = jax.random.key(0)
VAE = VariationalAutoencoder(MLPEncoder(), GaussianLatent(2), MLPDecoder(), shape=(6,))
PLAIN = Autoencoder(MLPEncoder(), Plain(4, "relu"), MLPDecoder(), (6,))
X = jnp.asarray(np.random.default_rng(0).normal(size=(8, 6)), jnp.float32)
HELD = GECO(term=Reconstruction(monitored=True), target=6.0, decay=0.8, rate=0.05)


def steps(model, terms, count=5):
    """The states, and the metrics, of some steps on one batch."""
    loss, optimizer = as_arrays((Loss(Gaussian(), terms), SGD(1e-3, horizon=100.0)))
    state = jax.jit(core.init, static_argnums=0)(model, loss, optimizer, Examples(X[:1]), KEY)
    advance = jax.jit(core.step, static_argnums=0)
    states, metrics = [state], []
    for _ in range(count):
        state, values = advance(model, loss, optimizer, state, Examples(X), KEY)
        states.append(state)
        metrics.append({name: float(mean.sum / mean.count) for name, mean in values.items()})
    return states, metrics


@pytest.mark.slow
def test_the_multiplier_follows_algorithm_1_of_taming_vaes():
    states, metrics = steps(VAE, {"error": HELD, "kl": KL()})
    multiplier, average = 1.0, None
    for state, values in zip(states[1:], metrics, strict=True):
        away = values["error_nats"] - 6.0
        assert values["loss_nats"] == pytest.approx(values["kl_nats"] + multiplier * away, rel=1e-5)
        average = away if average is None else 0.8 * average + 0.2 * away
        multiplier *= np.exp(0.05 * average)
        np.testing.assert_allclose(state.collections["loss"]["error"], (multiplier, average), rtol=1e-5)
        assert values["error_multiplier"] == pytest.approx(multiplier, rel=1e-5)
    assert multiplier > 1.1


def test_the_gradient_is_that_of_the_term_times_the_multiplier_before_the_step():
    held, _ = steps(VAE, {"error": HELD, "kl": KL()}, 1)
    free, _ = steps(VAE, {"error": Reconstruction(), "kl": KL()}, 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), held[1].params, free[1].params)


def test_evaluation_does_not_move_with_the_multiplier():
    states, _ = steps(VAE, {"error": HELD, "kl": KL()})
    loss = as_arrays(Loss(Gaussian(), {"error": HELD, "kl": KL()}))
    plain = as_arrays(Loss(Gaussian(), {"error": Reconstruction(), "kl": KL()}))
    keys = core.model_keys(KEY, 0)
    mine, theirs = (core.apply(each, VAE, states[-1].variables, keys, Examples(X))[0] for each in (loss, plain))
    np.testing.assert_allclose(mine["loss_nats"], theirs["loss_nats"], rtol=1e-6)


@core.configurable
class Explosive(Term):
    """Has an infinite gradient: that of a root at zero."""

    def __call__(self, forward):
        return jnp.sqrt(jnp.sum(0 * forward.code, axis=1))


def test_a_monitored_term_is_logged_and_its_gradient_is_exactly_zero():
    watched = {"watched": Explosive(monitored=True), "l1": CodeL1(monitored=True), "l0": L0()}
    alone, before = steps(PLAIN, {"reconstruction": Reconstruction()})
    beside, after = steps(PLAIN, {"reconstruction": Reconstruction(), **watched})
    jax.tree.map(np.testing.assert_array_equal, alone[-1].params, beside[-1].params)
    assert [values["loss_nats"] for values in before] == [values["loss_nats"] for values in after]
    assert set(after[0]) == {"loss_nats", "reconstruction_nats", "watched_nats", "l1_nats", "l0_units"}
    assert after[0]["l1_nats"] > 0
    assert 0 < after[0]["l0_units"] < 4
    exploding = dataclasses.replace(watched["watched"], monitored=False)
    states, _ = steps(PLAIN, {"reconstruction": Reconstruction(), "watched": exploding}, 1)
    assert not np.isfinite(states[-1].params["latent"]["code"]["kernel"]).all()


def test_a_term_that_is_only_logged_meets_nothing():
    assert Loss(terms={"kl": KL(monitored=True)}).meets == Loss().meets
    assert len(Loss(terms={"kl": KL()}).meets) == len(Loss(terms={}).meets) + 1


def test_a_target_for_l0_moves_the_weight_by_the_logarithm_of_how_far_it_is():
    held = TargetL0(0.5, term=CodeL1(), target=1.0, rate=0.2, damping=0.7)
    model = Autoencoder(MLPEncoder(), Rectified(12), MLPDecoder(), (6,))
    states, metrics = steps(model, {"error": Reconstruction(), "l1": held, "l0": L0()})
    added = 1.0
    for state, values in zip(states[1:], metrics, strict=True):
        factor = added * values["l0_units"] ** 0.7
        assert values["loss_nats"] == pytest.approx(values["error_nats"] + 0.5 * factor * values["l1_nats"], rel=1e-5)
        added *= values["l0_units"] ** 0.2
        np.testing.assert_allclose(state.collections["loss"]["l1"], (np.log(added), np.log(factor)), rtol=1e-4)
        assert values["l1_multiplier"] == pytest.approx(factor, rel=1e-5)
    assert added > 1.5
    loss, plain = (as_arrays(Loss(Gaussian(), {"l1": term})) for term in (held, CodeL1(0.5)))
    mine, theirs = (
        core.apply(each, model, states[-1].variables, core.model_keys(KEY, 0), Examples(X))[0] for each in (loss, plain)
    )
    np.testing.assert_allclose(mine["loss_nats"], theirs["loss_nats"], rtol=1e-6)


@pytest.mark.parametrize(
    ("latent", "term", "more"),
    [
        (Rectified(24), CodeL1(), {}),
        (JumpReLU(24, 0.1, 0.5), StepL0(), {}),
        (Gated(24), GateL1(), {"gates": GateDecoding()}),
    ],
    ids=["rectified", "jump-relu", "gated"],
)
@pytest.mark.parametrize("target", [1.5, pytest.param(3.0, marks=pytest.mark.slow)])
def test_the_target_is_reached_from_any_side_by_every_kind_of_unit(latent, term, more, target):
    model = Dictionary(latent=latent, decoder=UnitNormDecoder(length=0.5), shape=(6,))
    held = TargetL0(0.05, term=term, target=target, rate=0.05)
    settings = as_arrays(
        (Loss(Gaussian(), {"error": Reconstruction(), **more, "l": held, "l0": L0()}), Adam(0.01, horizon=1e3))
    )
    x = jnp.asarray(np.random.default_rng(1).normal(size=(64, 6)), jnp.float32)

    @jax.jit
    def trained(settings):
        state = core.init(model, *settings, Examples(x[:1]), KEY)
        return jax.lax.scan(lambda state, _: core.step(model, *settings, state, Examples(x), KEY), state, length=700)[1]

    active = trained(settings)["l0_units"]
    assert float(active.sum[-50:].sum() / active.count[-50:].sum()) == pytest.approx(target, rel=0.1)
