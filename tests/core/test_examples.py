"""Examples: their fields are taken, read and placed together, and what is to be reconstructed is one of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import devices
from aejax.core import Examples, blank_example, spread, unseen
from aejax.data import Scale, _packed
from aejax.data.packing import pack_parts
from aejax.training import fit

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (6, 2, 3, 1), np.uint8), RNG.uniform(size=(6, 2, 3, 1)).astype(np.float32)
LABEL = np.arange(6, dtype=np.int32)
WHOLE = Examples(X, LABEL, Y)


def stored(folder):
    pack_parts({"train": [WHOLE]}, folder / "packed", "x")
    return _packed.read(folder / "packed").parts["train"]


@pytest.mark.parametrize("where", ["host", "device", "disk"])
def test_all_fields_are_taken_in_one_order(where, tmp_path):
    part = {"host": lambda: WHOLE, "device": lambda: jax.tree.map(jnp.asarray, WHOLE), "disk": lambda: stored(tmp_path)}
    index = np.array([4, 0, 4])
    taken = part[where]().take(index)
    assert len(taken) == 3
    got = taken.read()
    assert type(got) is Examples
    for name, array in vars(WHOLE).items():
        np.testing.assert_array_equal(getattr(got, name), array[index])


@pytest.mark.parametrize("n", [0, 1, 7, 100, 60_000])
@pytest.mark.parametrize("most", [0, 1, 7, 40, 1000])
def test_some_are_chosen_from_every_stretch_and_none_twice(n, most):
    chosen = spread(n, most)
    assert len(chosen) == min(n, most)
    assert (np.diff(chosen) > 0).all()
    if n > most > 0:
        np.testing.assert_array_equal(chosen, spread(n, most))
        stretch = np.searchsorted(np.arange(1, most + 1) * n // most, chosen, side="right")
        np.testing.assert_array_equal(stretch, np.arange(most))


@pytest.mark.parametrize("label", [np.arange(50_000) // 5_000, np.arange(50_000) % 10], ids=["sorted", "in turns"])
def test_the_chosen_have_the_classes_of_all(label):
    counts = np.bincount(label[spread(len(label), 500)], minlength=10)
    assert counts.sum() == 500
    assert abs(counts - 50).max() < 5 * np.sqrt(50)


@pytest.mark.parametrize("order", ["sorted", "in turns", "shuffled"])
def test_of_labelled_examples_every_class_has_its_share(order):
    label = {"sorted": np.arange(500) // 50, "in turns": np.arange(500) % 10}.get(order)
    label = np.random.default_rng(3).permutation(500) % 10 if label is None else label
    part = Examples(np.arange(500, dtype=np.float32)[:, None], label.astype(np.int32))
    few = part.at_most(10)
    assert sorted(few.label) == list(range(10))
    assert (np.diff(few.x[:, 0]) > 0).all()
    np.testing.assert_array_equal(np.bincount(part.at_most(100).label), np.full(10, 10))


@pytest.mark.parametrize("where", ["host", "disk"])
def test_at_most_so_many_are_taken_or_all(where, tmp_path):
    part = WHOLE if where == "host" else stored(tmp_path)
    assert part.at_most(6) is part
    np.testing.assert_array_equal(part.at_most(4).read().label, LABEL[spread(6, 4, LABEL)])


def test_what_is_missing_stays_missing(tmp_path):
    assert WHOLE.take(np.array([1])).y is not None
    assert Examples(X).take(np.array([1])).label is None
    assert dataclasses.replace(stored(tmp_path), y=None, label=None).take(np.array([1])).read().label is None


def test_the_target_is_y_or_else_x():
    assert WHOLE.target is Y
    assert Examples(X, LABEL).target is X


def test_every_field_is_placed(tmp_path):
    for part in (WHOLE, stored(tmp_path)):
        placed = devices.place(part, Scale())
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(placed))
        np.testing.assert_array_equal(placed.y, Y)


def test_unseen_examples_are_as_many_as_their_codes():
    assert len(unseen(3)) == 3
    assert unseen(2, jnp.arange(2)).label.shape == (2,)
    assert blank_example((4,)).target.shape == (1, 4)


@pytest.mark.slow
def test_training_reconstructs_the_target(tiny):
    """A constant target, whatever the example: training comes nearer to it than to the examples."""
    parts = {
        name: dataclasses.replace(part, y=np.full(part.x.shape, 0.9, np.float32))
        for name in ("train", "validation", "test")
        for part in [tiny.dataset.part(name)]
    }
    experiment = dataclasses.replace(tiny.experiment, epochs=60)
    trained = fit(experiment, dataset=dataclasses.replace(tiny.dataset, **parts))
    error = trained.evaluate(parts["test"])["squared_error"]
    assert error < 0.1 < 1 < trained.evaluate(tiny.dataset.test)["squared_error"]
