"""Names and hashes of experiments: a new field with a default leaves them as they are, and a changed value does not."""

import dataclasses
import importlib
import json
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import aejax
from aejax.core import Adam, State, known_subclasses
from aejax.data import Standardise
from aejax.experiment import as_first_written, canonical, serialization
from aejax.losses import Gaussian
from aejax.models import MLPEncoder
from aejax.sweeps import plan
from aejax.trained import Trained
from aejax.trained.compression import fingerprint, first_fingerprint
from aejax.training import EarlyStopping
from aejax.training._group_checkpoint import member_names
from aejax.training._older_groups import older_names

FIRST = json.loads(Path(serialization.__file__).with_name("settings-0.1.0.json").read_text())


def encoders(**fields):
    """Makes a class of encoders, always by the same name, whose fields are those of an MLP and the numbers given."""
    annotations = dict.fromkeys(fields, float)
    return type("OwnEncoder", (MLPEncoder,), {"__annotations__": annotations, "__module__": __name__, **fields})


def names(tiny, encoder):
    """Returns every name and hash that is made of an experiment with that encoder: today's, and version 0.1.0's."""
    experiment = dataclasses.replace(tiny.experiment, model=tiny.experiment.model.clone(encoder=encoder))
    state = State(np.int32(0), {"kernel": np.zeros(3)}, (), {})
    trained = Trained(experiment, tiny.dataset.shape, experiment.data.preprocess, state)
    members = [experiment], EarlyStopping(3), 0
    own = [canonical(experiment), plan.identity(experiment), *member_names(*members), fingerprint(trained)]
    return own, [*older_names(*members), first_fingerprint(trained)]


def test_a_new_field_with_a_default_changes_no_name_and_a_changed_value_every_one(tiny):
    before, after = encoders(gain=1.0), encoders(gain=1.0, added=0.5)
    own, _ = names(tiny, before((8,)))
    assert names(tiny, after((8,)))[0] == own
    for other in (before((8,), gain=2.0), after((8,), added=0.25), before((9,))):
        assert not set(names(tiny, other)[0]) & set(own)


def test_the_names_of_the_first_version_leave_out_what_was_added_since(tiny, monkeypatch):
    monkeypatch.setattr(serialization, "_first_settings", lambda: FIRST | {"OwnEncoder": FIRST["MLPEncoder"]})
    _, first = names(tiny, encoders()((8,)))
    added = encoders(added=0.5)
    assert names(tiny, added((8,)))[1] == first
    assert not set(names(tiny, added((8,), added=0.25))[1]) & set(first)


def test_what_the_first_version_wrote_has_every_field_that_it_knew(tiny):
    assert as_first_written(tiny.experiment)["model"]["encoder"] == {"class": "MLPEncoder", "hidden": [8]} | {
        name: default for name, default in FIRST["MLPEncoder"].items() if name != "hidden"
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Adam(), {"class": "Adam"}),
        (Adam(0.5, clip_norm=None), {"class": "Adam", "learning_rate": 0.5}),
        (Gaussian(1), {"class": "Gaussian"}),
        (Standardise(), {"class": "Standardise"}),
        ((MLPEncoder(()), None), [{"class": "MLPEncoder"}, None]),
    ],
)
def test_the_canonical_form_says_what_differs_from_the_defaults(value, said):
    assert json.loads(canonical(value)) == said


def test_no_default_has_changed_since_the_first_version():
    """A name does not say what equals a default, so with another default it would mean another experiment."""
    for module in pkgutil.walk_packages(aejax.__path__, "aejax."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    classes = {cls.__name__: cls for cls in known_subclasses(object)}
    assert len(classes.keys() & FIRST.keys()) > 50
    for name in classes.keys() & FIRST.keys():
        for field in serialization._fields(classes[name]):
            then, now = FIRST[name].get(field.name), serialization._default(field)
            if field.name in FIRST[name] and then != {"required": True}:
                assert as_first_written(now) == then, f"{name}.{field.name}"
