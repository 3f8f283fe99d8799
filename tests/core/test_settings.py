import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.core import (
    InputError,
    as_arrays,
    configurable,
    known,
    known_class,
    known_subclasses,
    settings as settings_module,
    static,
)


@pytest.fixture(autouse=True)
def _own_names(monkeypatch):
    """Classes made in a test are forgotten after it."""
    monkeypatch.setattr(settings_module, "_KNOWN", dict(settings_module._KNOWN))


@pytest.fixture
def settings():
    @configurable
    class Inner:
        rate: float = 0.5

    @configurable
    class Settings:
        scale: float = 2.0
        inner: Inner = Inner()
        bound: float | None = None
        count: int = static(default=3)

    return Settings


def test_numbers_are_leaves_and_static_fields_are_structure(settings):
    assert jax.tree.leaves(settings()) == [2.0, 0.5]
    assert jax.tree.structure(settings(scale=9.0)) == jax.tree.structure(settings())
    assert jax.tree.structure(settings(count=4)) != jax.tree.structure(settings())


def test_settings_are_frozen_values(settings):
    assert settings(scale=1.0) == settings(scale=1.0) != settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().scale = 1.0


def test_settings_go_through_jit_and_come_back(settings):
    doubled = jax.jit(lambda tree: jax.tree.map(lambda leaf: 2 * leaf, tree))(settings())
    assert isinstance(doubled, settings)
    assert (float(doubled.scale), float(doubled.inner.rate), doubled.bound, doubled.count) == (4.0, 1.0, None, 3)


def test_a_subclass_adds_its_fields(settings):
    @configurable
    class More(settings):
        extra: float = 7.0

    assert sorted(jax.tree.leaves(More())) == [0.5, 2.0, 7.0]
    assert More in known_subclasses(settings)
    assert settings not in known_subclasses(settings)


def test_a_class_is_found_by_its_name(settings):
    assert known_class("Settings") is settings


@pytest.mark.parametrize("name", ["Nothing", "os:system", "subprocess.Popen", "builtins.eval", ""])
def test_a_name_that_nobody_registered_is_refused(name):
    with pytest.raises(InputError, match="not one that aejax knows"):
        known_class(name)


def test_two_classes_of_one_name_are_refused(settings):
    with pytest.raises(ValueError, match="two classes are named Settings"):
        known(type("Settings", (), {"__module__": "elsewhere"}))


def test_a_class_defined_again_in_the_same_place_takes_the_name():
    def define():
        @configurable
        class Again:
            rate: float = 0.5

        return Again

    first, second = define(), define()
    assert known_class("Again") is second is not first


def test_as_arrays_makes_strong_float32_scalars_and_leaves_structure_alone(settings):
    tree = as_arrays((settings(scale=1), {"weight": np.float64(0.1)}, None))
    assert jax.tree.structure(tree) == jax.tree.structure((settings(), {"weight": 0.0}, None))
    for leaf in jax.tree.leaves(tree):
        assert leaf.dtype == jnp.float32
        assert leaf.shape == ()
        assert not leaf.weak_type


def test_as_arrays_changes_no_array_of_float32():
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(as_arrays(x), x)
    assert as_arrays(as_arrays(1.5)) == 1.5
