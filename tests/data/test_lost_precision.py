"""float32 loses nothing in silence: columns are centred where preprocessing does so anyway, and else named."""

import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Examples, InputError
from aejax.data import Binarise, Data, Dataset, Scale, Standardise, load, read_examples, settled
from aejax.experiment import Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain

rng = np.random.default_rng(0)
TIMES = np.stack([1.7e9 + rng.normal(size=200), rng.normal(size=200)], axis=1)


def test_times_become_equal_in_float32_and_are_named_once(tmp_path, caplog):
    np.save(tmp_path / "x.npy", TIMES)
    assert len(np.unique(TIMES.astype(np.float32)[:, 0])) == 1
    assert load(Data(str(tmp_path / "x.npy"), validation=0)).train.x.dtype == np.float32
    said = [message for message in caplog.messages if "train part" in message]
    assert len(said) == 1
    assert "column 0 apart (1 of 2 columns, 180 rows)" in said[0]


@pytest.mark.parametrize(
    ("column", "lost"),
    [
        (np.arange(2**24, 2**24 + 50), True),  # ids
        (np.arange(50) * 10**9, False),  # they are rounded, but stay apart
        (np.arange(50) // 2 * 10**9 + np.arange(50) % 2, True),
        (rng.normal(size=50), False),
        (1e6 + rng.normal(size=50), True),
        (1e3 + rng.normal(size=50), False),
        (np.full(50, 2**24 + 1), False),  # a constant tells nothing apart
    ],
)
def test_what_is_lost_is_what_told_examples_apart(column, lost, caplog):
    part = Examples(np.stack([column, np.arange(50)], axis=1))
    settled(Dataset("x", part, part, part), Scale())
    assert bool(caplog.messages) == lost


@pytest.mark.slow
def test_standardising_keeps_what_float32_would_lose(tmp_path, caplog):
    np.save(tmp_path / "x.npy", TIMES)
    data = Data(str(tmp_path / "x.npy"), validation=0.0, preprocess=Standardise())
    dataset = load(data)
    fitted = data.preprocess.fit(dataset.train.x)
    seen = np.asarray(fitted(jnp.asarray(dataset.train.x), None))
    assert dataset.offset[1] == 0  # a column that loses nothing stays as it is
    np.testing.assert_allclose(seen.std(axis=0), 1, rtol=1e-3)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-3)
    model = Autoencoder(MLPEncoder(()), Plain(2, "linear"), MLPDecoder(()))
    trained = aejax.fit(
        Experiment(model, Loss(Gaussian()), data, batch_size=20, epochs=1, name="x"),
        folder=tmp_path / "runs",
        figures=False,
    )
    trained = aejax.load(trained.run.path)
    given = read_examples(data.name).x
    codes = trained.encode(given)
    assert len(np.unique(codes.round(5), axis=0)) == 200
    # Rows as they are in the file and as they are in the data set are the same rows.
    train = {row.tobytes() for row in trained.encode(dataset.train.x).round(4)}
    assert train < {row.tobytes() for row in codes.round(4)}
    restored = trained.reconstruct(given)
    assert restored.dtype == np.float64
    assert abs(restored[:, 0] - TIMES[:, 0]).max() < 10
    assert {record.name for record in caplog.records} <= {"aejax.notes"}  # which say what was held out


def test_arrays_keep_what_float32_would_lose_until_preprocessing_is_known(caplog):
    dataset = Dataset.of(TIMES, test=TIMES[:20])
    assert dataset.train.x.dtype == np.float64
    kept = settled(dataset, Standardise())
    assert kept.train.x.dtype == np.float32
    assert len(np.unique(kept.test.x[:, 0])) == 20
    assert not [message for message in caplog.messages if "apart" in message]
    assert len(np.unique(settled(dataset, Scale()).test.x[:, 0])) == 1
    assert "column 0 apart" in caplog.text


def test_arrays_given_in_python_are_checked_as_files_are(caplog):
    good = TIMES.astype(np.float32)[:, 1:]
    lists, big = Examples(good.tolist()), Examples(good.astype(">f4"))
    made = settled(Dataset("mine", lists, big, Examples(good)), Scale())
    for name in ("train", "validation", "test"):
        assert made.part(name).x.dtype == np.dtype(np.float32)
        np.testing.assert_array_equal(made.part(name).x, good)
    assert settled(made, Scale()) is made
    bad = good.copy()
    bad[17, 0] = np.nan
    with pytest.raises(InputError, match=r"the test part of mine has 1 missing values .* in 1 rows, .* 17, column 0"):
        settled(Dataset("mine", lists, big, Examples(bad)), Scale())
    with pytest.raises(InputError, match=r"the train part of mine cannot be made an array .* rows of equal length"):
        settled(Dataset("mine", Examples([[1, 2], [3]]), big, big), Scale())
    assert not caplog.messages


def test_a_domain_is_the_preprocessing_s_and_the_prior_s_too():
    assert Binarise().domain == (0, 1)
    assert Standardise().domain == Scale().domain == (-np.inf, np.inf)
