import dataclasses
import itertools
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import aejax
from aejax import devices
from aejax.core import BUFFER, Adam, InputError
from aejax.core.optimizers import SGD
from aejax.data import Dataset
from aejax.devices import programs
from aejax.losses import KL, Gaussian, GaussianNoise, Loss, Reconstruction
from aejax.models import ConditionalAutoencoder, GaussianLatent, MLPDecoder, MLPEncoder, Plain
from aejax.sweeps import budget, plan
from aejax.training import EarlyStopping, SuccessiveHalving, _group, population
from aejax.training._group import Population
from tests.helpers import virtual


def variants(experiment, rates=(1e-3, 1e-2, 3e-3), **changes):
    return [
        dataclasses.replace(experiment, optimizer=Adam(rate), seed=seed, **changes) for seed, rate in enumerate(rates)
    ]


def fitted(experiments, **options):
    return list(population.fit_each(experiments, **options))


def curve(rows, name="loss_nats"):
    return [(row["epoch"], row["step"], row["split"], row[name]) for row in rows]


def assert_same_curve(rows, alone, rtol=2e-5):
    assert [row[:3] for row in curve(rows)] == [row[:3] for row in curve(alone)]
    np.testing.assert_allclose([row[3] for row in curve(rows)], [row[3] for row in curve(alone)], rtol=rtol)


def test_each_member_ends_as_it_would_alone(tiny):
    noisy = [
        dataclasses.replace(member, loss=Loss(corruption=GaussianNoise(level)))
        for member, level in zip(variants(tiny.experiment, epochs=3), (0.0, 0.1, 0.3), strict=True)
    ]
    together = fitted(noisy, dataset=tiny.dataset)
    for member, outcome in zip(noisy, together, strict=True):
        alone = aejax.fit(member, dataset=tiny.dataset)
        assert (outcome.failed_at, outcome.stopped_after) == (None, None)
        assert outcome.trained.experiment == alone.experiment
        assert_same_curve(outcome.trained.history, alone.history)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), outcome.trained.state, alone.state)
        x = tiny.dataset.test.x
        np.testing.assert_allclose(outcome.trained.reconstruct(x), alone.reconstruct(x), atol=1e-4)


@pytest.mark.slow
def test_arrays_are_taken_as_a_run_takes_them(tiny):
    members = variants(tiny.experiment, epochs=1)[:2]
    x, label = tiny.dataset.train.x, tiny.dataset.train.label
    for given in (x, (x, label)):
        for member, outcome in zip(members, fitted(members, dataset=given), strict=True):
            alone = aejax.fit(member, dataset=given)
            assert outcome.trained.experiment == alone.experiment
            assert outcome.trained.experiment.data.name == "arrays"
            assert_same_curve(outcome.trained.history, alone.history)


@pytest.mark.slow
def test_members_of_a_conditional_model_end_as_they_would_alone(tiny):
    model = ConditionalAutoencoder(MLPEncoder((4,)), GaussianLatent(2), MLPDecoder(), classes=3)
    terms = {"reconstruction": Reconstruction(), "kl": KL()}
    members = variants(dataclasses.replace(tiny.experiment, model=model, loss=Loss(terms=terms)), (1e-3, 1e-2))
    for member, outcome in zip(members, fitted(members, dataset=tiny.dataset), strict=True):
        assert_same_curve(outcome.trained.history, aejax.fit(member, dataset=tiny.dataset).history)


@pytest.mark.slow
def test_with_a_shared_order_members_of_the_first_seed_end_as_they_would_alone(tiny):
    members = [dataclasses.replace(member, seed=4) for member in variants(tiny.experiment)]
    for member, outcome in zip(members, fitted(members, dataset=tiny.dataset, shared_order=True), strict=True):
        assert_same_curve(outcome.trained.history, aejax.fit(member, dataset=tiny.dataset).history)
    seeds = variants(tiny.experiment, (1e-2, 1e-2, 1e-2))
    own, shared = (fitted(seeds, dataset=tiny.dataset, shared_order=order)[1] for order in (False, True))
    assert curve(own.trained.history) != curve(shared.trained.history)


