import dataclasses
import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.core import (
    Adam,
    AdamW,
    Cosine,
    Optimizer,
    Steps,
    WarmupCosine,
    WarmupStableDecay,
    as_arrays,
    known_subclasses,
)
from aejax.core.optimizers import SGD, Adamax, Constant, Muon, RMSProp, Schedule

STEPS = 6


def params():
    rng = np.random.default_rng(0)
    return {
        "kernel": jnp.asarray(rng.normal(size=(3, 2)), jnp.float32),
        "bias": jnp.asarray(rng.normal(size=2), jnp.float32),
    }


def gradients(size=1.0):
    """One gradient a step, of very different sizes."""
    rng = np.random.default_rng(1)
    scales = size * 10.0 ** np.array([-5, 1, -3, 0, -5, -1])
    return [
        jax.tree.map(lambda leaf, scale=scale: jnp.asarray(rng.normal(0, scale, leaf.shape), jnp.float32), params())
        for scale in scales
    ]


def run(transformation, steps):
    """The parameters after each step."""
    current, state, path = params(), transformation.init(params()), []

    @jax.jit
    def step(gradient, state, current):
        updates, state = transformation.update(gradient, state, current)
        return optax.apply_updates(current, updates), state

    for gradient in steps:
        current, state = step(gradient, state, current)
        path.append(current)
    return path


def recipe(optimizer):
    return as_arrays(optimizer).transformation()


def is_kernel(tree):
    return jax.tree.map(lambda leaf: leaf.ndim > 1, tree)


STANDS_FOR = [
    (Adam(0.5, b1=0.8, b2=0.95, eps=1e-6, horizon=6.0), optax.adam(0.5, 0.8, 0.95, 1e-6)),
    (AdamW(0.5, weight_decay=0.3, horizon=6.0), optax.adamw(0.5, weight_decay=0.3, mask=is_kernel)),
    (Adamax(0.5, b1=0.8, horizon=6.0), optax.adamax(0.5, 0.8)),
    (SGD(0.5, momentum=0.7, horizon=6.0), optax.sgd(0.5, 0.7)),
    (SGD(0.5, momentum=0.7, nesterov=True, horizon=6.0), optax.sgd(0.5, 0.7, nesterov=True)),
    (RMSProp(0.5, decay=0.8, eps=1e-6, horizon=6.0), optax.rmsprop(0.5, 0.8, 1e-6)),
    (
        Muon(0.5, momentum=0.9, b1=0.8, b2=0.95, horizon=6.0),
        optax.contrib.muon(0.5, beta=0.9, adam_b1=0.8, adam_b2=0.95, consistent_rms=0.2),
    ),
]


@pytest.mark.parametrize(
    ("ours", "theirs"), STANDS_FOR, ids=["adam", "adamw", "adamax", "momentum", "nesterov", "rmsprop", "muon"]
)
def test_a_rule_is_the_optax_optimiser_of_its_name(ours, theirs):
    for mine, expected in zip(run(recipe(ours), gradients()), run(theirs, gradients()), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), mine, expected)


def test_every_rule_is_compared():
    assert {type(ours) for ours, _ in STANDS_FOR} == set(known_subclasses(Optimizer))


def adam_of_the_paper(steps, rate, b1, b2, eps):
    """Kingma & Ba 2015, algorithm 1, in float64."""
    theta, m, v = np.asarray(params()["kernel"], np.float64), 0.0, 0.0
    for t, gradient in enumerate(steps, 1):
        g = np.asarray(gradient["kernel"], np.float64)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        theta = theta - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return theta


def test_adam_is_the_paper_s_algorithm():
    mine = run(recipe(Adam(0.5, b1=0.8, b2=0.95, horizon=6.0)), gradients())[-1]["kernel"]
    np.testing.assert_allclose(mine, adam_of_the_paper(gradients(), 0.5, 0.8, 0.95, 1e-8), rtol=1e-5)


def test_adamw_decays_kernels_and_no_biases():
    zeros = [jax.tree.map(jnp.zeros_like, params())] * 3
    after = run(recipe(AdamW(0.1, weight_decay=0.5, horizon=3.0)), zeros)[-1]
    np.testing.assert_allclose(after["kernel"], 0.95**3 * params()["kernel"], rtol=1e-6)
    np.testing.assert_array_equal(after["bias"], params()["bias"])


LATE = 0.625
SHARES = np.array([0.0, 0.1, 0.25, 0.5, 0.625, 0.75, 0.9, 1.0, 1.5, 100.0])


def factors(schedule, shares=SHARES):
    with jax.numpy_dtype_promotion("strict"):
        return jax.jit(jax.vmap(as_arrays(schedule)))(jnp.asarray(shares, jnp.float32))


def half_cosine(share, final):
    return final + (1 - final) * (1 + np.cos(np.pi * np.clip(share, 0, 1))) / 2


