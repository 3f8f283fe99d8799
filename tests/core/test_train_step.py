import dataclasses
import zlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import core
from aejax.core import Adam, Cosine, Examples, Stream, as_arrays, derive, evaluation, means, train_step
from aejax.core.mean import Mean
from aejax.core.optimizers import SGD
from aejax.data import Binarise, Scale
from aejax.losses import Bernoulli, Gaussian, GaussianNoise, Loss, Reconstruction, WeightL2
from aejax.metrics import ReconstructionError
from aejax.models import Autoencoder, GaussianLatent, MLPDecoder, MLPEncoder, Plain

KEY = jax.random.key(0)
MODEL = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder(), (6,))
BOTH_TERMS = {"reconstruction": Reconstruction(), "decay": WeightL2(0.1)}
init = jax.jit(train_step.init, static_argnames="model")
step = jax.jit(train_step.step, static_argnames="model")
epoch = jax.jit(core.epoch, static_argnames=("model", "batch_size"))
evaluate = jax.jit(evaluation.evaluate, static_argnames=("model", "batch_size"))


def arrays(loss=None, optimizer=None):
    """Settings as the loop gives them to the step."""
    return as_arrays((loss or Loss(Gaussian(), BOTH_TERMS), optimizer or SGD(0.1, horizon=100.0)))


def examples(size, seed=0):
    rng = np.random.default_rng(seed)
    x, label = rng.uniform(0, 1, (size, 6)), rng.integers(0, 3, size)
    return Examples(jnp.asarray(x, jnp.float32), jnp.asarray(label, jnp.int32))


def begun(loss=None, optimizer=None, model=MODEL, key=KEY):
    loss, optimizer = arrays(loss, optimizer)
    return loss, optimizer, init(model, loss, optimizer, examples(1), key)


def close(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, other)


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


# One step


def linear_gradient(params, x, scale):
    """Of the mean Gaussian loss of two matrix products, by hand, in float64."""
    encode, decode = params["latent"]["code"], params["decoder"]["out"]
    code = x @ encode["kernel"] + encode["bias"]
    to_raw = (code @ decode["kernel"] + decode["bias"] - x) / scale**2 / len(x)
    to_code = to_raw @ decode["kernel"].T
    return {
        "latent": {"code": {"kernel": x.T @ to_code, "bias": to_code.sum(axis=0)}},
        "decoder": {"out": {"kernel": code.T @ to_raw, "bias": to_raw.sum(axis=0)}},
    }


def test_steps_are_those_of_gradient_descent_by_hand():
    loss, optimizer, state = begun(Loss(Gaussian(0.5)), SGD(0.1, Cosine(), momentum=0.0, horizon=4.0))
    x = examples(8)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params)
    for number in range(3):
        rate = 0.1 * 0.5 * (1 + np.cos(np.pi * number / 4))
        gradient = linear_gradient(params, np.asarray(x.x, np.float64), 0.5)
        params = jax.tree.map(lambda leaf, slope, rate=rate: leaf - rate * slope, params, gradient)
        state, _ = step(MODEL, loss, optimizer, state, x, KEY)
    assert int(state.step) == 3
    close(state.params, params)


def test_a_step_reports_the_batch_before_it_moved():
    loss, optimizer, state = begun()
    batch = examples(8)
    _, metrics = step(MODEL, loss, optimizer, state, batch, KEY)
    before = evaluate(MODEL, (loss,), Scale(), state, batch, KEY, batch_size=8)
    close(means(metrics), means(before))
    assert {float(metric.count) for metric in metrics.values()} == {8.0}


def test_the_loss_goes_down(tiny):
    experiment = tiny.experiment.resolve(tiny.dataset)
    part = jax.device_put(tiny.dataset.train)
    loss, optimizer = as_arrays((experiment.loss, Adam(1e-2, horizon=200.0)))
    state = init(experiment.model, loss, optimizer, Examples(jnp.zeros((1, 4, 4, 1))), KEY)
    history = []
    for _ in range(40):
        state, metrics = epoch(experiment.model, loss, optimizer, Scale(), state, part, KEY, batch_size=8)
        history.append(means(metrics)["loss_nats"])
    assert history[-1] < history[0] - 1
    assert all(np.isfinite(history))


