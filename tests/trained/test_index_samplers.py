import dataclasses
import itertools
import logging
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Examples, InputError
from aejax.losses import Gaussian, Loss
from aejax.models import FiniteScalarQuantised
from aejax.trained import (
    Autoregressive,
    FittedSampler,
    Independent,
    Mixture,
    _ans,
    _fixed_point,
    compress,
    decompress,
    read_sampler,
    write_sampler,
)
from aejax.trained._fixed_point import PRECISION
from tests.helpers import compiled
from tests.helpers.small import DATASET, EXPERIMENT
from tests.helpers.untrained import untrained
from tests.helpers.zoo import shape_of, small

STAYS = 0.8
LATENT = SimpleNamespace(codes=4, books=2, positions=5)
SAMPLER = Autoregressive((24,), epochs=25, batch_size=100, learning_rate=0.02)


def chain(n, seed):
    """Indices of which each is the one before it, or with a chance of 0.2 the next one of 4."""
    rng = np.random.default_rng(seed)
    moves = (rng.random((n, 5)) > STAYS).astype(int)
    moves[:, 0] = rng.integers(0, 4, n)
    return np.cumsum(moves, axis=1) % 4


INDEX, UNSEEN = chain(3000, 0), chain(4000, 1)
ENTROPY = 2 - 4 * (STAYS * np.log2(STAYS) + (1 - STAYS) * np.log2(1 - STAYS))


@pytest.fixture(scope="module")
def prior():
    return FittedSampler.of(SAMPLER, INDEX, LATENT)


def test_the_bits_are_nearly_those_of_the_chain_and_half_of_those_of_independent_indices(prior):
    bits = prior.nats(UNSEEN).mean() / np.log(2)
    assert 0.98 * ENTROPY < bits < 1.05 * ENTROPY
    assert ENTROPY < 0.5 * 10  # the order-0 entropy is 2 bits at each of 5 positions


def test_it_begins_with_the_frequencies_of_each_position():
    keys, blank = {"params": jax.random.key(0)}, jnp.zeros((1, 5), jnp.int32)
    model = SAMPLER.prior(LATENT)
    params = compiled.init(lambda model, index: model(index), model, keys, blank)["params"]
    primed = model.prime(params, Examples(jnp.asarray(INDEX[:7], jnp.float32)), None)
    shares = (np.stack([np.bincount(column, minlength=4) for column in INDEX[:7].T]) + 0.5) / 9
    expected = -np.log(shares[np.arange(5)[None], UNSEEN]).sum(axis=1)
    np.testing.assert_allclose(SAMPLER.fitted(primed, LATENT).nats(UNSEEN), expected, rtol=1e-5)


def test_the_probabilities_of_all_indices_add_up_to_one(prior):
    every = np.asarray(list(itertools.product(range(4), repeat=5)))
    assert np.exp(-prior.nats(every).astype(np.float64)).sum() == pytest.approx(1, rel=1e-5)


def test_whole_numbers_say_what_floats_say_whatever_else_is_computed(prior):
    network, few = prior._network, UNSEEN[:50]
    together, alone = network.begin(50), network.begin(1)
    total = np.zeros(50)
    for position in range(5):
        frequencies = network.frequencies(together, position)
        assert (frequencies.sum(axis=1) == 2**PRECISION).all()
        assert frequencies.min() > 0
        np.testing.assert_array_equal(network.frequencies(alone, position), frequencies[7:8])
        total += PRECISION * np.log(2) - np.log(frequencies[np.arange(50), few[:, position]])
        network.take(together, position, few[:, position])
        network.take(alone, position, few[7:8, position])
    np.testing.assert_allclose(total, prior.nats(few), atol=0.02)


@pytest.mark.parametrize("rounded", [_fixed_point._weights, _fixed_point._activations])
def test_what_is_added_up_is_so_coarse_that_no_sum_of_products_rounds(rounded):
    values = rounded(np.random.default_rng(0).normal(0, [[1], [1e6]], (2, 1000)))
    np.testing.assert_array_equal(values * 2**12, np.rint(values * 2**12))
    assert 4096 * np.abs(values).max() * 2**6 * 2**24 <= 2**53


def test_coded_indices_take_the_bits_claimed_and_come_back(prior):
    coded = prior.encode(UNSEEN)
    assert 8 * len(coded) == pytest.approx(prior.nats(UNSEEN).sum() / np.log(2), rel=0.02)
    np.testing.assert_array_equal(prior.decode(coded, len(UNSEEN)), UNSEEN)


@pytest.mark.parametrize("cut", [1, 40])
def test_a_stream_that_was_cut_is_refused(prior, cut):
    with pytest.raises((ValueError, IndexError)):
        prior.decode(prior.encode(UNSEEN)[:-cut], len(UNSEEN))


