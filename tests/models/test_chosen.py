"""Codes by the values of a few units: what they decode to and every gradient are those of the dense product."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import core
from aejax.core import SGD, Examples, as_arrays
from aejax.losses import AuxK, Gaussian, Loss, Matryoshka, Reconstruction
from aejax.models import (
    Active,
    BatchTopK,
    Chosen,
    Dictionary,
    ExactTopK,
    chosen,
    least_of_batch,
    shifted_product,
    sum_of_rows,
    top_indices,
    units,
)

RNG = np.random.default_rng(0)
B, D, N, K = 6, 5, 96, 3
CODE = Chosen(
    jnp.asarray(RNG.normal(size=(B, K)), jnp.float32),
    jnp.asarray(np.stack([RNG.permutation(7)[:K] for _ in range(B)]), jnp.int32),  # of 7 units: examples share them
    N,
)
ROWS = jnp.asarray(RNG.normal(size=(N, D)), jnp.float32)
WEIGHTS = jnp.asarray(RNG.normal(size=(B, D)), jnp.float32)


def test_the_sum_of_rows_and_its_gradients_are_those_of_the_product_with_all():
    def few(values, rows):
        made = sum_of_rows(values, CODE.columns, rows)
        return jnp.sum(jnp.tanh(made) * WEIGHTS), made

    def every(values, rows):
        made = Chosen(values, CODE.columns, N).dense() @ rows
        return jnp.sum(jnp.tanh(made) * WEIGHTS), made

    ours, dense = (jax.jit(jax.grad(f, (0, 1), has_aux=True))(CODE.values, ROWS) for f in (few, every))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), ours, dense)
    assert np.abs(ours[0][1][8:]).max() == 0  # rows of no example have no gradient


def test_members_of_a_population_decode_each_their_own():
    rows = jnp.stack([ROWS, 2 * ROWS])
    made = jax.vmap(sum_of_rows, (None, None, 0))(CODE.values, CODE.columns, rows)
    np.testing.assert_allclose(made[1], 2 * made[0], rtol=1e-6)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_active_units_decode_as_all_do_however_many_there_are(most):
    """Of the code's rows, one has three active units: two columns are too few, as is one, and four are enough."""
    code = jnp.zeros((B, N)).at[jnp.arange(B), jnp.arange(B)].set(1.5).at[2, 7:9].set(jnp.asarray([0.5, 2.0]))
    columns = top_indices(code, most)

    def made(by):
        def few(code, rows):
            out = by(code, rows)
            return jnp.sum(jnp.tanh(out) * WEIGHTS), out

        return jax.jit(jax.grad(few, (0, 1), has_aux=True))(code, ROWS)

    (of_code, of_rows), out = made(lambda code, rows: Active(code, columns).times(rows, "float32"))
    (expected, expected_rows), product = made(lambda code, rows: code @ rows)
    np.testing.assert_allclose(out, product, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_rows, expected_rows, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_code[code > 0], expected[code > 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("most", [1, 3, 9])
def test_the_least_of_a_batch_is_found_among_the_largest_of_each_row_or_else_among_all(rng, most):
    values = jax.nn.relu(jnp.asarray(rng.normal(size=(20, N)), jnp.float32)).at[3].multiply(9)  # one row has the most
    found = jax.vmap(lambda values: least_of_batch(values, 2, top_indices(values, most)))(
        jnp.stack([values, 0 * values])
    )
    assert found.tolist() == [np.sort(values, axis=None)[-40], np.inf]


@pytest.mark.slow
@pytest.mark.parametrize("outlier", [1, 9])
def test_a_step_of_batch_top_k_by_few_rows_is_the_step_by_all_of_them(rng, outlier, monkeypatch):
    """With an example that has most active units of the batch, and without one."""
    x = jnp.asarray(rng.normal(size=(16, D)), jnp.float32).at[3].multiply(outlier)
    terms = {"error": Reconstruction(), "prefixes": Matryoshka(), "aux": AuxK(window=50.0, k=2)}
    model = Dictionary(latent=BatchTopK(256, 2), shape=(D,))
    loss, optimizer = as_arrays((Loss(Gaussian(), terms), SGD(0.1, horizon=9.0)))
    made = []
    for worth in (24, 10**9):
        monkeypatch.setattr(units, "_WORTH", worth)
        jax.clear_caches()
        state = jax.jit(core.init, static_argnums=0)(model, loss, optimizer, Examples(x[:1]), jax.random.key(0))
        made.append(jax.jit(core.step, static_argnums=0)(model, loss, optimizer, state, Examples(x), jax.random.key(0)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *made)


def test_half_precision_is_added_up_in_float32():
    made = sum_of_rows(jnp.ones((1, 300), jnp.bfloat16), jnp.arange(300)[None], jnp.ones((300, 2)))
    np.testing.assert_array_equal(made, 300)  # bfloat16 would stay at 256
    assert made.dtype == jnp.float32


def test_the_shift_s_gradient_is_that_of_the_product(rng):
    x, shift, kernel = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((B, D), (D,), (D, 4)))
    weights = jnp.asarray(rng.normal(size=(B, 4)), jnp.float32)
    given = (x, shift, kernel)
    ours = jax.grad(lambda *g: jnp.sum(jnp.tanh(shifted_product(*g)) * weights), (0, 1, 2))(*given)
    plain = jax.grad(lambda x, b, w: jnp.sum(jnp.tanh((x - b[None]) @ w) * weights), (0, 1, 2))(*given)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), ours, plain)


