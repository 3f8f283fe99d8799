import contextlib
import dataclasses
import importlib
import json
import math
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aejax.core import Adam, Examples, InputError, Steps
from aejax.core.optimizers import SGD
from aejax.core.settings import _KNOWN
from aejax.data import Binarise, Dataset, Standardise, StaticBinarise
from aejax.experiment import Expected, Experiment, differences, dumps, from_json, registry, to_json
from aejax.losses import (
    KL,
    Bernoulli,
    Commitment,
    Gaussian,
    ImportanceWeighted,
    KLSparsity,
    Loss,
    Reconstruction,
    WeightL2,
)
from aejax.losses.aggregate import TotalCorrelation
from aejax.losses.levels import Categorical, DiscretisedLogistic
from aejax.losses.likelihoods import GaussianLearnedScale
from aejax.losses.mmd import MMD
from aejax.losses.quantised import Codebook
from aejax.models import (
    Autoencoder,
    ConvDecoder,
    ConvEncoder,
    GaussianLatent,
    Plain,
    VariationalAutoencoder,
    VectorQuantised,
)


@pytest.fixture
def rich(tiny):
    """An experiment with every kind of field: nested, optional, tuple, dictionary, literal."""
    return dataclasses.replace(
        tiny.experiment,
        model=Autoencoder(ConvEncoder((4, 2), activation="tanh"), Plain(3, "relu"), ConvDecoder((2, 4)), (4, 4, 1)),
        loss=Loss(GaussianLearnedScale(0.01), {"reconstruction": Reconstruction(2.0), "decay": WeightL2(1e-3)}),
        optimizer=SGD(0.3, Steps((0.2, 0.9), 0.5), clip_norm=1.0, horizon=7.0, nesterov=True),
        expected=Expected("squared_error", 1.0, 0.1, "a source", "C", higher_is_better=True),
    )


def changed(value, path, new):
    """The JSON form with the item at `path` replaced (or, given None for a dictionary, removed)."""
    *parents, last = path.split(".")
    value = json.loads(json.dumps(value))
    part = value
    for name in parents:
        part = part[name]
    part[last] = new
    return value


# The JSON form


def test_the_json_form_of_any_field_comes_back_equal(rich):
    assert from_json(json.loads(dumps(rich))) == rich


@pytest.mark.parametrize("name", registry.names())
def test_every_registered_experiment_comes_back_equal(name):
    experiment = registry.get(name)
    back = from_json(json.loads(dumps(experiment)))
    assert back == experiment
    assert hash(back.model) == hash(experiment.model)
    assert dumps(back) == dumps(experiment)


def test_a_resolved_experiment_comes_back_equal(tiny):
    resolved = tiny.experiment.resolve(tiny.dataset)
    assert from_json(json.loads(dumps(resolved))) == resolved


def test_the_json_form_is_plain_json(rich):
    assert json.loads(json.dumps(to_json(rich), allow_nan=False)) == to_json(rich)
    assert to_json(rich)["class"] == "Experiment"
    assert to_json(rich)["model"]["class"] == "Autoencoder"
    assert "parent" not in to_json(rich)["model"]


def test_a_term_may_have_any_name(rich):
    loss = Loss(Bernoulli(), {"class": Reconstruction()})
    assert from_json(json.loads(json.dumps(to_json(loss)))) == loss


@pytest.mark.parametrize(
    "name", ["os:system", "subprocess.Popen", "antigravity", "builtins.eval", "aejax.experiment.Experiment", ""]
)
def test_an_unknown_class_is_refused_and_nothing_is_imported(rich, name, monkeypatch):
    from_json(to_json(rich))
    value, imported, before = changed(to_json(rich), "model.class", name), [], set(sys.modules)
    monkeypatch.setattr(importlib, "import_module", imported.append)
    with pytest.raises(InputError, match=re.escape(repr(name))):
        from_json(value)
    assert not imported
    assert set(sys.modules) == before