@pytest.mark.parametrize(("n", "codes"), [(1, 2), (130, 3), (3000, 700)])
def test_any_frequencies_are_coded_to_nearly_their_entropy(n, codes):
    rng = np.random.default_rng(0)
    weights = rng.gamma(0.2, size=(3, n, codes)) + 1e-9
    counts = 1 + (weights / weights.sum(axis=2, keepdims=True) * (2**PRECISION - codes)).astype(np.int64)
    counts[..., 0] += 2**PRECISION - counts.sum(axis=2)
    ends = np.cumsum(counts, axis=2)
    index = np.sum(ends <= rng.integers(0, 2**PRECISION, (3, n, 1)), axis=2)
    count, end = (np.take_along_axis(each, index[..., None], axis=2)[..., 0] for each in (counts, ends))
    stream = _ans.encode(end - count, count)
    decoder = _ans.Decoder(stream)
    np.testing.assert_array_equal([decoder.take(counts[position]) for position in range(3)], index)
    decoder.end()
    assert 8 * len(stream) < 1.01 * np.sum(PRECISION - np.log2(count)) + 80


def test_draws_go_together_as_the_chain_does_and_independent_ones_do_not(prior):
    independent = FittedSampler.of(Independent(), INDEX, LATENT)
    drawn, alone = prior.draw(4000, seed=3), independent.draw(4000, seed=3)
    shares = [[np.bincount(column, minlength=4) / len(each) for column in each.T] for each in (alone, INDEX)]
    np.testing.assert_allclose(*shares, atol=0.03)
    np.testing.assert_array_equal(drawn, prior.draw(4000, seed=3))
    assert (drawn != prior.draw(4000, seed=4)).any()
    stay = [(each[:, 1:] == each[:, :-1]).mean() for each in (drawn, alone)]
    np.testing.assert_allclose(stay, [STAYS, 0.25], atol=0.03)


@pytest.mark.parametrize("sampler", [SAMPLER, Independent()])
def test_it_comes_back_from_its_file(prior, sampler, tmp_path):
    fitted = prior if sampler is SAMPLER else FittedSampler.of(sampler, INDEX, LATENT)
    write_sampler(tmp_path, fitted, 30)
    read = read_sampler(tmp_path, 30, LATENT)
    np.testing.assert_array_equal(read.draw(9), fitted.draw(9))
    if sampler is SAMPLER:
        assert read.coder.digest == prior.digest
        np.testing.assert_array_equal(read.coder.nats(UNSEEN[:9]), prior.nats(UNSEEN[:9]))


@pytest.mark.parametrize("wrong", [Autoregressive(()), Autoregressive((4,), epochs=0)])
def test_a_prior_of_nothing_is_refused(wrong):
    with pytest.raises(InputError, match=r"hidden layers are|fit no prior"):
        wrong.fit(INDEX, LATENT)


def discrete():
    model = EXPERIMENT.model.clone(latent=FiniteScalarQuantised(4, (3, 4)))
    return dataclasses.replace(EXPERIMENT, model=model, loss=Loss(Gaussian()), epochs=1)


@pytest.mark.slow
def test_a_model_samples_and_compresses_by_its_prior(tmp_path, caplog):
    trained, x = aejax.fit(discrete(), dataset=DATASET), DATASET.test.x
    plain = compress(trained, x, None)
    with caplog.at_level(logging.WARNING):
        trained.sample(3, like=DATASET.train.x)
    assert "drawn independently" in caplog.text
    quick = Autoregressive((8,), epochs=2)
    fitted, other = (trained.fit_sampler(quick, like=DATASET.train.x, seed=seed) for seed in (0, 1))
    content = compress(fitted, x, None)
    np.testing.assert_array_equal(decompress(fitted, content), fitted.reconstruct(x))
    np.testing.assert_array_equal(decompress(fitted, plain), fitted.reconstruct(x))
    for without in (trained, other):
        with pytest.raises(InputError, match="coded by a prior over codes that this run does not have"):
            decompress(without, content)
    assert fitted.sample(5, seed=1).shape == (5, *trained.shape)
    codes = fitted.draw_codes(5, seed=1)
    np.testing.assert_array_equal(codes, fitted.restore(fitted.sampler.draw(5, 1)))
    loaded = aejax.load(fitted.save(tmp_path / "saved"))
    np.testing.assert_array_equal(decompress(loaded, content), fitted.reconstruct(x))


@pytest.mark.slow
def test_by_its_own_prior_and_on_its_page_a_model_draws_as_without_the_fitted_one():
    alone = untrained(small("categorical-mnist"), shape_of("categorical-mnist"))
    index = np.zeros((10, 20), np.int64)
    sampler = FittedSampler.of(Autoregressive((4,), epochs=1), index, alone.experiment.model.latent)
    fitted = dataclasses.replace(alone, sampler=sampler)
    assert (fitted.draw_codes(9) != alone.draw_codes(9)).any()
    np.testing.assert_array_equal(fitted.by_prior.draw_codes(9), alone.draw_codes(9))
    x = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), np.uint8)
    assert fitted.explore(x).html == alone.explore(x).html


@pytest.mark.slow
def test_a_mixture_is_refused_where_codes_are_told_by_indices():
    alone = untrained(small("categorical-mnist"), shape_of("categorical-mnist"))
    with pytest.raises(InputError, match="are told by indices, and Mixture models the other kind"):
        alone.fit_sampler(Mixture(), like=np.zeros((4, 28, 28, 1), np.uint8))