@pytest.fixture(scope="module")
def setting():
    model = Dictionary(latent=ExactTopK(N, K), shape=(D,))
    loss = Loss(Gaussian(), {"error": Reconstruction(), "aux": AuxK(window=50.0, k=2)})
    loss, optimizer = as_arrays((loss, SGD(0.1, horizon=9.0)))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(8, D)), jnp.float32)
    state = jax.jit(core.init, static_argnums=0)(model, loss, optimizer, Examples(x[:1]), jax.random.key(0))
    silent = jnp.where(jnp.arange(N) % 2 == 0, 100, 0)
    state.collections["loss"]["aux"] = silent
    return model, loss, optimizer, state, x


@pytest.mark.parametrize(
    ("precision", "within"), [("float32", 1e-5), pytest.param("bfloat16", 3e-2, marks=pytest.mark.slow)]
)
def test_a_step_by_few_rows_is_the_step_by_all_of_them(precision, within, setting, monkeypatch):
    model, loss, optimizer, state, x = setting
    model = model.clone(precision=precision)

    def stepped():
        step = jax.jit(lambda state: core.step(model, loss, optimizer, state, Examples(x), jax.random.key(0)))
        return step(state)

    few, rows = stepped()
    monkeypatch.setattr(chosen, "_WORTH", 10**6)
    every, dense = stepped()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=within, atol=within / 10), (few, rows), (every, dense)
    )
    assert float(rows["aux_nats"].sum) > 0


def test_no_array_has_a_row_for_each_active_unit_and_no_product_all_units_but_the_encoder_s(setting, monkeypatch):
    model, loss, optimizer, state, x = setting

    def program():
        step = jax.jit(lambda state: core.step(model, loss, optimizer, state, Examples(x), jax.random.key(0)))
        return step.lower(state).compile().as_text()

    def wide(program):
        """Products, of a code's or the decoder's size."""
        made = [line.split("(")[0] for line in program.splitlines() if " dot(" in line or "matmul" in line]
        return [line for line in made if f"[8,{N}]" in line or f"[{N},{D}]" in line]

    few = program()
    assert f"[8,{K},{D}]" not in few
    assert len(wide(few)) == 1
    monkeypatch.setattr(chosen, "_WORTH", 10**6)
    assert len(wide(program())) > 2