@pytest.mark.parametrize("name", [None, 5, True, [], ["Adam"]])
def test_a_class_that_is_not_a_name_is_refused(name):
    with pytest.raises(InputError):
        from_json({"class": name})


WRONG = [
    ("optimizer.momentum", "0.9", "SGD.momentum takes a number, not '0.9'"),
    ("optimizer.momentum", None, "SGD.momentum takes a number, not None"),
    ("optimizer.nesterov", 1, "SGD.nesterov takes True or False, not 1"),
    ("optimizer.clip_norm", "1", "SGD.clip_norm takes a number or None, not '1'"),
    ("optimizer.schedule.at", [0.1, "x"], "Steps.at"),
    ("optimizer.schedule.at", 0.5, "Steps.at takes numbers, not 0.5"),
    ("optimizer.schedule", {"class": "Bernoulli"}, "SGD.schedule takes Schedule, not Bernoulli"),
    ("optimizer", {"class": "Plain"}, "Experiment.optimizer takes Optimizer, not Plain"),
    ("loss.terms", [], "Loss.terms"),
    ("loss.terms.decay", 3.0, "Loss.terms"),
    ("loss.terms.decay", {"class": "Adam"}, "Loss.terms"),
    ("model.encoder.channels", [1.5], "ConvEncoder.channels"),
    ("model.encoder.activation", "maxout", "ConvEncoder.activation is 'maxout'"),
    ("model.latent.size", 3.0, "Plain.size takes a whole number, not 3.0"),
    ("model.latent.size", True, "Plain.size takes a whole number, not True"),
    ("batch_size", "8", "Experiment.batch_size takes a whole number, not '8'"),
    ("name", 5, "Experiment.name takes a text, not 5"),
    ("expected", {"metric": "x"}, "Experiment.expected"),
    ("expected.tag", "Z", "Expected.tag is 'Z'"),
    ("optimiser", {"class": "Adam"}, "Experiment has no field 'optimiser': its fields are model, loss, data"),
    ("model.parent", None, "Autoencoder has no field 'parent'"),
]


@pytest.mark.parametrize(("path", "new", "message"), WRONG)
def test_a_field_that_does_not_fit_is_named_with_what_it_must_be(rich, path, new, message):
    with pytest.raises(InputError, match=message):
        from_json(changed(to_json(rich), path, new))


def test_a_missing_field_is_named(rich):
    value = to_json(rich)
    del value["model"]
    with pytest.raises(InputError, match=r"Experiment cannot be made from its JSON form: .*model"):
        from_json(value)


FIELDS = sorted({field.name for cls in _KNOWN.values() for field in dataclasses.fields(cls)} - {"parent"})
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NAMES = st.sampled_from(sorted(_KNOWN))


def json_values(inner):
    names = st.sampled_from([*FIELDS, "class"]) | st.text(max_size=5)
    classes = st.fixed_dictionaries({"class": NAMES | inner}) | st.builds(
        lambda name, fields: {**fields, "class": name},
        NAMES,
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    )
    return st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4) | classes


@pytest.mark.slow
@given(st.recursive(PLAIN, json_values, max_leaves=12))
@settings(max_examples=300, deadline=None)
def test_any_json_is_restored_or_refused_as_input(value):
    with contextlib.suppress(InputError):
        json.dumps(to_json(from_json(value)))


# Resolving


def replaced(value, path, new):
    first, _, rest = path.partition(".")
    return dataclasses.replace(value, **{first: replaced(getattr(value, first), rest, new) if rest else new})


