"""Every operation that a page runs gives in node what JAX gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from aejax.core import InputError
from aejax.explore._lowerings import LOWERED
from aejax.explore._program import write
from aejax.explore._writer import Arrays, halved
from tests.helpers.node import needs_node, results

RNG = np.random.default_rng(0)


def real(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def whole(*shape, high=5):
    return RNG.integers(-high, high, shape).astype(np.int32)


def bits(*shape):
    return RNG.random(shape) < 0.5


UNIT = RNG.uniform(-0.9, 0.9, 7).astype(np.float32)
WIDE = np.asarray([-50, -7, -3, -1.5, -0.5, 0, 0.5, 1.5, 2.4, 2.6, 20, np.inf], np.float32)
PADS = [(0, 0), (1, 1), (2, 0)]


def each(names, *inputs):
    return {name: (getattr(lax, name), list(inputs)) for name in names.split()}


CASES = {
    **each("abs neg sign floor ceil exp exp2 log1p expm1 cbrt sin cos tan asin acos atan sinh cosh asinh atanh", UNIT),
    **each("log sqrt rsqrt acosh", abs(UNIT) + 1),
    **each("logistic tanh erf square is_finite", WIDE),
    **each("add sub mul div max min atan2", real(2, 3), real(2, 3)),
    **each("eq ne lt le gt ge bitwise_xor", whole(9), whole(9)),
}
CASES |= {
    "round": (lambda x: (lax.round(x, 0), lax.round(x, 1)), [WIDE[:-1]]),
    "pow": (lambda x, y: (lax.pow(x, y), lax.integer_pow(y, -3)), [abs(UNIT), UNIT]),
    "rem": (lambda x, y: (lax.rem(x, y), lax.div(x, y)), [whole(9), np.asarray([2, -3, 4] * 3, np.int32)]),
    "logic": (lambda x, y: (x & y, x | y, ~x), [bits(8), bits(8)]),
    "invert": (lambda x: (~x, x & 3), [whole(6)]),
    "size-1 axes": (lambda x, y: x + y * jnp.ones((3, 1)) + x * 2, [real(3, 4), real(1, 4)]),
    "select": (lambda p, x, y: jnp.where(p[:, None], x, y), [bits(3), real(3, 4), real(3, 4)]),
    "select of three": (lambda i, *x: lax.select_n(i, *x), [abs(whole(6, high=3)) % 3, real(6), real(6), real(6)]),
    "clamp": (lambda x: lax.clamp(-0.5, x, 0.25), [UNIT]),
    "convert": (lambda x: (x.astype(jnp.int32), (x > 0).astype(jnp.float32), x.astype(bool)), [WIDE[:-1]]),
    "transpose": (lambda x: x.transpose(2, 0, 1) + 0, [real(2, 3, 4)]),
    "broadcast": (lambda x: lax.broadcast_in_dim(x, (4, 2, 3), (1, 2)), [real(1, 3)]),
    "slice": (lambda x: x[1:, ::2, -3:], [real(3, 5, 4)]),
    "rev": (lambda x: lax.rev(x, (0, 2)), [real(2, 3, 4)]),
    "split": (lambda x: tuple(jnp.split(x, [1, 3], axis=1)), [real(2, 5)]),
    "concatenate": (lambda x, y: jnp.concatenate([x, y, x], axis=1), [real(2, 3, 2), real(2, 1, 2)]),
    "stack": (lambda x, y: (jnp.stack([x, y, x], axis=1), jnp.stack([y], axis=2)), [real(2, 3), real(2, 3)]),
    "pad": (lambda x: lax.pad(x, 7.0, [(1, 2, 1), (-1, 0, 0), (0, -1, 2)]), [real(2, 3, 3)]),
    "iota": (lambda x: lax.broadcasted_iota(jnp.int32, (2, 3, 4), 1) + x, [whole(2, 3, 4)]),
    "one-hot": (lambda i: jax.nn.one_hot(i, 4), [np.asarray([0, 3, 2], np.int32)]),
    "reduce": (lambda x: (x.sum((0, 2)), x.max(1), x.min(), x.prod(0)), [real(2, 3, 4)]),
    "reduce bits": (lambda x: (x.all(0), x.any(1)), [bits(3, 4)]),
    "arg": (lambda x: (x.argmax(1), x.argmin(0)), [whole(4, 5).astype(np.float32)]),
    "cumulative": (
        lambda x: (x.cumsum(0), lax.cummax(x, 1, reverse=True), lax.cumprod(x, 1), lax.cummin(x)),
        [real(3, 4)],
    ),
    "dot": (lambda x, y: x @ y, [real(1, 5), real(5, 3)]),
    "dot any": (
        lambda x, y: lax.dot_general(x, y, (((1, 3), (2, 0)), ((2,), (3,)))),
        [real(2, 3, 4, 5), real(5, 6, 3, 4)],
    ),
    "dot a column": (lambda x, y: jnp.einsum("bij,bj->bi", x, y), [real(2, 3, 4), real(2, 4)]),
    "gather": (lambda x, i: x[i], [real(5, 3), np.asarray([4, 0, 0], np.int32)]),
    "gather beyond": (lambda x, i: x.at[i].get(mode="fill"), [real(5, 3), np.asarray([4, 9, 0], np.int32)]),
    "gather clipped": (lambda x, i: x.at[:, i].get(mode="clip"), [real(2, 5, 3), np.asarray([4, 9], np.int32)]),
    "gather along": (lambda x, i: jnp.take_along_axis(x, i, 1), [real(3, 5), abs(whole(3, 2, high=5)) % 5]),
    "gather two": (lambda x, i, j: x[i, :, j], [real(3, 2, 4), np.asarray([2, 1]), np.asarray([0, 3])]),
    "scatter": (lambda x, i, u: x.at[i].set(u), [real(5, 3), np.asarray([4, 1], np.int32), real(2, 3)]),
    "scatter-add": (lambda x, i, u: x.at[:, i].add(u), [real(2, 5), np.asarray([4, 1, 4], np.int32), real(2, 3)]),
    "scatter beyond": (lambda x, i, u: x.at[i].set(u), [real(5), np.asarray([7, 1], np.int32), real(2)]),
    "dynamic slice": (lambda x, i: lax.dynamic_slice(x, (i, 0), (2, 2)), [real(4, 3), np.int32(3)]),
    "dynamic put": (lambda x, u, i: lax.dynamic_update_slice(x, u, (0, i)), [real(4, 3), real(2, 2), np.int32(1)]),
    "sort": (lambda x: jnp.sort(x, 0), [real(5, 3)]),
    "sort by two": (lambda x, y, z: lax.sort((x, y, z), num_keys=2), [whole(8, high=2), whole(8), real(8)]),
    "top k": (lambda x: lax.top_k(x, 3), [whole(2, 7).astype(np.float32)]),
    "top k, one result": (lambda x: lax.top_k(x, 3)[0], [real(2, 7)]),
    "pool": (lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 3), (2, 1), PADS[1:]), [real(5, 6)]),
    "pool sum": (lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 2), "VALID"), [real(4, 6)]),
    "pool min": (lambda x: lax.reduce_window(x, jnp.inf, lax.min, (2,), (2,), "SAME"), [real(5)]),
    "same": (lambda x: jnp.copy(lax.stop_gradient(lax.squeeze(lax.reduce_precision(x, 8, 23), (1,)))), [real(3, 1)]),
    "constant": (lambda x: x @ np.arange(6, dtype=np.float32).reshape(3, 2), [real(2, 3)]),
    "calls": (jax.jit(lambda x: jax.checkpoint(jnp.sin)(jax.nn.relu(x)) + jax.nn.softplus(x)), [real(3)]),
}
IMAGES = ("NHWC", "HWIO", "NHWC")
CONVS = {
    "conv": (real(1, 7, 6, 3), real(3, 2, 3, 4), (2, 1), "SAME", None, None, IMAGES, 1),
    "conv spaced": (real(2, 4, 3, 2), real(3, 3, 2, 1), (1, 1), PADS[1:], (2, 3), None, IMAGES, 1),
    "conv dilated": (real(1, 9, 9, 4), real(2, 3, 2, 6), (1, 2), "VALID", None, (2, 2), IMAGES, 2),
    "conv nchw": (real(2, 3, 5, 4), real(4, 3, 2, 2), (1, 1), PADS[:2], (1, 2), None, ("NCHW", "OIHW", "NHWC"), 1),
    "conv 1d": (real(1, 9, 2), real(3, 2, 3), (2,), [(2, 1)], None, None, ("NWC", "WIO", "NWC"), 1),
}


def convolved(strides, padding, spaced, dilated, numbers, groups):
    return lambda x, k: lax.conv_general_dilated(x, k, strides, padding, spaced, dilated, numbers, groups)


CASES |= {name: (convolved(*settings), [x, kernel]) for name, (x, kernel, *settings) in CONVS.items()}


@needs_node
def test_every_operation_gives_in_node_what_jax_gives():
    expected = jax.jit(
        lambda all: [function(*given) for (function, _), given in zip(CASES.values(), all, strict=True)]
    )([inputs for _, inputs in CASES.values()])
    for name, want, got in zip(CASES, expected, results(list(CASES.values())), strict=True):
        leaves = jax.tree.leaves(want)
        assert len(leaves) == len(got), name
        for one, other in zip(leaves, got, strict=True):
            want_flat = np.ravel(np.asarray(one, np.float64))
            np.testing.assert_allclose(other, want_flat, rtol=3e-6, atol=3e-6, err_msg=name)


def test_the_cases_use_every_operation_that_is_lowered():
    arrays, used = Arrays(), set()

    def walk(jaxpr):
        for equation in jaxpr.eqns:
            used.add(equation.primitive.name)
            for key in ("jaxpr", "call_jaxpr"):
                inner = equation.params.get(key)
                if hasattr(getattr(inner, "jaxpr", inner), "eqns"):
                    walk(getattr(inner, "jaxpr", inner))

    for function, inputs in CASES.values():
        walk(jax.make_jaxpr(function)(*inputs).jaxpr)
    assert set(LOWERED) - used <= {"device_put"}
    assert arrays.items == []


def test_an_operation_that_no_page_runs_is_refused_by_name():
    def looping(_, x):
        return lax.fori_loop(0, 3, lambda i, x: x * x, x)

    with pytest.raises(InputError, match=r"the decoder uses the operation 'scan', which a page cannot run: leave"):
        write("decoder", looping, Arrays(), (), np.ones(3, np.float32))


def test_arrays_are_kept_once_and_what_no_result_needs_is_left_out(rng):
    weights, x, arrays = rng.random((3, 3), np.float32), np.ones((1, 3), np.float32), Arrays(half=False)
    program = write("case", lambda w, x: (x @ w, jnp.sin(x))[0] @ w, arrays, weights, x)
    write("case", lambda w, x: x @ w, arrays, weights, x)
    assert len(arrays.items) == 1
    assert [step[0] for step in program["steps"]] == ["matmul", "matmul"]


def test_half_precision_keeps_three_digits_and_is_not_used_where_it_would_lose_more(rng):
    weights = rng.normal(size=1000).astype(np.float32)
    kept = halved(weights)
    assert kept.dtype == np.float16
    assert (np.abs(kept - weights) <= (2**-9 + 2**-11) * np.abs(weights) + 2**-22).all()  # it is rounded twice
    for lost in (weights * 1e6, weights * 1e-9, np.float32([1e5]), np.float32([np.inf])):
        assert halved(lost).dtype == np.float32
    assert halved(np.zeros(3, np.float32)).tolist() == [0, 0, 0]