@pytest.mark.slow
def test_one_program_serves_every_number_and_any_epoch(tiny):
    programs._train.clear_cache()
    for rates in ((1e-3, 1e-2, 3e-3), (1e-4, 5e-2, 0.7e-3)):
        fitted(variants(tiny.experiment, rates, epochs=4), dataset=tiny.dataset)
    assert programs._train._cache_size() == 1


@pytest.mark.slow
def test_a_member_that_fails_is_frozen_at_its_step_and_the_others_go_on(tiny):
    members = [
        dataclasses.replace(member, optimizer=SGD(rate))
        for member, rate in zip(variants(tiny.experiment, epochs=3), (1e-4, 1e30, 1e-3), strict=True)
    ]
    outcomes = fitted(members, dataset=tiny.dataset)
    assert [outcome.failed_at is None for outcome in outcomes] == [True, False, True]
    assert_same_curve(outcomes[2].trained.history, aejax.fit(members[2], dataset=tiny.dataset).history)
    with pytest.raises(aejax.core.DivergedError, match=rf"at step {outcomes[1].failed_at} "):
        aejax.fit(members[1], dataset=tiny.dataset)
    assert int(outcomes[1].trained.state.step) == outcomes[1].failed_at - 1


@pytest.mark.slow
def test_a_member_that_has_failed_once_has_failed_though_later_batches_are_finite(tiny):
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    x[7] = 1e25  # its square is infinite
    part = dataclasses.replace(tiny.dataset.train, x=x)
    dataset = Dataset("once", part, part.take(np.arange(7)), part.take(np.arange(7)))
    members = variants(dataclasses.replace(tiny.experiment, loss=Loss(Gaussian())))
    for outcome in fitted(members, dataset=dataset):
        assert outcome.failed_at is not None
        assert int(outcome.trained.state.step) == outcome.failed_at - 1 < 5
        assert outcome.trained.history == []


@pytest.mark.slow
def test_an_observer_sees_the_rows_of_all_members_by_the_places_of_their_experiments(tiny, monkeypatch):
    monkeypatch.setattr(devices, "lanes", lambda: 2)
    seen, members = [], variants(tiny.experiment, (1e-3, 1e30, 3e-3), epochs=3)

    def note(rows, state):
        assert {int(step) for step in state.step if step == rows[0]["step"]}
        seen.extend(rows)

    outcomes = fitted(members, dataset=tiny.dataset, observers=[note])
    for place, outcome in enumerate(outcomes):
        own = [{name: row[name] for name in row if name != "member"} for row in seen if row["member"] == place]
        assert own == outcome.trained.history


@pytest.mark.slow
def test_a_population_is_split_to_fit_memory_and_ends_the_same(tiny, monkeypatch):
    monkeypatch.setattr(devices, "lanes", lambda: 1)
    members = variants(tiny.experiment, (1e-3, 1e-2, 3e-3, 1e-1))
    widths = []
    whole = fitted(members, dataset=tiny.dataset)
    split = fitted(
        members, dataset=tiny.dataset, memory=40_000, observers=[lambda rows, state: widths.append(len(state.step))]
    )
    assert 1 <= max(widths) < 4
    assert len(set(widths)) == 1  # one program for all groups
    for one, other in zip(whole, split, strict=True):
        assert_same_curve(one.trained.history, other.trained.history)