CLOSED_FORMS = [
    (Constant(), np.ones_like(SHARES)),
    (Cosine(0.1), half_cosine(SHARES, 0.1)),
    (WarmupCosine(0.25, 0.1), np.where(SHARES < 0.25, SHARES / 0.25, half_cosine((SHARES - 0.25) / 0.75, 0.1))),
    (WarmupCosine(0.0, 0.1), half_cosine(SHARES, 0.1)),
    (WarmupStableDecay(0.25, 0.5, 0.1), np.interp(SHARES, [0, 0.25, 0.5, 1], [0, 1, 1, 0.1])),
    (WarmupStableDecay(0.0, 0.25, 0.0), np.interp(SHARES, [0.75, 1], [1, 0])),
    (WarmupStableDecay(0.25, 0.0, 0.5), np.where(SHARES < 1, np.minimum(SHARES / 0.25, 1), 0.5)),
    (WarmupStableDecay(0.5, 1.0, 0.0), np.interp(SHARES, [0, 1 / 3, 1], [0, 2 / 3, 0])),
    (Steps((0.25, LATE), 0.1), np.where(SHARES < 0.25, 1, np.where(SHARES < LATE, 0.1, 0.01))),
]


@pytest.mark.parametrize(("schedule", "expected"), CLOSED_FORMS)
def test_a_schedule_is_its_closed_form_from_start_to_beyond_the_end(schedule, expected):
    np.testing.assert_allclose(factors(schedule), expected, rtol=1e-5, atol=1e-6)


def test_every_schedule_is_compared():
    assert {type(schedule) for schedule, _ in CLOSED_FORMS} == set(known_subclasses(Schedule))


def test_warm_up_meets_the_cosine_without_a_jump():
    around = 0.25 + np.array([-1e-4, 0.0, 1e-4])
    np.testing.assert_allclose(factors(WarmupCosine(0.25), around), 1.0, atol=1e-3)


def test_warm_up_may_take_all_of_training():
    np.testing.assert_allclose(factors(WarmupCosine(1.0, 0.0), [0.0, 0.5, 0.999]), [0.0, 0.5, 0.999], rtol=1e-5)
    assert np.isfinite(factors(WarmupCosine(1.0, 0.0), [1.0, 1.5])).all()


def test_steps_without_a_step_are_constant():
    np.testing.assert_array_equal(factors(Steps((), 0.1)), np.ones_like(SHARES))


@pytest.mark.parametrize("schedule", [Constant(), Cosine(), WarmupCosine(0.5), Steps((0.5,))])
def test_the_schedule_spans_the_horizon(schedule):
    ones = [jax.tree.map(jnp.ones_like, params())] * 8
    path = [params(), *run(recipe(SGD(0.1, schedule, momentum=0.0, horizon=8.0)), ones)]
    taken = [float(before["bias"][0] - after["bias"][0]) for before, after in pairwise(path)]
    np.testing.assert_allclose(taken, 0.1 * factors(schedule, np.arange(8) / 8), atol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_rates_of_steps_are_those_that_their_updates_have(accumulate):
    schedule = WarmupStableDecay(0.25, 0.5, 0.1)
    optimizer = SGD(0.1, schedule, momentum=0.0, horizon=12.0, accumulate=accumulate)
    ones = [jax.tree.map(jnp.ones_like, params())] * 12
    path = [params(), *run(recipe(optimizer), ones)]
    taken = np.asarray([float(before["bias"][0] - after["bias"][0]) for before, after in pairwise(path)])
    np.testing.assert_allclose(
        taken[accumulate - 1 :: accumulate], optimizer.learning_rates(np.arange(12))[::accumulate], atol=1e-6
    )


def test_a_recipe_without_a_horizon_is_refused():
    with pytest.raises(ValueError, match="horizon"):
        SGD().transformation()


def norm(tree):
    return math.sqrt(sum((np.asarray(leaf, np.float64) ** 2).sum() for leaf in jax.tree.leaves(tree)))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_clip_norm_bounds_the_global_norm_and_keeps_the_direction(size):
    gradient = gradients(size)[0]
    clipped = recipe(SGD(1.0, clip_norm=0.5, momentum=0.0, horizon=1.0))
    update, _ = jax.jit(clipped.update)(gradient, clipped.init(params()), params())
    assert norm(update) == pytest.approx(min(0.5, norm(gradient)), rel=1e-5)
    jax.tree.map(
        lambda u, g: np.testing.assert_allclose(
            np.asarray(u) / norm(update), -np.asarray(g) / norm(gradient), atol=1e-5
        ),
        update,
        gradient,
    )


def test_without_clip_norm_the_gradient_is_unbounded():
    gradient = gradients(1e6)[0]
    free = recipe(SGD(1.0, momentum=0.0, horizon=1.0))
    update, _ = free.update(gradient, free.init(params()), params())
    assert norm(update) == pytest.approx(norm(gradient), rel=1e-6)


def adamax_of_the_paper(steps, rate, b1, b2, eps):
    theta, m, u = np.asarray(params()["kernel"], np.float64), 0.0, 0.0
    for t, gradient in enumerate(steps, 1):
        g = np.asarray(gradient["kernel"], np.float64)
        m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, abs(g) + eps)
        theta = theta - rate / (1 - b1**t) * m / u
    return theta