def test_steps_whose_gradients_accumulate_are_one_step_of_all_their_examples():
    loss, optimizer, start = begun(optimizer=Adam(0.1, Cosine(), horizon=2.0))
    whole = examples(12)
    together, _ = step(MODEL, loss, optimizer, start, whole, KEY)
    together, _ = step(MODEL, loss, optimizer, together, whole, KEY)
    loss, optimizer, state = begun(optimizer=Adam(0.1, Cosine(), horizon=6.0, accumulate=3))
    parts = [jax.device_get(whole).take(np.arange(first, first + 4)) for first in (0, 4, 8)]
    for number in range(6):
        state, _ = step(MODEL, loss, optimizer, state, parts[number % 3], KEY)
    close(state.params, together.params)
    assert not np.allclose(state.params["latent"]["code"]["kernel"], start.params["latent"]["code"]["kernel"])


# Traces


def counted(function, traces, **static):
    chex.clear_trace_counter()
    return jax.jit(chex.assert_max_traces(function, n=traces), **static)


VARIANTS = {
    "learning rate": (Loss(Gaussian(), BOTH_TERMS), SGD(0.7, Cosine(), horizon=100.0)),
    "schedule": (Loss(Gaussian(), BOTH_TERMS), SGD(0.1, Cosine(0.5), horizon=7.0)),
    "weight": (Loss(Gaussian(), {"reconstruction": Reconstruction(2.0), "decay": WeightL2(0.3)}), None),
    "scale": (Loss(Gaussian(0.1), BOTH_TERMS), None),
}
BASE = SGD(0.1, Cosine(), horizon=100.0)


def run_step(function, optimizer=BASE, loss=None, model=MODEL, key=KEY):
    loss, optimizer, state = begun(loss, optimizer, model)
    return function(model, loss, optimizer, state, examples(4), key)


def run_epoch(function, optimizer=BASE, loss=None, model=MODEL, key=KEY):
    loss, optimizer, state = begun(loss, optimizer, model)
    return function(model, loss, optimizer, Scale(), state, examples(9), key, batch_size=4)


LOOPS = [(run_step, train_step.step, ("model",)), (run_epoch, core.epoch, ("model", "batch_size"))]


@pytest.mark.parametrize(("run", "function", "static"), LOOPS, ids=["step", "epoch"])
def test_new_numbers_and_seeds_never_trace_again(run, function, static):
    once = counted(function, 1, static_argnames=static)
    results = [run(once), run(once, key=jax.random.key(9))]
    results += [run(once, optimizer or BASE, loss) for loss, optimizer in VARIANTS.values()]
    assert jax.tree.leaves(results)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": dataclasses.replace(BASE, nesterov=True)},
        {"optimizer": dataclasses.replace(BASE, clip_norm=1.0)},
        {"loss": Loss(Gaussian())},
        {"loss": Loss(Bernoulli(), BOTH_TERMS)},
        {"model": MODEL.clone(latent=Plain(3))},
    ],
    ids=["static field", "clipping", "terms", "likelihood", "model"],
)
def test_new_structure_traces_again(change):
    once = counted(train_step.step, 1, static_argnames="model")
    run_step(once)
    with pytest.raises(AssertionError, match="traced"):
        run_step(once, **change)


def test_an_equal_model_made_separately_does_not_trace_again():
    once = counted(train_step.step, 1, static_argnames="model")
    run_step(once)
    run_step(once, model=Autoencoder(MLPEncoder(), Plain(2), MLPDecoder(), (6,)))


# State


def test_a_state_is_arrays_only():
    _, _, state = begun(optimizer=Adam(clip_norm=1.0, horizon=9.0))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


def test_states_made_separately_have_equal_structure_before_and_after_a_step():
    (loss, optimizer, one), (_, _, other) = begun(), begun(key=jax.random.key(1))
    after, _ = step(MODEL, loss, optimizer, one, examples(4), KEY)
    assert jax.tree.structure(one) == jax.tree.structure(other) == jax.tree.structure(after)
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other, after)
    assert not any(leaf.weak_type for leaf in jax.tree.leaves((one, after)))


def test_the_seed_alone_decides_the_first_state():
    same(begun()[2], begun()[2])
    kernels = [begun(key=jax.random.key(seed))[2].params["latent"]["code"]["kernel"] for seed in (0, 1)]
    assert not np.allclose(*kernels)


# An epoch


@core.pytree
@dataclasses.dataclass(frozen=True)
class Reveal(Loss):
    """Says which examples it saw: example i holds 2 ** i in its first value, so that sums tell sets apart."""

    def __call__(self, model, batch, train=False, step=None):
        raw = model.decode(model.encode(batch, train).mean, batch, train)
        return {"loss_nats": 0 * raw.sum(axis=1), "seen": batch.x[:, 0], "label": batch.label.astype(jnp.float32)}