@pytest.mark.slow
def test_successive_halving_keeps_the_best_and_their_curves(tiny, monkeypatch):
    monkeypatch.setattr(devices, "lanes", lambda: 2)  # who is compared trains side by side nevertheless
    members = variants(tiny.experiment, (1e-5, 1e-2, 1e-4, 3e-2), epochs=6)
    everything = fitted(members, dataset=tiny.dataset)
    outcomes = fitted(members, dataset=tiny.dataset, selection=SuccessiveHalving((2, 4)))
    ends = [outcome.stopped_after for outcome in outcomes]
    assert sorted(ends, key=lambda end: end or 99) == [2, 2, 4, None]
    for outcome, whole in zip(outcomes, everything, strict=True):
        rows = outcome.trained.history
        assert_same_curve(rows, whole.trained.history[: len(rows)])
    at_rung = [outcome.trained.history[3]["loss_nats"] for outcome in everything]
    assert {number for number, end in enumerate(ends) if end == 2} == set(np.argsort(at_rung)[2:])


@pytest.mark.slow
def test_what_fills_up_the_last_group_takes_no_part_in_a_selection(tiny, monkeypatch):
    monkeypatch.setattr(population, "_at_once", lambda *_: (1, 4))
    members = variants(tiny.experiment, (1e-4, 1e-3, 3e-2), epochs=3)  # the last, the best, fills up the group
    outcomes = fitted(members, dataset=tiny.dataset, selection=SuccessiveHalving((1,)))
    assert [outcome.stopped_after for outcome in outcomes] == [1, None, None]


@pytest.mark.slow
def test_a_selection_is_asked_with_the_validation_losses_so_far(tiny, monkeypatch):
    members, asked = variants(tiny.experiment, epochs=3), []
    monkeypatch.setattr(population, "_at_once", lambda *_: (1, len(members)))

    class Asked(EarlyStopping):
        def keep(self, losses):
            asked.append(losses)
            return super().keep(losses)

    outcomes = fitted(members, dataset=tiny.dataset, selection=Asked(99))
    rows = [[row for row in outcome.trained.history if row["split"] == "validation"] for outcome in outcomes]
    losses = np.asarray([[row["loss_nats"] for row in own] for own in rows]).T
    assert [len(seen) for seen in asked] == [1, 2]  # after the last epoch nothing is left to decide
    np.testing.assert_array_equal(asked[-1], losses[:2])


def test_selections_by_hand():
    falling, rising = np.asarray([5.0, 4, 3, 2]), np.asarray([5.0, 4, 4.5, 6])
    losses = np.stack([falling, rising], axis=1)
    assert EarlyStopping(2).keep(losses).tolist() == [True, False]
    assert EarlyStopping(3).keep(losses).tolist() == [True, True]
    recovering = np.asarray([[5.0], [3], [4], [3.5]])  # it falls, but to no new low
    assert [EarlyStopping(patience).keep(recovering).tolist() for patience in (2, 3)] == [[False], [True]]
    gone = np.array([[3.0], [np.nan], [4.0]])
    assert [EarlyStopping(patience).keep(gone).tolist() for patience in (2, 3)] == [[False], [True]]
    assert EarlyStopping(3).why_idle(1, 5) is None
    assert "cannot end a training of 4" in EarlyStopping(3).why_idle(1, 4)
    assert SuccessiveHalving((1, 2)).why_idle(2, 3) is None
    assert "compared with none" in SuccessiveHalving((1, 2)).why_idle(1, 3)
    assert "at the comparison after 3" in SuccessiveHalving((1, 3)).why_idle(2, 3)
    assert "a share of 0.9 of 3 trials are all" in SuccessiveHalving((1,), 0.9).why_idle(3, 3)
    assert SuccessiveHalving((4,)).keep(losses).tolist() == [True, False]
    assert SuccessiveHalving((3,)).keep(losses).tolist() == [True, True]
    assert SuccessiveHalving((4,), 0.01).keep(losses).tolist() == [True, False]
    crossing = np.asarray([[1.0, 4], [5, 3]])  # what counts is the loss at the rung
    assert SuccessiveHalving((2,)).keep(crossing).tolist() == [False, True]


