"""Tables of counts are trained on as they are, whatever type they are kept in, and what is no count is refused."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Examples, InputError
from aejax.data import Counts, Data, Dataset, Standardise, as_examples, in_units, load, pack, settled
from aejax.data.identity import DataRecord
from aejax.data.synthetic_counts import SyntheticCounts
from aejax.losses import Gaussian, Loss, Poisson
from aejax.models import LogCounts, SharedDispersion
from tests.data.test_kinds import KIND, N
from tests.helpers.untrained import untrained

COUNTS = np.random.default_rng(0).poisson(3, (N, 6)) * np.arange(6)
DATA = Data(preprocess=Counts())


def small(data):
    experiment = aejax.get("vae-counts")
    model = experiment.model.clone(encoder=LogCounts(), decoder=SharedDispersion())
    return dataclasses.replace(experiment, model=model, data=data, batch_size=8, epochs=1)


def h5ad(path, x, layer=None):
    h5py, sparse = pytest.importorskip("h5py"), pytest.importorskip("scipy.sparse")
    with h5py.File(path, "w") as file:
        for place in ("X", "layers/counts"):
            if (place == "X") == (layer is None):
                matrix = sparse.csr_matrix(x)
                group = file.create_group(place)
                group.attrs.update({"encoding-type": "csr_matrix", "shape": x.shape})
                for name in ("data", "indices", "indptr"):
                    group[name] = getattr(matrix, name)
            else:
                file[place] = np.log1p(x) - 1
        file["obs/kind"] = KIND.astype("S")
        file["obs"].attrs["_index"] = "kind"


@pytest.mark.parametrize("layer", [None, "counts"])
def test_sparse_counts_of_h5ad_are_trained_on_as_they_are(tmp_path, layer):
    h5ad(tmp_path / "a.h5ad", COUNTS.astype(np.int64), layer)
    data = dataclasses.replace(DATA, name=str(tmp_path / "a.h5ad"), label="kind", array=layer)
    dataset = load(data)
    every = np.concatenate([part.x for part in (dataset.train, dataset.validation, dataset.test)])
    assert every.dtype == np.float32
    assert sorted(map(tuple, every)) == sorted(map(tuple, COUNTS.astype(np.float32)))
    small(data).resolve(dataset)


def test_a_layer_that_is_no_counts_is_refused_with_where_they_may_be(tmp_path):
    h5ad(tmp_path / "a.h5ad", COUNTS, "counts")
    data = dataclasses.replace(DATA, name=str(tmp_path / "a.h5ad"))
    with pytest.raises(InputError, match=r"NegativeBinomial needs counts.*a layer: --data.array NAME"):
        small(data).resolve(load(data))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float64, bool])
def test_no_type_of_counts_is_scaled(tmp_path, dtype, caplog):
    x = COUNTS.astype(dtype)
    np.save(tmp_path / "x.npy", x)
    for dataset in (load(dataclasses.replace(DATA, name=str(tmp_path / "x.npy"))), Dataset.of(x, data=DATA)):
        seen = np.asarray(Counts()(jnp.asarray(dataset.train.x), None))
        np.testing.assert_array_equal(seen, dataset.train.x)
        assert dataset.train.x.max() in x
        assert dataset.train.x.dtype == np.float32
        np.testing.assert_array_equal(as_examples(x, data=DATA).x, x.astype(np.float32))
        np.testing.assert_array_equal(in_units(x, DataRecord.of(dataset), counts=True), x.astype(np.float32))
    assert "grey" not in caplog.text


def test_arrays_that_are_kept_as_uint8_are_counts_once_they_are_trained_on():
    x = COUNTS.astype(np.uint8)
    part = Examples(x)
    dataset = settled(Dataset("x", part, part, part), Counts())
    trained = untrained(small(Data("x", preprocess=Counts())), (6,), dataset)
    assert trained.data.dtype == "float32"
    assert trained.data.high == COUNTS.max()
    np.testing.assert_array_equal(trained.encode(x), trained.encode(COUNTS))
    np.testing.assert_allclose(trained.reconstruct(x).sum(1), COUNTS.sum(1), rtol=1e-4)
    np.testing.assert_allclose(trained.decode(trained.encode(x)).sum(1), 600, rtol=1e-4)  # the entry's library
    with pytest.raises(InputError, match="between whole numbers, but this model was trained on counts"):
        trained.encode(COUNTS + 0.5)
    with pytest.raises(InputError, match="have values from -"):
        trained.encode(COUNTS - 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x - 1, "has -1 in example 0"),
        (lambda x: x + 0.25, "has 0.25 in example 0"),
        (lambda x: np.where(x > 20, np.nan, x), r"missing values \(NaN\)"),
        (lambda x: np.where(x > 20, np.inf, x), "infinite"),
    ],
)
@pytest.mark.parametrize("loss", [Loss(Poisson()), Loss(Gaussian())])
def test_what_is_no_count_is_refused_before_training(change, said, loss):
    experiment = dataclasses.replace(small(DATA), loss=loss)
    with pytest.raises(InputError, match=said):
        experiment.resolve(Dataset.of(change(COUNTS.astype(np.float64)), data=DATA))


def test_counts_are_not_trained_on_in_other_units():
    scaled = dataclasses.replace(small(Data("x", preprocess=Standardise())))
    with pytest.raises(InputError, match=r"give --data.preprocess counts in place of Standardise"):
        scaled.resolve(Dataset.of(COUNTS.astype(np.float32)))


def test_packed_grey_levels_are_not_taken_for_counts_and_packed_counts_are(tmp_path):
    np.save(tmp_path / "x.npy", COUNTS.astype(np.uint8))
    for name, data in (("grey", Data()), ("counts", DATA)):
        pack(tmp_path / "x.npy", tmp_path / name, data)
    counts = dataclasses.replace(DATA, name=str(tmp_path / "counts"))
    small(counts).resolve(load(counts))
    grey = dataclasses.replace(DATA, name=str(tmp_path / "grey"))
    with pytest.raises(InputError, match="keeps uint8, grey levels: pack it again from int32"):
        small(grey).resolve(load(grey))


def test_synthetic_counts_have_the_moments_of_what_they_are_drawn_from():
    source = SyntheticCounts(values=8, kinds=2, spread=1e-6)
    drawn = source.draw(20_000)
    assert drawn.x.dtype == np.float32
    assert (drawn.x == np.rint(drawn.x)).all()
    np.testing.assert_array_equal(source.draw(20_000).x, drawn.x)
    place, weight = np.polynomial.hermite_e.hermegauss(30)
    weight /= weight.sum()
    for kind in (0, 1):
        mean = source.total * np.exp(source.log_shares(np.full(30, kind), place))
        of_kind = drawn.x[drawn.label == kind].astype(np.float64)
        np.testing.assert_allclose(of_kind.mean(0), weight @ mean, rtol=0.06)
        second = weight @ (mean + mean**2 * (1 + 1 / source.inverse_dispersions()[None]))
        np.testing.assert_allclose(np.square(of_kind).mean(0), second, rtol=0.25)