def test_resolving_fills_in_the_output_s_shape_and_the_horizon(tiny):
    resolved = tiny.experiment.resolve(tiny.dataset)
    assert resolved.model.shape == (4, 4, 1)
    assert resolved.optimizer.horizon == 2 * (40 // 8)
    assert dataclasses.replace(resolved, model=tiny.experiment.model, optimizer=Adam()) == tiny.experiment


def test_the_output_s_shape_is_the_likelihood_s(tiny):
    learned = dataclasses.replace(tiny.experiment, loss=Loss(GaussianLearnedScale()))
    assert learned.resolve(tiny.dataset).model.shape == (4, 4, 1, 2)


def test_the_left_over_examples_of_an_epoch_are_not_steps(tiny):
    uneven = dataclasses.replace(tiny.experiment, batch_size=12, epochs=5)
    assert uneven.resolve(tiny.dataset).optimizer.horizon == 15


def test_a_horizon_that_is_given_is_kept_and_resolving_twice_changes_nothing(tiny):
    given_ = replaced(tiny.experiment, "optimizer.horizon", 1000.0).resolve(tiny.dataset)
    assert given_.optimizer.horizon == 1000.0
    assert given_.resolve(tiny.dataset) == given_


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("path", ["epochs", "batch_size", "optimizer.learning_rate", "model.latent.size"])
def test_numbers_that_cannot_train_are_refused(tiny, path, value):
    with pytest.raises(InputError, match=f"{path} is {value}, but it must be above zero and finite"):
        replaced(tiny.experiment, path, value).resolve(tiny.dataset)


@pytest.mark.parametrize("value", [0.0, 1.0, 1.5, math.nan])
def test_a_mean_activation_that_no_unit_can_have_is_refused(tiny, value):
    loss = Loss(terms={"reconstruction": Reconstruction(), "sparse": KLSparsity(rho=value)})
    model = tiny.experiment.model.clone(latent=Plain(3, "sigmoid"))
    with pytest.raises(InputError, match=rf"loss.terms.sparse.rho is {value}, but it must be above zero and below 1"):
        dataclasses.replace(tiny.experiment, model=model, loss=loss).resolve(tiny.dataset)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
@pytest.mark.parametrize("path", ["optimizer.horizon", "optimizer.clip_norm", "loss.likelihood.scale"])
def test_divisors_that_cannot_divide_are_refused(tiny, path, value):
    experiment = dataclasses.replace(tiny.experiment, loss=Loss(Gaussian()))
    with pytest.raises(InputError, match=path):
        replaced(experiment, path, value).resolve(tiny.dataset)


def test_a_seed_that_no_key_can_hold_is_refused(tiny):
    with pytest.raises(InputError, match="seed is 99999999999999999999"):
        dataclasses.replace(tiny.experiment, seed=99999999999999999999).resolve(tiny.dataset)


def test_a_batch_larger_than_the_training_part_is_refused(tiny):
    assert replaced(tiny.experiment, "batch_size", 40).resolve(tiny.dataset).batch_size == 40
    with pytest.raises(InputError, match=r"batch_size is 41, .* tiny has only 40 examples"):
        replaced(tiny.experiment, "batch_size", 41).resolve(tiny.dataset)


def test_terms_learn_the_number_of_examples_that_an_epoch_trains_on_unless_it_is_given(tiny):
    terms = {"tc": TotalCorrelation(2.0), "told": TotalCorrelation(examples=7.0), "kl": KL()}
    parts = tiny.experiment.model.encoder, GaussianLatent(3), tiny.experiment.model.decoder
    model = VariationalAutoencoder(*parts)
    uneven = dataclasses.replace(tiny.experiment, model=model, loss=Loss(terms=terms), batch_size=12)
    expected = terms | {"tc": TotalCorrelation(2.0, examples=36.0)}
    assert uneven.resolve(tiny.dataset).loss.terms == expected
    assert uneven.resolve_for((4, 4, 1), 3).loss.terms == expected


VQ = VectorQuantised(2, 3, 5)


@pytest.mark.parametrize(
    ("kind", "latent", "terms", "said"),
    [
        (Autoencoder, VQ, {}, r"VectorQuantised needs .* commitment, .* \(--loss.terms.commitment commitment\)"),
        (Autoencoder, VQ, {"codebook": Codebook()}, "VectorQuantised needs .* commitment"),
        (Autoencoder, VQ, {"near": Commitment(0.0)}, None),
        (
            Autoencoder,
            VQ.clone(learning="gradient"),
            {"near": Commitment()},
            "needs the term codebook, .* learning=gradient",
        ),
        (Autoencoder, VQ.clone(learning="gradient"), {"near": Commitment(), "codes": Codebook()}, None),
        (
            VariationalAutoencoder,
            GaussianLatent(2),
            {},
            r"StandardNormal needs .* kl, capacity, .* \(--loss.terms.kl kl\)",
        ),
        (VariationalAutoencoder, GaussianLatent(2), {"tc": TotalCorrelation()}, "StandardNormal needs a term"),
        (VariationalAutoencoder, GaussianLatent(2), {"bound": ImportanceWeighted()}, None),
        (VariationalAutoencoder, Plain(2), {"mmd": MMD()}, None),
    ],
)
def test_a_part_of_a_model_that_needs_a_term_is_refused_without(tiny, kind, latent, terms, said):
    model = kind(tiny.experiment.model.encoder, latent, tiny.experiment.model.decoder)
    loss = Loss(terms={"reconstruction": Reconstruction()} | terms)
    experiment = dataclasses.replace(tiny.experiment, model=model, loss=loss)
    if said is None:
        experiment.resolve(tiny.dataset)
        return
    with pytest.raises(InputError, match=said):
        experiment.resolve(tiny.dataset)


def test_a_model_made_for_another_shape_is_refused(tiny):
    other = dataclasses.replace(tiny.experiment, model=tiny.experiment.model.clone(shape=(5, 5, 1)))
    with pytest.raises(InputError, match=r"\(5, 5, 1\)"):
        other.resolve(tiny.dataset)


def floats(dataset, **values):
    """The data set as float32 in [0, 1], with one value of a part set."""

    def part(name):
        x = dataset.part(name).x.astype(np.float32) / 255
        x.flat[-1] = values.get(name, x.flat[-1])
        return Examples(x)

    return Dataset(dataset.name, part("train"), part("validation"), part("test"))


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, math.nan])
def test_bernoulli_refuses_values_outside_its_support(tiny, value):
    with pytest.raises(InputError, match=r"Bernoulli needs values in \[0, 1\].*gaussian"):
        tiny.experiment.resolve(floats(tiny.dataset, train=value))