@pytest.mark.parametrize(
    ("change", "named"),
    [({"batch_size": 4}, "batch_size"), ({"epochs": 3}, "epochs"), ({"optimizer": SGD()}, "optimizer")],
)
def test_members_of_different_structure_are_refused(tiny, change, named):
    members = [tiny.experiment, dataclasses.replace(tiny.experiment, **change)]
    with pytest.raises(InputError, match=rf"traced numbers and seeds alone, not in: .*{named}"):
        fitted(members, dataset=tiny.dataset)


def test_a_selection_without_validation_is_refused(tiny):
    empty = dataclasses.replace(tiny.dataset, validation=tiny.dataset.train.take(np.arange(0)))
    with pytest.raises(InputError, match="needs a validation part"):
        fitted([tiny.experiment], dataset=empty, selection=EarlyStopping())


ON_FOUR_DEVICES = """
import dataclasses, json, sys
import jax, numpy as np
from aejax.core import Adam, Examples
from aejax.data import Data, Dataset
from aejax.experiment import Experiment
from aejax.losses import Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.core import BUFFER
from aejax.devices import programs
from aejax.training import fit_many
from aejax.training._group import Group, Population
assert jax.device_count() == 4
x = np.random.default_rng(0).integers(0, 255, (32, 6), np.uint8)
data = Dataset("tiny", Examples(x), Examples(x[:8]), Examples(x[:8]))
base = Experiment(Autoencoder(MLPEncoder(), Plain(2), MLPDecoder()), Loss(), Data("tiny"), batch_size=8, epochs=2)
members = [dataclasses.replace(base, optimizer=Adam(10.0 ** -rate), seed=rate) for rate in range(1, 7)]
outcomes = fit_many(members, dataset=data)
losses = [outcome.trained.history[-1]["loss_nats"] for outcome in outcomes]
resolved = [member.resolve(data) for member in members[:4]]
engine = Group(Population.of(resolved[0], data, False, BUFFER), resolved, [0, 1, 2, 3]).engine
(batches,) = engine.source.batches(0, 4)
text = programs._train.lower(*engine.program._training, engine.state, batches, engine.program.key).compile().as_text()
spread = len(engine.state.state.step.sharding.device_set)
collectives = [name for name in ("all-reduce", "all-gather", "all-to-all", "collective-permute") if name in text]
print(json.dumps([losses, spread, collectives]))
"""