def revealing(size):
    x = np.zeros((size, 6), np.float32)
    x[:, 0] = 2.0 ** np.arange(size)
    return Examples(jnp.asarray(x), jnp.arange(size, dtype=jnp.int32))


def seen(sums):
    """The examples of each step, from the sums of their powers of two."""
    return [{bit for bit in range(24) if int(total) >> bit & 1} for total in np.asarray(sums)]


def revealed_epochs(count, size=20, batch_size=6, key=KEY):
    loss, optimizer, state = begun(Reveal())
    part, epochs = revealing(size), []
    for _ in range(count):
        state, metrics = epoch(MODEL, loss, optimizer, Scale(), state, part, key, batch_size=batch_size)
        epochs.append(seen(metrics["seen"].sum))
        assert [float(total) for total in metrics["label"].sum] == [sum(batch) for batch in epochs[-1]]
    return epochs


def test_an_epoch_sees_every_example_at_most_once_in_whole_batches():
    for batches in revealed_epochs(3):
        assert [len(batch) for batch in batches] == [6, 6, 6]
        assert len(set.union(*batches)) == 18


def test_a_batch_size_that_divides_leaves_no_example_out():
    (batches,) = revealed_epochs(1, batch_size=5)
    assert set.union(*batches) == set(range(20))


def test_every_epoch_and_every_seed_has_another_order():
    first, second, third = revealed_epochs(3)
    (other,) = revealed_epochs(1, key=jax.random.key(1))
    assert len({str(batches) for batches in (first, second, third, other)}) == 4


def test_over_many_epochs_no_example_is_left_out():
    assert set.union(*(set.union(*batches) for batches in revealed_epochs(6))) == set(range(20))


@pytest.mark.parametrize("size", [1, 2, 5, 64, 1000, 70_000])
def test_a_shuffle_is_a_permutation(size):
    np.testing.assert_array_equal(np.sort(jax.jit(core.shuffle, static_argnums=1)(KEY, size)), np.arange(size))


def test_in_a_shuffle_every_place_is_as_likely():
    orders = np.asarray(jax.jit(jax.vmap(lambda key: core.shuffle(key, 5)))(jax.random.split(KEY, 4000)))
    counts = np.stack([np.bincount(orders[:, place], minlength=5) for place in range(5)])
    assert abs(counts - 800).max() < 5 * np.sqrt(800)


@pytest.mark.parametrize("bits", [32, 11])
@pytest.mark.parametrize("size", [1, 64, 300, 1500])
def test_a_shuffle_of_any_width_is_a_permutation(size, bits):
    np.testing.assert_array_equal(np.sort(core.shuffle(KEY, size, bits)), np.arange(size))


@pytest.mark.parametrize("size", [2**6, 2**7, 2**8, 2**9])
def test_every_batch_of_a_large_shuffle_is_drawn_from_the_whole(size):
    """With words of 10 bits 2^9 numbers are as many as 2^31 with words of 32: one or two bits are beside the index."""
    many, batch = 2000, size // 16
    orders = np.asarray(jax.jit(jax.vmap(lambda key: core.shuffle(key, size, 10)))(jax.random.split(KEY, many)))
    batches = orders.reshape(many, 16, batch) / (size - 1)
    # The mean of numbers drawn without repetition has this deviation.
    deviation = np.sqrt((size + 1) / (size - 1) / 12 / batch * (size - batch) / (size - 1))
    assert abs(batches.mean(axis=(0, 2)) - 0.5).max() < 5 * deviation / np.sqrt(many)
    assert batches.mean(axis=2).std() == pytest.approx(deviation, rel=0.05)
    if size > 2**6:  # of fewer, some neighbours tie and stand in their order, which batches hardly see
        assert (np.diff(orders, axis=1) > 0).mean() == pytest.approx(0.5, abs=5 / np.sqrt(12 * many * size))


def test_sizes_up_to_two_million_keep_the_orders_that_they_had():
    """As they were drawn before larger ones got another program: a resumed run must see the same batches."""
    first = np.asarray(core.shuffle(jax.random.key(3), 70_000))
    assert first[:5].tolist() == [59649, 10401, 64781, 66190, 11560]
    assert zlib.crc32(first.tobytes()) == 2494412844