def test_bernoulli_takes_grey_levels_and_values_in_its_support(tiny):
    tiny.experiment.resolve(tiny.dataset)
    tiny.experiment.resolve(floats(tiny.dataset, train=1.0))
    tiny.experiment.resolve(floats(tiny.dataset, train=0.0))


def test_bernoulli_refuses_data_that_preprocessing_takes_out_of_its_support(tiny):
    with pytest.raises(InputError, match="Bernoulli"):
        replaced(tiny.experiment, "data.preprocess", Standardise()).resolve(tiny.dataset)


@pytest.mark.parametrize("likelihood", [Categorical(), DiscretisedLogistic()])
def test_likelihoods_of_levels_take_data_on_their_grid_alone(tiny, likelihood):
    grey = replaced(tiny.experiment, "loss", Loss(likelihood))
    assert grey.resolve(tiny.dataset).model.shape[:3] == (4, 4, 1)
    grey.resolve(floats(tiny.dataset))
    with pytest.raises(InputError, match=r"of 256 levels needs whole multiples of 1/255, but tiny has 0.5: give"):
        grey.resolve(floats(tiny.dataset, test=0.5))
    two = replaced(grey, "loss.likelihood.levels", 2)
    with pytest.raises(InputError, match=r"of 2 levels needs whole multiples of 1/1, but tiny has 0\."):
        two.resolve(tiny.dataset)
    for binary in (Binarise(), StaticBinarise()):
        replaced(two, "data.preprocess", binary).resolve(tiny.dataset)
    with pytest.raises(InputError, match="levels is 1: give at least 2"):
        replaced(grey, "loss.likelihood.levels", 1).resolve(tiny.dataset)


