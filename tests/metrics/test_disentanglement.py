import dataclasses

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

import aejax
from aejax.core import Examples, InputError
from aejax.data import FACTORS, Data, Dataset
from aejax.data.factors import Factors
from aejax.evaluation import disentanglement as evaluated, suite
from aejax.metrics import beta_vae_score, dci, disentanglement, factor_vae_score, known_shares, mig, sap

SIZES = {"a": 2, "b": 3, "c": 4}
GRID = Factors(SIZES).values(np.tile(np.arange(24), 60))  # every combination as often
SCORES = {
    "mig": mig,
    "sap": sap,
    "dci_disentanglement": lambda codes, factors: dci(codes, factors)["dci_disentanglement"],
    "beta_vae_score": beta_vae_score,
    "factor_vae_score": factor_vae_score,
}


QUICK = [pytest.param(name, marks=[pytest.mark.slow] * name.startswith("dci")) for name in SCORES]
"""The scores, of which the one that grows trees is left to the slow tests."""


@pytest.fixture(autouse=True)
def _small_trees(monkeypatch):
    """With as few examples as tell the scores apart: trees take most of the time."""
    monkeypatch.setattr(disentanglement, "TREE_SAMPLES", 600)


def perfect(rng, spread=0.01):
    """A latent for each factor, and as many of noise."""
    codes = np.concatenate([GRID / np.array([1, 2, 3]), rng.uniform(size=GRID.shape)], axis=1)
    return (codes + spread * rng.normal(size=codes.shape)).astype(np.float32)


def rotated(rng):
    codes = perfect(rng)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    return ((codes - codes.mean(axis=0)) / codes.std(axis=0) @ turn).astype(np.float32)


def noise(rng):
    return rng.normal(size=(len(GRID), 6)).astype(np.float32)


@pytest.mark.parametrize("name", QUICK)
def test_perfect_codes_score_high_rotated_ones_lower_and_noise_as_chance(name, rng):
    high, lower, chance = (SCORES[name](codes, GRID) for codes in (perfect(rng), rotated(rng), noise(rng)))
    votes = name.endswith("vae_score")  # for which a direction of its own for each factor is nearly enough
    assert high == pytest.approx(0.6 if name == "sap" else 1, abs=0.02)
    assert lower < high - (0.005 if votes else 0.4)
    assert chance == pytest.approx(1 / 3 if votes else 0, abs=0.04)


@pytest.mark.parametrize("name", QUICK)
def test_a_factor_with_one_value_is_left_out(name, rng):
    codes, constant = perfect(rng), np.full((len(GRID), 1), 2)
    assert SCORES[name](codes, np.concatenate([GRID, constant], axis=1)) == pytest.approx(SCORES[name](codes, GRID))
    np.testing.assert_array_equal(known_shares(codes, constant), np.zeros((6, 1)))
    with pytest.raises(InputError, match="each of the 1 factors has one value in all 1440 examples: give examples"):
        SCORES[name](codes, constant)
    single = np.concatenate([GRID[:, :1], constant], axis=1)
    if name in ("mig", "sap"):
        assert np.isfinite(SCORES[name](codes, single))
    else:
        with pytest.raises(InputError, match=r"each of 1 of the 2 factors .* in which 2 or more vary"):
            SCORES[name](codes, single)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCORES)
def test_a_value_of_one_example_changes_little(name, rng):
    """It may lie in the part that measures alone, where the part to fit has one value of its factor."""
    codes, rare = perfect(rng), np.zeros((len(GRID), 1), int)
    rare[0] = 1
    score = SCORES[name](codes, np.concatenate([GRID, rare], axis=1))
    assert 0 <= score <= 1 + 1e-6


@pytest.mark.parametrize("score", [sap, dci])
def test_fewer_than_three_examples_are_refused(score):
    with pytest.raises(InputError, match=r"2 examples cannot be divided .*: give 3 or more"):
        score(np.eye(2, dtype=np.float32), np.eye(2, dtype=int))


def test_two_latents_cannot_vote_for_three_factors(rng):
    assert factor_vae_score(rotated(rng)[:, :2], GRID) < 2 / 3 + 0.02


def test_codes_that_are_the_factors_have_a_gap_of_one():
    assert mig(GRID.astype(np.float32), GRID) == pytest.approx(1, abs=1e-6)


def test_of_two_latents_that_know_the_same_neither_leads(rng):
    codes = np.repeat(perfect(rng, spread=0), 2, axis=1)
    assert mig(codes, GRID) == pytest.approx(0)
    assert sap(codes, GRID) == pytest.approx(0)
    assert beta_vae_score(codes, GRID) == factor_vae_score(codes, GRID) == 1.0


def test_what_a_latent_knows_is_the_information_that_scikit_learn_finds(rng):
    codes = rotated(rng)
    shares = known_shares(codes, GRID)
    for latent in range(6):
        edges = np.histogram(codes[:, latent], 20)[1]
        binned = np.digitize(codes[:, latent], edges[:-1])
        for factor, size in enumerate(SIZES.values()):
            expected = mutual_info_score(binned, GRID[:, factor]) / np.log(size)
            assert shares[latent, factor] == pytest.approx(expected)


def test_the_gap_of_sap_is_that_of_accuracies():
    """Two balanced factors of two values: right always by one latent, half the time by the other."""
    factors = Factors({"a": 2, "b": 2}).values(np.tile(np.arange(4), 600))
    assert sap(factors.astype(np.float32), factors) == pytest.approx(0.5, abs=0.03)


