"""Dictionaries against losses written out densely, in the published form: f of any scale, rows of any length."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import core
from aejax.core import SGD, Adam, Examples, InputError, as_arrays
from aejax.losses import (
    L0,
    AuxK,
    CodeL1,
    DeadPreActivation,
    GateDecoding,
    GateL1,
    Gaussian,
    Loss,
    Matryoshka,
    QuadraticL0,
    Reconstruction,
    StepL0,
    TanhL0,
)
from aejax.models import BatchTopK, Dictionary, ExactTopK, Gated, JumpReLU, Rectified, UnitNormDecoder

KEY = jax.random.key(0)
B, D, N, K, WIDTH = 8, 6, 12, 3, 0.5
X = jnp.asarray(np.random.default_rng(0).normal(size=(B, D)), jnp.float32)
SQUARED = Gaussian(0.5**0.5)
CONSTANT = D / 2 * np.log(np.pi)
"""What the negative log-likelihood of `SQUARED` has beside the squared error."""
FREE = UnitNormDecoder()
sg = jax.lax.stop_gradient


def squared(p, x, f):
    return jnp.sum(jnp.square(x - f @ p["W_dec"] - p["b_dec"]), axis=1)


def encoded(p, x):
    return (x - p["b_dec"]) @ p["W_enc"] + p["b_enc"], jnp.sqrt(jnp.sum(p["W_dec"] ** 2, axis=1))


def among_largest(values, k):
    """Where a value is one of the k largest of its row, by ranks."""
    return jnp.argsort(jnp.argsort(-values, axis=1), axis=1) < k


def standard(p, x, dead):
    z, length = encoded(p, x)
    f = jax.nn.relu(z)
    return squared(p, x, f) + 0.3 * (f * length).sum(axis=1) + 0.2 * jnp.tanh(4 * f * length).sum(axis=1)


def top_k(p, x, dead, k_aux=D // 2):
    z, length = encoded(p, x)
    f = jax.nn.relu(z) * among_largest(z * length, K)
    error = sg(x - f @ p["W_dec"] - p["b_dec"])
    revived = z * (among_largest(jnp.where(dead, z * length, -jnp.inf), k_aux) & dead)
    aux = jnp.sum(jnp.square(revived @ p["W_dec"] - error), axis=1) * jnp.minimum(dead.sum() / k_aux, 1)
    return squared(p, x, f) + aux


def gao(p, x, dead):
    z, length = encoded(p, x)
    f = jax.nn.relu(z) * among_largest(z * length, K)
    error = sg(x - f @ p["W_dec"] - p["b_dec"])
    revived = z * (among_largest(jnp.where(dead, z * length, -jnp.inf), 2) & dead)
    whole = jnp.square(error - error.mean(axis=0)).sum() / B
    return squared(p, x, f) + jnp.sum(jnp.square(revived @ p["W_dec"] - error), axis=1) / whole / 32


def batch_top_k(p, x, dead):
    z, length = encoded(p, x)
    strong = jax.nn.relu(z) * length
    f = jax.nn.relu(z) * (strong >= jnp.sort(strong.reshape(-1))[-K * B])
    return squared(p, x, f) + sum(squared(p, x, f * (jnp.arange(N) < m)) for m in (3, 6))


def threshold_gradient(value, slope, theta):
    """The value, whose gradient by the threshold is the slope."""
    return value + sg(slope) * (theta - sg(theta))


def jump_relu(p, x, dead):
    z, length = encoded(p, x)
    pre, theta = z * length, p["threshold"]
    near = 1.0 * (jnp.abs(pre - theta) < WIDTH / 2)
    code = threshold_gradient(jnp.where(pre > theta, pre, 0), -theta / WIDTH * near, theta)
    active = threshold_gradient((sg(pre) > sg(theta)) * 1.0, -near / WIDTH, theta).sum(axis=1)
    behind = jnp.where(dead, jax.nn.relu(theta - pre), 0).sum(axis=1)
    return squared(p, x, code / length) + 0.4 * active + 0.1 * 2 / 3 * (active - 3) ** 2 + 0.7 * behind


def gated(p, x, dead):
    gate, length = encoded(p, x)
    magnitude = (x - p["b_dec"]) @ (p["W_enc"] * jnp.exp(p["log_scale"])) + p["magnitude_bias"]
    f = (gate > 0) * jax.nn.relu(magnitude)
    still = {**p, "W_dec": sg(p["W_dec"]), "b_dec": sg(p["b_dec"])}
    aux = jnp.sum(jnp.square(x - jax.nn.relu(gate) @ still["W_dec"] - still["b_dec"]), axis=1)
    return squared(p, x, f) + 0.3 * (jax.nn.relu(gate) * length).sum(axis=1) + aux


def crosscoder(p, x, dead):
    """Two layers of three values, with an encoder and a decoder each."""
    layers, up, down = x.reshape(B, 2, 3), p["W_enc"].reshape(2, 3, N), p["W_dec"].reshape(N, 2, 3)
    z = jnp.einsum("blv,lvn->bn", layers, up) + p["b_enc"]
    length = jnp.sqrt((down**2).sum(axis=2)).sum(axis=1)
    f = jax.nn.relu(z) * among_largest(z * length, K)
    error = layers - jnp.einsum("bn,nlv->blv", f, down) - p["b_dec"].reshape(2, 3)
    return jnp.square(error).sum(axis=(1, 2)) + 0.3 * (f * length).sum(axis=1)


ERROR = {"error": Reconstruction()}
MATRYOSHKA = ERROR | {"prefixes": Matryoshka(shares=(0.25, 0.5))}
JUMPS = ERROR | {
    "l0": StepL0(0.4),
    "quadratic": QuadraticL0(0.1, target=3.0),
    "dead": DeadPreActivation(0.7, window=100.0),
}
VARIANTS = {
    "standard": (standard, Rectified(N), ERROR | {"l1": CodeL1(0.3), "tanh": TanhL0(0.2)}, 1),
    "top-k": (top_k, ExactTopK(N, K), ERROR | {"aux": AuxK(window=100.0)}, 1),
    "gao": (gao, ExactTopK(N, K), ERROR | {"aux": AuxK(1 / 32, window=100.0, k=2, normaliser="variance")}, 1),
    "batch-top-k": (batch_top_k, BatchTopK(N, K), MATRYOSHKA, 3),
    "jump-relu": (jump_relu, JumpReLU(N, 0.3, WIDTH), JUMPS, 1),
    "gated": (gated, Gated(N), ERROR | {"l1": GateL1(0.3), "gates": GateDecoding()}, 2),
    "crosscoder": (crosscoder, ExactTopK(N, K), ERROR | {"l1": CodeL1(0.3)}, 1),
}
"""The loss written out, the latent, the terms, and how many errors with a constant they add up."""


def built(latent, terms, decoder=FREE, **settings):
    model, loss = Dictionary(latent=latent, decoder=decoder, shape=(D,), **settings), Loss(SQUARED, terms)
    loss, optimizer = as_arrays((loss, SGD(0.1, horizon=9.0)))
    state = jax.jit(core.init, static_argnums=0)(model, loss, optimizer, Examples(X[:1]), KEY)
    return model, loss, optimizer, state


def randomised(tree, seed=1):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.5, leaf.shape), jnp.float32), tree)


def published(params):
    """The parameters by their names in publications."""
    code, out = params["latent"]["code"], params["decoder"]["out"]
    more = {name: value for name, value in params["latent"].items() if name != "code"}
    return {"W_enc": code["kernel"], "b_enc": code["bias"], "W_dec": out["kernel"], "b_dec": out["bias"], **more}


@pytest.mark.parametrize("name", VARIANTS)
def test_losses_and_gradients_are_those_written_out(name):
    reference, latent, terms, constants = VARIANTS[name]
    crosses = {"decoder": UnitNormDecoder(parts=2), "subtract": False} if name == "crosscoder" else {}
    model, loss, _, state = built(latent, terms, **crosses)
    params = randomised(state.params)
    if "threshold" in params["latent"]:
        params["latent"]["threshold"] = jnp.abs(params["latent"]["threshold"])
    dead = jnp.arange(N) % 3 == 0
    silent = {"loss": {name: jnp.where(dead, 100, 99) for name in terms if name in ("aux", "dead")}}

    def ours(params):
        variables = {"params": params, **state.collections, **silent}
        values, _ = core.apply(loss, model, variables, core.model_keys(KEY, 0), Examples(X), True, mutable=True)
        return values["loss_nats"].mean() - constants * CONSTANT

    theirs = lambda params: reference(published(params), X, dead).mean()  # noqa: E731
    with jax.numpy_rank_promotion("allow"):
        expected, slopes = jax.jit(jax.value_and_grad(theirs))(params)
    value, gradient = jax.jit(jax.value_and_grad(ours))(params)
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-5), gradient, slopes)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(slopes))


def advanced(setup, batches):
    """The states after steps on the batches, and the metrics of each."""
    model, loss, optimizer, state = setup
    step = jax.jit(core.step, static_argnums=0)
    states, rows = [], []
    for batch in batches:
        state, metrics = step(model, loss, optimizer, state, Examples(batch), KEY)
        states.append(state)
        rows.append({name: float(mean.sum / mean.count) for name, mean in metrics.items()})
    return states, rows


@partial(jax.jit, static_argnums=(0, 1))
def _encode(model, train, variables, x):
    return core.apply(lambda model, x: model.encode(Examples(x), train).mean, model, variables, {}, x, mutable=train)[0]


def encode(*args):
    return np.asarray(_encode(*args))


def test_units_are_dead_by_the_examples_since_they_were_active_counted_once_a_step():
    setup = built(ExactTopK(N, 1), ERROR | {"aux": AuxK(0.0, window=12.0)})
    batches = [X[:5], X[3:], X[:5], X[2:7]]
    states, rows = advanced((*setup[:2], as_arrays(SGD(1e-9, horizon=9.0)), setup[3]), batches)
    silent = np.zeros(N, int)
    for batch, state, row in zip(batches, states, rows, strict=True):
        code = encode(setup[0], False, state.variables, batch)
        silent = np.where((np.asarray(code) != 0).any(axis=0), 0, silent + len(batch))
        np.testing.assert_array_equal(state.collections["loss"]["aux"], silent)
        assert row["aux_dead_units"] == (silent >= 12).sum()
    assert 0 < (silent >= 12).sum() < N


def test_no_dead_unit_adds_nothing_and_no_gradient():
    alone, beside = (
        advanced(built(ExactTopK(N, K), terms), [X])[0][-1].params
        for terms in (ERROR, ERROR | {"aux": AuxK(100.0, window=1e6)})
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), alone, beside)


@pytest.mark.slow
def test_aux_k_brings_dead_units_back():
    """Units whose pre-activations are below zero everywhere have no other gradient."""
    x = jnp.asarray(np.random.default_rng(2).normal(size=(64, D)), jnp.float32)

    def left(weight):
        setup = built(ExactTopK(N, 2), ERROR | {"aux": AuxK(weight, window=100.0)}, UnitNormDecoder(renormalise=True))
        model, loss, _, state = setup
        bias = jnp.where(jnp.arange(N) % 2 == 0, -3.0, 0.0)
        code = {**state.params["latent"]["code"], "bias": bias}
        state = dataclasses.replace(state, params={**state.params, "latent": {"code": code}})
        optimizer = as_arrays(Adam(0.03, horizon=200.0))
        state = dataclasses.replace(state, opt_state=optimizer.init(state.params))

        @jax.jit
        def trained(state):
            return jax.lax.scan(
                lambda state, _: core.step(model, loss, optimizer, state, Examples(x), KEY), state, length=200
            )

        dead = trained(state)[1]["aux_dead_units"]
        return float(dead.sum[-1] / dead.count[-1])

    assert left(0.0) >= N / 2
    assert left(1.0) < N / 2 - 1


def test_the_threshold_of_inference_is_a_running_mean_from_its_first_value():
    latent = BatchTopK(N, 2, decay=0.75)
    setup = built(latent, ERROR)
    model = setup[0]
    assert setup[3].collections["running"]["latent"]["threshold"] == 0
    states, _ = advanced((*setup[:2], as_arrays(SGD(1e-9, horizon=9.0)), setup[3]), [X, X[::-1] / 2, X[:4]])
    mean = None
    for batch, state in zip([X, X / 2, X[:4]], states, strict=True):
        code = encode(model, True, state.variables, batch)
        least = float(code[code > 0].min())
        assert (code > 0).sum() == 2 * len(batch)
        mean = least if mean is None else 0.75 * mean + 0.25 * least
        assert float(state.collections["running"]["latent"]["threshold"]) == pytest.approx(mean, rel=1e-5)
    held = encode(model, False, states[-1].variables, X)
    assert (held[held > 0] > mean).all()
    assert (held > 0).any()


def test_thresholds_stay_at_or_above_zero():
    states, _ = advanced(built(JumpReLU(N, 1e-3, 2.0), ERROR | {"l0": StepL0(-3.0)}), [X, X])
    assert (states[-1].params["latent"]["threshold"] == 0).any()
    assert (states[-1].params["latent"]["threshold"] >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_without_lengths_unit_rows_give_the_same_and_stay_units(name):
    """With rows of length 1 both forms are one, and training keeps them there."""
    _, latent, terms, _ = VARIANTS[name]
    held = built(latent, terms, UnitNormDecoder(renormalise=True))
    free = built(latent, terms, FREE)
    rows = [
        advanced((*setup[:3], dataclasses.replace(setup[3], params=held[3].params)), [X])[1][0]
        for setup in (held, free)
    ]
    assert rows[0] == pytest.approx(rows[1], rel=1e-5, abs=1e-5)
    after = advanced(held, [X, X])[0][-1].params["decoder"]["out"]["kernel"]
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, rtol=1e-6)


def test_the_encoder_begins_as_the_decoder_and_rows_with_their_length():
    params = built(ExactTopK(N, K), ERROR, UnitNormDecoder(length=0.1))[3].params
    rows = params["decoder"]["out"]["kernel"]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 0.1, rtol=1e-6)
    np.testing.assert_array_equal(params["latent"]["code"]["kernel"], rows.T)
    drawn = built(ExactTopK(N, K), ERROR, tied_start=False)[3].params
    assert not np.array_equal(drawn["latent"]["code"]["kernel"], drawn["decoder"]["out"]["kernel"].T)


def test_codes_do_not_depend_on_the_lengths_of_rows_that_the_encoder_makes_up_for():
    """A unit of twice the row and half the activation is the same unit: no term tells them apart."""
    for name in ("standard", "top-k", "batch-top-k"):
        _, latent, terms, _ = VARIANTS[name]
        model, loss, optimizer, state = built(latent, terms)
        code, out = state.params["latent"]["code"], state.params["decoder"]["out"]
        factor = jnp.asarray(2.0 ** (np.arange(N) % 5 - 2), jnp.float32)
        other = {
            "latent": {"code": {"kernel": code["kernel"] / factor[None], "bias": code["bias"] / factor}},
            "decoder": {"out": {**out, "kernel": out["kernel"] * factor[:, None]}},
        }
        scaled = dataclasses.replace(state, params=other)
        one, two = (advanced((model, loss, optimizer, each), [X])[1][0] for each in (state, scaled))
        assert one == pytest.approx(two, rel=1e-5), name


@pytest.mark.slow
def test_half_precision_is_the_encoder_s_product_and_thresholds_and_losses_are_float32():
    terms = JUMPS | {"l0 count": L0()}
    full = built(JumpReLU(N, 0.1, WIDTH), terms)
    model = full[0].clone(precision="bfloat16")
    states, rows = advanced((model, *full[1:]), [X])
    kept = jax.tree.leaves((states[-1].params, states[-1].collections))
    assert all(leaf.dtype in (jnp.float32, jnp.int32) for leaf in kept)
    program = str(jax.make_jaxpr(partial(_encode, model, False))(full[3].variables, X))
    assert "preferred_element_type=float32" in program
    assert "bf16[8,6]" in program
    assert "bf16[8,12]" not in program  # nothing after the product is rounded
    assert rows[0]["error_nats"] == pytest.approx(advanced(full, [X])[1][0]["error_nats"], rel=2e-2)


@pytest.mark.parametrize("shares", [(), (0.5, 0.25), (0.5, 0.5), (0.0,), (1.0,)])
def test_shares_that_are_no_prefixes_are_refused(shares):
    with pytest.raises(InputError, match=r"Matryoshka has shares=.*: give ascending ones"):
        built(ExactTopK(N, K), ERROR | {"prefixes": Matryoshka(shares=shares)})


@pytest.mark.parametrize("latent", [ExactTopK(N, 0), ExactTopK(N, 13), BatchTopK(N, 13), BatchTopK(N, 2, 1.0)])
def test_settings_of_units_that_have_no_meaning_are_refused(latent):
    with pytest.raises(InputError, match=type(latent).__name__):
        built(latent, ERROR)


def test_hidden_layers_leave_nothing_to_subtract_from():
    from aejax.models import MLPEncoder

    with pytest.raises(InputError, match="behind hidden layers a Dictionary cannot subtract"):
        built(ExactTopK(N, K), ERROR, encoder=MLPEncoder((4,)))