def test_gaussian_takes_any_value(tiny):
    dataclasses.replace(tiny.experiment, loss=Loss(Gaussian())).resolve(floats(tiny.dataset, train=-255.0))


# Values


def test_differences_are_by_path_with_old_and_new(tiny):
    new = dataclasses.replace(tiny.experiment, seed=3, optimizer=SGD(0.1), expected=Expected("x", 1.0))
    found = differences(tiny.experiment, new)
    assert found["seed"] == (0, 3)
    assert found["optimizer.class"] == ("Adam", "SGD")
    assert found["optimizer.learning_rate"] == (1e-3, 0.1)
    assert found["optimizer.b1"] == (0.9, None)
    assert found["optimizer.momentum"] == (None, 0.9)
    assert not {path for path in found if path.startswith(("expected", "model", "loss", "data"))}


def test_an_experiment_does_not_differ_from_its_equal(rich):
    assert differences(rich, dataclasses.replace(rich)) == {}


def test_terms_and_shapes_are_settings_that_may_differ(tiny, rich):
    base = Experiment(rich.model, rich.loss, rich.data)
    found = differences(base, dataclasses.replace(base, loss=Loss(rich.loss.likelihood)))
    assert found["loss.terms.decay.class"] == ("WeightL2", None)
    assert differences(base, dataclasses.replace(base, model=base.model.clone(shape=(2,)))) == {
        "model.shape": ([4, 4, 1], [2])
    }


MEASURED = [
    (1.0, False, True),
    (1.1, False, True),
    (1.2, False, False),
    (0.0, False, True),
    (0.9, True, True),
    (0.8, True, False),
    (5.0, True, True),
    (math.nan, False, False),
    (math.nan, True, False),
]


@pytest.mark.parametrize(("measured", "higher", "met"), MEASURED)
def test_a_figure_is_met_within_its_tolerance_and_never_by_nan(measured, higher, met):
    assert Expected("x", 1.0, 0.11, higher_is_better=higher).met_by(measured) == met
    declared = Expected("auroc" if higher else "squared_error", 1.0, 0.11, higher_is_better=not higher)
    assert declared.met_by(measured) == met


def test_of_a_metric_that_is_better_neither_lower_nor_higher_the_distance_counts():
    target = Expected("mean_activation", 0.1, 0.01)
    assert [target.met_by(value) for value in (0.095, 0.105, 0.08, 0.12)] == [True, True, False, False]
    assert target.short_by(0.08) == pytest.approx(0.02)


@pytest.mark.parametrize("tag", ["C", "V", "R", "M"])
def test_a_figure_is_compared_with_the_mean_over_seeds(tag):
    compared = Expected("squared_error", 3.0, 0.5, "there", tag).compare([3.0, 3.5])
    assert (compared["published"], compared["baseline"]) == ((None, 3.0) if tag == "C" else (3.0, None))
    assert compared["measured"] == 3.25
    assert compared["deviation"] == pytest.approx(np.std([3.0, 3.5], ddof=1))
    assert (compared["reached"], compared["short_by"], compared["met"]) == (False, 0.25, True)
    alone = Expected("squared_error", 3.0, tag=tag).compare([2.0])
    assert (alone["seeds"], alone["deviation"], alone["reached"], alone["short_by"]) == (1, None, True, 0)
    assert not Expected("squared_error", 3.0, tag=tag).compare([math.nan])["reached"]


def test_epochs_that_say_nothing_beside_steps_are_told_of_once(caplog):
    data = Dataset(
        "table", *(Examples(np.random.default_rng(0).normal(size=(n, 6)).astype("f4")) for n in (300, 20, 20))
    )
    registered = registry.get("ae-tabular")
    registered.resolve(data)
    dataclasses.replace(registered, epochs=5, steps=None).resolve(data)
    assert not caplog.text
    for _ in range(2):
        dataclasses.replace(registered, epochs=7).resolve(data)
    assert caplog.text.count("ae-tabular counts steps, 1,000 of them: epochs=7 changes nothing, give steps") == 1
