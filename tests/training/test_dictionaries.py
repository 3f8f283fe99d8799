"""Dictionaries in the engine: a population, a stream, and a run that goes on, as every other model."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Adam, Batches, Examples, InputError
from aejax.data import Data, Dataset, MeanLength, Scale, load, pack
from aejax.devices import Parallel, Program
from aejax.experiment import Experiment
from aejax.losses import AuxK, Gaussian, Loss, Matryoshka, Reconstruction, StepL0, TargetL0
from aejax.models import BatchTopK, Dictionary, JumpReLU, UnitNormDecoder
from aejax.training import fit, fit_many
from tests.helpers.small import same_bits, without_times

ONE = Parallel(devices=1)


def normals(n, seed):
    return Examples((np.random.default_rng(seed).normal(size=(n, 6)) * 3 + np.arange(6)).astype(np.float32))


DATASET = Dataset("generated", normals(40, 0), normals(11, 1), normals(10, 2))
TERMS = {"error": Reconstruction(), "prefixes": Matryoshka(shares=(0.25, 0.5)), "aux": AuxK(window=20.0)}
BATCH = Experiment(
    Dictionary(latent=BatchTopK(16, 2, 0.9), decoder=UnitNormDecoder(start="median", length=0.1)),
    Loss(Gaussian(0.5**0.5), TERMS),
    Data("generated", preprocess=MeanLength()),
    Adam(1e-2, clip_norm=1.0),
    batch_size=8,
    epochs=4,
    name="dictionary",
)
"""All that keeps a state: thresholds that run, dead units that are counted, a start from data, a scale."""
JUMPS = dataclasses.replace(
    BATCH,
    model=BATCH.model.clone(latent=JumpReLU(16, 0.1, 0.5)),
    loss=Loss(Gaussian(), {"error": Reconstruction(), "l0": TargetL0(term=StepL0(), target=3.0), "aux": AuxK()}),
)


@pytest.fixture(scope="module")
def whole():
    return fit(BATCH, dataset=DATASET, parallel=ONE)


@pytest.mark.slow
def test_a_run_that_goes_on_ends_with_the_same_bits(whole, tmp_path):
    begun = fit(dataclasses.replace(BATCH, epochs=2), dataset=DATASET, folder=tmp_path, parallel=ONE)
    resumed = fit(BATCH, dataset=DATASET, resume=begun.run.path, parallel=ONE)
    assert same_bits(resumed.state, whole.state)
    assert without_times(resumed.history) == without_times(whole.history)
    assert set(whole.state.collections) == {"running", "loss"}
    assert whole.state.collections["running"]["latent"]["threshold"] > 0
    assert resumed.preprocess.scale == whole.preprocess.scale > 2


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [BATCH, JUMPS], ids=["batch-top-k", "jump-relu"])
def test_members_of_a_population_are_runs_alone(whole, experiment):
    terms = {**experiment.loss.terms, "aux": AuxK(0.5, window=9.0)}
    if "l0" in terms:
        terms["l0"] = TargetL0(0.3, term=StepL0(), target=5.0, rate=0.1)
    other = dataclasses.replace(experiment, loss=dataclasses.replace(experiment.loss, terms=terms), seed=3)
    members = fit_many([experiment, other], dataset=DATASET)
    alone = fit(other, dataset=DATASET, parallel=ONE)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)  # noqa: E731
    jax.tree.map(close, members[1].trained.state, alone.state)
    if experiment is BATCH:
        jax.tree.map(close, members[0].trained.state, whole.state)


@pytest.mark.slow
def test_a_stream_is_what_data_in_memory_are(tmp_path):
    np.save(tmp_path / "x.npy", DATASET.train.x)
    pack(str(tmp_path / "x.npy"), tmp_path / "packed")
    experiment = dataclasses.replace(BATCH, data=Data(str(tmp_path / "packed"), preprocess=MeanLength()), epochs=1)
    resident, streamed = (fit(experiment, parallel=ONE, buffer=buffer) for buffer in (1, 8e-6))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), streamed.state, resident.state)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_targets_in_a_narrow_type_are_float32_where_they_are_used(tmp_path, dtype):
    x = DATASET.train.x.astype(np.float16)
    y = jnp.asarray(DATASET.train.x[:, ::-1], dtype)
    experiment = dataclasses.replace(
        BATCH,
        model=Dictionary(latent=BatchTopK(24, 6, 0.9), decoder=UnitNormDecoder(start="mean"), subtract=False),
        epochs=1,
    )
    states = []
    for name, target in (("narrow", y), ("wide", np.asarray(y, np.float32))):
        pack([{"x": x, "y": np.asarray(target)}], tmp_path / name)
        given = dataclasses.replace(experiment, data=Data(str(tmp_path / name)))
        trained = fit(given, parallel=ONE)
        part = load(given.data).test.read()
        assert trained.target(part).dtype == np.float32
        states.append((trained.state, trained.evaluate(part)))
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(trained.state.params)} == {"float32"}
    jax.tree.map(np.testing.assert_array_equal, *states)


@pytest.mark.slow
def test_a_batch_by_itself_has_the_bits_that_it_has_among_others():
    """A stream gives batches in pieces of any number, which follow from when the run is saved and resumed."""
    x = np.random.default_rng(0).normal(size=(7, 1024, 384)).astype(np.float16)
    base = aejax.get("dictionary-batchtopk")
    experiment = dataclasses.replace(base, steps=7, data=Data("generated", validation=0.0, preprocess=MeanLength()))
    part = Examples(x.reshape(-1, 384))
    experiment = experiment.resolve(Dataset("generated", part, part.take(np.arange(0)), part.take(np.arange(9))))
    preprocess, parallel = MeanLength().fit(part.x), ONE.resolve(experiment)
    program = Program.of(experiment, preprocess, parallel)

    def trained(*ends):
        state = parallel.place(program.init((384,)))
        for first, last in itertools.pairwise((0, *ends)):
            state, _ = program.train(state, Batches(Examples(jax.device_put(x[first:last]))))
        return state.params

    assert same_bits(trained(6, 7), trained(7))
    assert same_bits(trained(3, 7), trained(7))


@pytest.mark.slow
def test_a_transcoder_decodes_other_values_from_those_it_is_given():
    """y is x in other axes: a dictionary that saw y in place of x, or decoded x, could not have it."""
    turned = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0].astype(np.float32)
    parts = [Examples(part.x, y=part.x @ turned + 50) for part in (DATASET.train, DATASET.validation, DATASET.test)]
    experiment = dataclasses.replace(
        BATCH,
        model=Dictionary(
            latent=BatchTopK(24, 6, 0.9),
            decoder=UnitNormDecoder(start="mean", length=0.1),
            subtract=False,
            tied_start=False,
        ),
        loss=Loss(Gaussian(), {"error": Reconstruction(), "aux": AuxK(window=50.0)}),
        data=Data("generated"),
        optimizer=Adam(2e-2),
        epochs=60,
    )
    trained = fit(experiment, dataset=Dataset("generated", *parts), parallel=ONE)
    guess, target = trained.reconstruct(parts[0].x), parts[0].y
    away = np.square(target - target.mean(axis=0, keepdims=True)).sum()
    assert np.square(target - guess).sum() / away < 0.2


def transcoder(out, **settings):
    parts = (DATASET.train, DATASET.validation, DATASET.test)
    turn = np.random.default_rng(5).normal(size=(6, out)).astype(np.float32)
    dataset = Dataset("generated", *(Examples(part.x, y=part.x @ turn + 50) for part in parts))
    given = {"shape": (out,), "subtract": False, "tied_start": False, "latent": BatchTopK(24, 2, 0.9)} | settings
    experiment = dataclasses.replace(
        BATCH,
        model=Dictionary(decoder=UnitNormDecoder(start="mean", length=0.1, skip=True), **given),
        loss=Loss(Gaussian(), {"error": Reconstruction(), "aux": AuxK(window=50.0)}),
        data=Data("generated"),
        optimizer=Adam(3e-2),
        epochs=60,
    )
    return experiment, dataset


@pytest.mark.slow
def test_a_transcoder_of_another_width_skips_what_is_linear(tmp_path):
    experiment, dataset = transcoder(4)
    trained = fit(experiment, dataset=dataset, parallel=ONE)
    x, y = dataset.test.x, dataset.test.y
    made = trained.reconstruct(x)
    assert made.shape == y.shape
    away = np.square(y - y.mean(axis=0, keepdims=True)).sum()
    assert np.square(y - made).sum() / away < 0.05  # two of its units could not: x has six values
    frozen = aejax.trained.freeze(trained)
    assert frozen.transcodes
    np.testing.assert_allclose(frozen.reconstruct(x), made, rtol=1e-4, atol=1e-3)
    again = aejax.load(aejax.trained.keep(trained, tmp_path, "here").path)
    np.testing.assert_array_equal(again.reconstruct(x), made)
    with pytest.raises(InputError, match=r"of the example itself too.*aejax reconstruct"):
        trained.decode(trained.encode(x))
    for refused in (lambda: trained.export(tmp_path / "programs"), lambda: trained.explore(dataset.test)):
        with pytest.raises(InputError, match="not of its codes alone"):
            refused()
    assert aejax.evaluation.measure(trained, dataset.test)["fvu"] < 0.05


@pytest.mark.parametrize(
    ("settings", "preprocess", "match"),
    [
        ({"shape": ()}, Scale(), r"targets of shape \(4,\) for examples of shape \(6,\): give --model.shape 4"),
        ({"shape": (5,)}, Scale(), "model.shape is"),
        ({"subtract": True}, Scale(), "bias of 4 values cannot be subtracted"),
        ({}, MeanLength(), "targets y, which are used as they are, but MeanLength"),
    ],
)
def test_settings_that_targets_do_not_fit_are_refused(settings, preprocess, match):
    experiment, dataset = transcoder(4, **settings)
    experiment = dataclasses.replace(experiment, data=Data("generated", preprocess=preprocess))
    with pytest.raises(InputError, match=match):
        fit(experiment, dataset=dataset, parallel=ONE)