def test_an_epoch_is_its_steps_one_by_one():
    loss, optimizer, start = begun()
    part = examples(11)
    together, metrics = epoch(MODEL, loss, optimizer, Binarise(), start, part, KEY, batch_size=4)

    @jax.jit
    def batch(number, at):
        order = core.shuffle(derive(KEY, Stream.ORDER, start.step), 11)
        stored = part.take(jax.lax.dynamic_slice(order, [4 * number], [4]))
        return Examples(Binarise()(stored.x, derive(KEY, Stream.PREPROCESS, at)), stored.label)

    state = start
    for number in range(2):
        state, alone = step(MODEL, loss, optimizer, state, batch(number, state.step), KEY)
        close(
            {name: np.asarray(mean.sum)[number] for name, mean in metrics.items()},
            {name: mean.sum for name, mean in alone.items()},
        )
    close(together, state)


def test_noise_is_fresh_in_every_epoch():
    loss, optimizer, state = begun(optimizer=SGD(0.0, horizon=9.0))
    grey = Examples(jnp.full((11, 6), 0.5), jnp.zeros(11, jnp.int32))
    state, first = epoch(MODEL, loss, optimizer, Binarise(), state, grey, KEY, batch_size=4)
    _, second = epoch(MODEL, loss, optimizer, Binarise(), state, grey, KEY, batch_size=4)
    sums = np.concatenate([metrics["reconstruction_nats"].sum for metrics in (first, second)])
    assert len(set(sums.tolist())) == 4


DRAWING = {
    "corruption": (MODEL, Loss(Gaussian(), corruption=GaussianNoise(0.5))),
    "latent": (MODEL.clone(latent=GaussianLatent(2)), Loss(Gaussian())),
    "dropout": (MODEL.clone(encoder=MLPEncoder((8,), dropout=0.5)), Loss(Gaussian())),
}


@pytest.mark.parametrize(("model", "loss"), DRAWING.values(), ids=DRAWING)
def test_what_a_model_draws_is_fresh_at_every_step_and_the_same_at_the_same(model, loss):
    """Of one batch, by parameters that stand still."""
    loss, optimizer, state = begun(loss, SGD(0.0, horizon=9.0), model)
    after, first = step(model, loss, optimizer, state, examples(8), KEY)
    _, again = step(model, loss, optimizer, state, examples(8), KEY)
    _, second = step(model, loss, optimizer, after, examples(8), KEY)
    same(first, again)
    assert abs(second["loss_nats"].sum - first["loss_nats"].sum) > 0.01


def epochs(state, count, loss, optimizer):
    for _ in range(count):
        state, _ = epoch(MODEL, loss, optimizer, Binarise(), state, examples(11), KEY, batch_size=4)
    return state


def test_resumed_from_the_middle_training_ends_with_the_same_bits():
    loss, optimizer, start = begun()
    saved = jax.tree.map(np.array, epochs(start, 2, loss, optimizer))
    resumed = epochs(jax.tree.map(jnp.asarray, saved), 2, loss, optimizer)
    same(epochs(start, 4, loss, optimizer), resumed)


@pytest.mark.slow
def test_learning_rates_under_vmap_are_the_runs_alone():
    loss, optimizer, start = begun()
    rates = jnp.asarray([0.01, 0.1, 0.5])

    def trained(rate):
        recipe, batch = dataclasses.replace(optimizer, learning_rate=rate), examples(8)
        state, metrics = jax.lax.scan(
            lambda state, _: train_step.step(MODEL, loss, recipe, state, batch, KEY), start, length=3
        )
        return state.params, metrics

    together = jax.device_get(jax.jit(jax.vmap(trained))(rates))
    alone = jax.jit(trained)
    for number, rate in enumerate(rates):
        close(jax.tree.map(lambda leaf, number=number: leaf[number], together), alone(rate))


# Evaluation


def reconstruction_errors(state, x):
    """Of each example, by hand, in float64."""
    encode, decode = jax.tree.map(np.asarray, (state.params["latent"]["code"], state.params["decoder"]["out"]))
    code = np.asarray(x, np.float64) @ encode["kernel"] + encode["bias"]
    return ((code @ decode["kernel"] + decode["bias"] - x) ** 2).sum(axis=1)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 16])
def test_evaluation_is_the_mean_over_every_example_whatever_the_batch_size(batch_size):
    loss, _, state = begun()
    x = np.array(examples(10).x)
    x[0] = 1e3  # the first to fill up the last batch, far from all others
    measures = (loss, ReconstructionError(loss.likelihood))
    metrics = means(evaluate(MODEL, measures, Scale(), state, Examples(jnp.asarray(x)), KEY, batch_size=batch_size))
    errors = reconstruction_errors(state, x)
    assert metrics["squared_error"] == pytest.approx(errors.mean(), rel=1e-5)
    assert metrics["reconstruction_nats"] == pytest.approx(errors.mean() / 2 + 3 * np.log(2 * np.pi), rel=1e-5)