def test_adamax_is_the_paper_s_algorithm():
    mine = run(recipe(Adamax(0.5, b1=0.8, b2=0.95, horizon=6.0)), gradients())[-1]["kernel"]
    np.testing.assert_allclose(mine, adamax_of_the_paper(gradients(), 0.5, 0.8, 0.95, 1e-8), rtol=1e-5)


def test_accumulation_is_optax_s_with_an_optimiser_that_is_computed_once_an_update():
    mine, theirs = recipe(Muon(0.5, accumulate=3, horizon=6.0)), optax.MultiSteps(recipe(Muon(0.5, horizon=2.0)), 3)
    for ours, expected in zip(run(mine, gradients()), run(theirs, gradients()), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), ours, expected)
    gradient, state = gradients()[0], mine.init(params())
    assert jax.tree.structure(state) == jax.tree.structure(theirs.init(params()))
    program = jax.make_jaxpr(mine.update)(gradient, state, params())
    products = {str(step.primitive) for step in program.eqns if "dot_general" in str(step)}
    assert products == {"cond"}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_gradients_above_the_bound_are_as_if_they_had_not_been_there(accumulate):
    small, huge = gradients(), jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.inf), gradients()[0])
    some = [*small[:2], *[huge] * accumulate, *small[2:]]
    careful = dataclasses.replace(Adam(0.1, horizon=6.0, accumulate=accumulate), skip_norm=1e3)
    state, after = careful.init(params()), params()
    for gradient in some:
        after, state = jax.jit(careful.update)(gradient, state, after)
    plain = run(recipe(Adam(0.1, horizon=6.0, accumulate=accumulate)), small)[-1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), after, plain)
    assert careful.skipped(state) == 1
    assert Adam(horizon=1.0).skipped(Adam(horizon=1.0).init(params())) == 0


@pytest.mark.parametrize("optimizer", [SGD(horizon=6.0), SGD(nesterov=True, horizon=6.0), RMSProp(horizon=6.0)])
def test_no_dtype_is_promoted_on_the_way(optimizer):
    with jax.numpy_dtype_promotion("strict"):
        run(recipe(optimizer), gradients())


def orthogonal(matrix):
    """Five steps of Jordan et al. 2024 towards the nearest matrix of orthonormal rows, in float64."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def test_muon_orthogonalises_dense_kernels_and_convolutions_by_inputs_and_outputs_and_nothing_else():
    rng = np.random.default_rng(0)
    shapes = {"dense": (6, 9), "tall": (30, 4), "conv": (3, 3, 2, 5)}
    params = {name: {"kernel": jnp.zeros(shape)} for name, shape in shapes.items()}
    others = {"prior": {"pseudo_inputs": jnp.zeros((4, 6))}, "maps": {"kernel": jnp.zeros((2, 3, 4))}}
    params |= others
    gradient = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    rule = recipe(Muon(0.5, momentum=0.0, horizon=1.0))
    updates, _ = rule.update(gradient, rule.init(params), params)
    for name, shape in shapes.items():
        flat = np.asarray(gradient[name]["kernel"], np.float64).reshape(-1, shape[-1])
        wide = orthogonal(flat.T).T if len(flat) > shape[-1] else orthogonal(flat)
        expected = -0.5 * 0.2 * math.sqrt(max(flat.shape)) * wide
        np.testing.assert_allclose(updates[name]["kernel"].reshape(flat.shape), expected, atol=2e-5)
        sizes = np.linalg.svd(wide, compute_uv=False)  # all alike, where the gradient's are up to four times another
        assert sizes.min() > 0.6
        assert sizes.max() < 1.25
    for name in others:
        (update,), (own,) = jax.tree.leaves(updates[name]), jax.tree.leaves(gradient[name])
        np.testing.assert_array_equal(jnp.sign(update), -jnp.sign(own))
        np.testing.assert_allclose(jnp.abs(update), jnp.abs(update).mean(), rtol=1e-3)  # Adam's first step


def test_muon_s_step_of_a_kernel_does_not_depend_on_the_gradient_s_scale():
    rule = recipe(Muon(0.5, horizon=6.0))
    small, large = gradients(size=10.0), gradients(size=1000.0)
    for mine, expected in zip(run(rule, small), run(rule, large), strict=True):
        np.testing.assert_allclose(mine["kernel"], expected["kernel"], rtol=1e-3, atol=1e-3)
