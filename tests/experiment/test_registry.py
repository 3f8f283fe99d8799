import dataclasses
import subprocess
import sys

import pytest

import aejax
from aejax.core import InputError
from aejax.experiment import Experiment, choose_parts, registry

WITHOUT_FIGURE = {"ae-tabular", "vae-tabular", "ae-photos", "dae-photos", "vq-photos", "mae-photos", "vae-gan-mnist"}
"""Entries on tables of any kind, on photos whose baselines are computed on copies of them (experiments/photos.py,
masked.py), and one that is measured by what it draws beside its twin (vae_gan.py); no figure is made up."""


@pytest.fixture
def entries(monkeypatch):
    """A registry of the test's own."""
    registry.names()
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    return registry._ENTRIES


def test_every_registered_name_builds_an_experiment_of_that_name():
    for name, summary in registry.names().items():
        experiment = registry.get(name)
        assert isinstance(experiment, Experiment)
        assert experiment.name == name
        assert summary
        assert "\n" not in summary


def test_every_entry_says_what_it_should_achieve():
    for name in registry.names():
        expected = registry.get(name).expected
        if name in WITHOUT_FIGURE:
            assert expected is None, "it has a figure now: take it off the list"
            continue
        assert expected is not None
        assert expected.metric
        assert expected.source


def test_a_run_on_copies_of_photos_is_compared_with_no_published_number():
    own = registry.get("vae-photos")
    copies = dataclasses.replace(own, data=own.data.named("folder/of/photos"))
    assert own.expected is not None
    assert copies.expected is None
    assert copies.data.validation > 0


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(InputError, match=r"'ae-kears': did you mean .*ae-keras"):
        registry.get("ae-kears")


def test_a_name_near_nothing_says_what_lists_them():
    with pytest.raises(InputError, match="`aejax list` shows them all"):
        registry.get("zzzzzzzz")


def test_a_name_belongs_to_one_place_which_may_register_it_again(entries, tiny):
    def cell(epochs):
        def build():
            return dataclasses.replace(tiny.experiment, epochs=epochs)

        registry.register("own", f"of {epochs} epochs", build)

    cell(2)
    assert registry.get("own").name == "own"
    assert list(registry.names())[-1] == "own"
    cell(3)  # as a notebook's cell that is run twice
    assert registry.get("own").epochs == 3
    assert registry.names()["own"] == "of 3 epochs"
    with pytest.raises(ValueError, match=r"already registered as 'own', of .*build"):
        registry.register("own", "again", lambda: tiny.experiment)
    with pytest.raises(ValueError, match="ae-keras"):
        registry.register("ae-keras", "again", lambda: tiny.experiment)


def test_a_failed_registration_changes_nothing(entries, tiny):
    before = registry.names()
    with pytest.raises(ValueError, match="already"):
        registry.register("ae-keras", "again", lambda: tiny.experiment)
    assert registry.names() == before


@pytest.mark.parametrize("statement", ["import aejax", "import aejax; aejax.names()", "import aejax.cli"])
def test_names_are_listed_without_importing_what_is_heavy(statement):
    heavy = "{'jax', 'flax', 'optax', 'numpy', 'matplotlib', 'tensorflow', 'orbax'}"
    code = f"{statement}; import sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_public_names_are_all_importable_and_others_are_not():
    import aejax

    assert all(getattr(aejax, name) is not None for name in aejax.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = aejax.nothing


def test_what_own_data_hold_out_by_themselves_is_no_change_that_anybody_made():
    base = aejax.get("ae-keras")
    assert base.data.validation == 0
    own, _ = choose_parts(base, ["--data", "x.npy"])
    assert own.data.validation == 0.1
    assert registry.changes(own) == {"data.name": "x.npy"}
    more = dataclasses.replace(own, data=dataclasses.replace(own.data, validation=0.2))
    assert registry.changes(more) == {"data.name": "x.npy", "data.validation": 0.2}
    named = dataclasses.replace(base, data=dataclasses.replace(base.data, validation=0.1))
    assert registry.changes(named) == {"data.validation": 0.1}  # of data with a name somebody has chosen it