def test_concentration_is_one_less_the_weighted_entropy():
    concentration = disentanglement._concentration
    assert concentration(np.eye(3)) == pytest.approx(1)
    assert concentration(np.ones((4, 3))) == pytest.approx(0)
    # A quarter of the use lies on a row that is half informative: 1 - 1 bit of 2.
    uses = np.array([[3, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0]])
    assert concentration(uses) == pytest.approx(0.75 + 0.25 * 0.5)


def test_one_latent_for_two_factors_is_complete_and_entangled(rng):
    factors = GRID[:, 1:]
    codes = np.stack([factors @ [4, 1], *rng.normal(size=(2, len(GRID)))], axis=1).astype(np.float32)
    scores = dci(codes, factors)
    assert scores["dci_completeness"] > 0.9
    assert scores["dci_disentanglement"] < 0.2
    assert scores["dci_informativeness"] > 0.95


@pytest.mark.parametrize("name", QUICK)
def test_order_signs_and_scales_of_latents_do_not_matter(name, rng):
    codes = rotated(rng) + 0.3 * noise(rng)
    other = codes[:, [3, 1, 4, 5, 0, 2]] * np.array([-1, 30, 1, -0.02, 1, -1], np.float32)
    before, after = (SCORES[name](each, GRID) for each in (codes, other))
    assert after == pytest.approx(before, abs=0.02 if name.startswith("dci") else 0.005)


def test_a_collapsed_latent_changes_nothing(rng):
    codes = rotated(rng)
    more = np.concatenate([codes, np.zeros((len(codes), 1), np.float32)], axis=1)
    for score in (mig, beta_vae_score, factor_vae_score):
        assert score(more, GRID) == pytest.approx(score(codes, GRID), abs=0.005)


@pytest.mark.parametrize("name", SCORES)
def test_codes_that_have_all_collapsed_score_as_chance(name):
    collapsed = np.full((len(GRID), 3), 0.1, np.float32)
    assert SCORES[name](collapsed, GRID) == pytest.approx(1 / 3 if name.endswith("vae_score") else 0, abs=0.03)


@pytest.mark.slow
def test_scores_are_the_same_again(rng):
    codes = rotated(rng) + noise(rng)
    for score in (sap, beta_vae_score, factor_vae_score):
        assert score(codes, GRID) == score(codes, GRID)


def test_what_shares_a_value_is_drawn_from_all_that_have_it(rng):
    factor = rng.permutation(np.repeat([0, 1, 3], [5, 20, 7]))
    wanted = rng.choice([0, 1, 3], size=(30, 40))
    drawn = disentanglement._with_value(factor, wanted, rng)
    np.testing.assert_array_equal(factor[drawn], wanted)
    assert len(np.unique(drawn)) == 32


@pytest.fixture
def known(tiny, monkeypatch):
    """A trained model of images whose labels number combinations of two factors."""
    factors = Factors({"shade": 2, "place": 3})
    monkeypatch.setitem(FACTORS, "known", factors)
    monkeypatch.setattr(disentanglement, "SAMPLES", 300)
    label = np.tile(np.arange(6, dtype=np.int32), 200)
    shade, place = factors.values(label).T
    x = np.random.default_rng(0).integers(0, 50, (1200, 4, 4, 1)).astype(np.uint8)  # no two alike
    x[np.arange(1200), place] = (100 + 100 * shade)[:, None, None]
    dataset = Dataset("known", *(Examples(x, label) for _ in range(3)))
    return aejax.fit(dataclasses.replace(tiny.experiment, data=Data("known"), epochs=1), dataset=dataset), dataset


@pytest.mark.slow
def test_the_suite_scores_and_draws_what_has_known_factors(known):
    trained, dataset = known
    measured = suite.measure(trained, dataset.test)
    assert measured["mig"] == pytest.approx(
        mig(trained.encode(dataset.test.x), Factors({"a": 2, "b": 3}).values(dataset.test.label))
    )
    names = [
        "mig",
        "sap",
        "dci_disentanglement",
        "dci_completeness",
        "dci_informativeness",
        "beta_vae_score",
        "factor_vae_score",
    ]
    assert all(0 <= measured[name] <= 1 for name in names)
    axes = suite.draw(trained, dataset)["factors"].axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["shade", "place"]


@pytest.mark.slow
def test_the_suite_leaves_out_what_it_cannot_score(known, tiny):
    trained, dataset = known
    assert not evaluated.suits(tiny.experiment)
    assert evaluated.suits(dataclasses.replace(trained.experiment, data=Data("known:2.0.0")))
    for size, suits in ((1, False), (64, True), (65, False)):
        model = trained.experiment.model
        changed = model.clone(latent=model.latent.clone(size=size))
        assert evaluated.suits(dataclasses.replace(trained.experiment, model=changed)) is suits
    for part in (Examples(dataset.test.x), dataset.test.take(np.arange(10))):
        assert evaluated.measure(trained, part) == {}
    with pytest.raises(InputError, match="from 0 to 6, but there are 6 combinations of shade, place"):
        evaluated.measure(trained, Examples(dataset.test.x, np.arange(1200, dtype=np.int32) % 7))


def test_a_part_in_which_no_factor_varies_is_measured_without_them(known, caplog):
    trained, dataset = known
    one = dataset.test.take(np.flatnonzero(dataset.test.label == 2)[np.arange(1100) % 200])
    measured = suite.measure(trained, one)
    assert "mig" not in measured
    assert measured.items() >= trained.evaluate(one).items()
    assert "each of the 2 factors has one value in all 1100 examples" in caplog.text