@pytest.mark.slow
def test_members_are_shared_out_over_devices_without_a_collective():
    import json

    root = Path(__file__).parents[2]
    printed = {}
    for count in (1, 4):
        environment = virtual.environment(count) | {"PYTHONPATH": str(root)}
        source = ON_FOUR_DEVICES.replace("== 4", f"== {count}")
        done = subprocess.run(
            [sys.executable, "-c", source], env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        printed[count] = json.loads(done.stdout)
    np.testing.assert_allclose(printed[4][0], printed[1][0], rtol=1e-5)
    assert printed[4][1:] == [4, []]


@pytest.mark.slow
def test_one_member_after_the_other_on_every_core_takes_one_program_and_ends_the_same(tiny, monkeypatch):
    members = variants(tiny.experiment, (1e-3, 1e-2, 3e-3, 1e-1))
    monkeypatch.setattr(devices, "lanes", lambda: 2)
    together = fitted(members, dataset=tiny.dataset, selection=SuccessiveHalving(()))
    compiled = (programs._init, programs._train, programs._evaluate)
    for program in compiled:
        program.clear_cache()
    monkeypatch.setattr(population, "SMALL", 0.0)
    alone = fitted(members, dataset=tiny.dataset)
    assert [program._cache_size() for program in compiled] == [1, 1, 1]
    for one, other in zip(together, alone, strict=True):
        assert_same_curve(one.trained.history, other.trained.history)


@pytest.mark.parametrize(
    ("room", "expected"),
    [(100, (4, 1)), (3, (3, 1)), (0, (1, 1))],  # members that there is memory for
)
def test_as_many_train_at_a_time_as_there_are_cores_and_memory(tiny, monkeypatch, room, expected):
    monkeypatch.setattr(population, "SMALL", 0.0)
    monkeypatch.setattr(devices, "lanes", lambda: 4)
    members = [tiny.experiment.resolve(tiny.dataset)] * 6
    shared = Population.of(members[0], tiny.dataset, False, BUFFER)
    each = shared.memory(members[:1])
    assert population._at_once(shared, members, None, shared.fixed_bytes + room * each) == expected


@pytest.mark.slow
def test_the_memory_of_validation_counts(tiny):
    many = dataclasses.replace(tiny.dataset, validation=tiny.dataset.train.take(np.zeros(1024, int)))
    resolved = [tiny.experiment.resolve(tiny.dataset)] * 3
    needed = {}
    for name, dataset in (("few", tiny.dataset), ("many", many)):
        shared = Population.of(resolved[0], dataset, False, BUFFER)
        needed[name] = shared.memory(resolved)
    assert needed["many"] > needed["few"] + 3 * 4 * 1024  # a float for each example and member, at the very least


@pytest.mark.slow
def test_the_compiled_program_takes_at_least_what_its_budget_says(tiny):
    trials = plan.grid(tiny.experiment, {"seed": [0, 1, 2, 3]})
    members = [trial.experiment.resolve(tiny.dataset) for trial in trials]
    shared = Population.of(members[0], tiny.dataset, False, BUFFER)
    compiled = shared.memory(members) / len(members)
    own = budget.Budget.of(trials, 32, None, read=lambda data: tiny.dataset)
    params = 16 * 8 + 8 + 8 * 3 + 3 + 3 * 8 + 8 + 8 * 16 + 16
    assert 4 * 7 * params <= own.member_bytes < min(compiled, 4 * 7 * params + 100)
    assert own.data_bytes == (40 + 11) * (16 + 4)  # a byte for each pixel, four for a label
    assert own.lanes * own.members == 4


@pytest.mark.slow
def test_experiments_of_several_structures_end_in_their_order_as_they_would_alone(tiny):
    sizes = (2, 3, 2, 3)
    members = [
        dataclasses.replace(
            tiny.experiment, seed=seed, model=tiny.experiment.model.clone(latent=Plain(size)), optimizer=Adam(10**-seed)
        )
        for seed, size in enumerate(sizes, 1)
    ]
    seen = []
    watch = [lambda rows, state: seen.extend((row["member"], row["loss_nats"]) for row in rows)]
    outcomes = population.fit_many(members, dataset=tiny.dataset, observers=watch)
    for place, (member, outcome) in enumerate(zip(members, outcomes, strict=True)):
        alone = aejax.fit(member, dataset=tiny.dataset)
        assert outcome.trained.experiment == alone.experiment
        assert_same_curve(outcome.trained.history, alone.history)
        assert [loss for at, loss in seen if at == place] == [row["loss_nats"] for row in outcome.trained.history]


def test_one_experiment_that_cannot_be_trained_stops_all_structures_before_one_trains(tiny):
    bad = dataclasses.replace(tiny.experiment, model=tiny.experiment.model.clone(latent=Plain(2)), batch_size=4000)
    seen = []
    with pytest.raises(InputError, match="batch_size is 4000"):
        population.fit_many([tiny.experiment, bad], dataset=tiny.dataset, observers=[lambda *each: seen.append(each)])
    assert not seen


@pytest.mark.slow
def test_the_time_of_members_that_train_together_is_shared_out(tiny, monkeypatch):
    """Three members side by side, by a clock that goes on by six seconds whenever it is read, once an epoch."""
    ticks = itertools.count(0, 6)
    monkeypatch.setattr(_group, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    monkeypatch.setattr(devices, "lanes", lambda: 1)
    for outcome in fitted(variants(tiny.experiment), dataset=tiny.dataset):
        rows = [row for row in outcome.trained.history if row["split"] == "train"]
        assert [row["seconds"] for row in rows] == [2.0, 2.0]
        assert [row["examples_per_second"] for row in rows] == [20.0, 20.0]