@pytest.mark.parametrize("batch_size", [3, 4])
def test_padding_counts_for_nothing_even_where_it_is_not_a_number(batch_size):
    def measure(model, batch):
        first = jnp.arange(batch.x.shape[0]) == 0
        return {"x": jnp.where(first, batch.x[:, 0], jnp.nan)}

    _, _, state = begun()
    part = Examples(jnp.full((batch_size + 1, 6), 3.0))
    metrics = jax.jit(lambda: evaluation.evaluate(MODEL, (measure,), Scale(), state, part, KEY, batch_size))()
    last = jax.tree.map(lambda leaf: leaf[-1], metrics["x"])
    assert (float(last.sum), float(last.count)) == (3.0, 1.0)


def test_evaluation_counts_every_example_once():
    _, _, state = begun()
    metrics = evaluate(MODEL, (Reveal(),), Scale(), state, revealing(10), KEY, batch_size=4)
    assert seen(metrics["seen"].sum) == [{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}]
    np.testing.assert_array_equal(metrics["seen"].count, [4, 4, 2])


def test_a_batch_s_own_statistics_see_no_example_twice():
    """The last batch of 4, by hand: examples 8 and 9, which count, and 0 and 1, which do not."""
    _, _, state = begun()
    part = examples(10)

    def batch_mean(model, batch):
        return {"mean": jnp.full(batch.x.shape[0], batch.x.mean())}

    metrics = jax.jit(lambda: evaluation.evaluate(MODEL, (batch_mean,), Scale(), state, part, KEY, batch_size=4))()
    batches = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    by_hand = [np.asarray(part.x)[index].mean() * count for index, count in zip(batches, [4, 4, 2], strict=True)]
    np.testing.assert_allclose(metrics["mean"].sum, by_hand, rtol=1e-6)


def test_evaluation_takes_parts_without_labels_and_repeats_itself():
    loss, _, state = begun(Loss())
    part = Examples(examples(10).x)
    results = [means(evaluate(MODEL, (loss,), Binarise(), state, part, KEY, batch_size=4)) for _ in range(2)]
    assert results[0] == results[1]


def test_evaluation_in_stretches_is_the_evaluation_of_the_whole():
    loss, _, state = begun(Loss())
    part = examples(10)
    whole = evaluate(MODEL, (loss,), Binarise(), state, part, KEY, batch_size=4)
    stretches = (jax.device_get(part).take(index) for index in (np.arange(8), np.array([8, 9, 0, 1])))
    metrics = [
        evaluate(MODEL, (loss,), Binarise(), state, stretch, KEY, batch_size=4, first=first, size=10)
        for first, stretch in zip((0, 2), stretches, strict=True)
    ]
    same(jax.tree.map(lambda *leaves: np.concatenate(leaves), *metrics), whole)


# What training should reach


def low_rank(size=48):
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(size, 6)) * [3.0, 2.0, 0.5, 0.4, 0.3, 0.2]
    return (factors @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + rng.normal(size=6)).astype(np.float32)


def principal_error(x, rank):
    """The least mean squared error of any projection onto `rank` directions and a mean."""
    singular = np.linalg.svd((x - x.mean(axis=0)).astype(np.float64), compute_uv=False)
    return (singular[rank:] ** 2).sum() / len(x)


@pytest.mark.slow
def test_a_linear_autoencoder_reaches_the_error_of_pca():
    x = low_rank()
    loss, optimizer, state = begun(Loss(Gaussian()), Adam(2e-2, Cosine(), horizon=900.0))
    part = Examples(jnp.asarray(np.tile(x, (30, 1))))
    for _ in range(30):
        state, _ = epoch(MODEL, loss, optimizer, Scale(), state, part, KEY, batch_size=48)
    metrics = evaluate(
        MODEL, (ReconstructionError(Gaussian()),), Scale(), state, Examples(jnp.asarray(x)), KEY, batch_size=48
    )
    best = principal_error(x, 2)
    assert best - 1e-4 < means(metrics)["squared_error"] < 1.01 * best


def test_metrics_of_an_epoch_have_an_axis_of_steps():
    loss, optimizer, state = begun()
    _, metrics = epoch(MODEL, loss, optimizer, Binarise(), state, examples(11), KEY, batch_size=4)
    assert set(metrics) == {"loss_nats", "reconstruction_nats", "decay_nats"}
    assert all(
        isinstance(metric, Mean) and metric.sum.shape == metric.count.shape == (2,) for metric in metrics.values()
    )
