"""Every kind of file that is read: written small, trained on for a step, and scored as data that come later."""

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

import aejax
from aejax.core import InputError
from aejax.data import Data, DataRecord, Dataset, Schema, load, load_again, pack, read_examples, read_given
from aejax.data.files import read
from aejax.experiment import Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain

N = 30
X = np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (N, 4, 6, 3), np.uint8)
KIND = np.array(["dog", "cat", "cat"] * (N // 3))  # cat is 0, dog is 1
NUMBER = (KIND == "dog").astype(np.int64)
SHADE = np.array(["dark", "light"] * (N // 2))
COLUMNS = ("a", "b", "c", "d", "shade=dark", "shade=light")
ENCODED = np.concatenate([X[:, :4], (SHADE[:, None] == ["dark", "light"]).astype(np.float32)], axis=1)


def table(names=("kind",)):
    import pyarrow as pa

    columns = {name: X[:, i] for i, name in enumerate("abcd")} | {"shade": SHADE, "kind": KIND}
    return pa.table({name: column for name, column in columns.items() if name != "kind" or names})


def csv(path, separator=","):
    head = separator.join(table().column_names)
    rows = zip(*(column.to_pylist() for column in table().columns), strict=True)
    path.write_text("\n".join([head, *(separator.join(map(str, row)) for row in rows)]) + "\n")


def parquet(path, **columns):
    import pyarrow as pa
    from pyarrow import parquet as writer

    writer.write_table(pa.table(columns) if columns else table(), path)


def feather(path):
    from pyarrow import feather as writer

    writer.write_feather(table(), path)


def tables(path):
    path.mkdir()
    for name, rows in (("train-00000-of-00002", slice(0, 20)), ("train-00001-of-00002", slice(20, N))):
        parquet(path / f"{name}.parquet", **{c: table()[c].to_numpy()[rows] for c in table().column_names})


def hdf5(path):
    import h5py

    with h5py.File(path, "w") as file:
        file["train/x"], file["train/y"] = X, KIND.astype("S3")


def h5ad(path, sparse=False, layer=None):
    """As anndata 0.10 writes it: a group for a sparse matrix, categories for a column of text."""
    import h5py
    import scipy.sparse

    with h5py.File(path, "w") as file:
        for name in ["X"] + ([f"layers/{layer}"] if layer else []):
            values = X if name != "X" or layer is None else X * 0
            if sparse:
                matrix = scipy.sparse.csr_matrix(values)
                group = file.create_group(name)
                group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
                group.attrs["encoding-type"], group.attrs["shape"] = "csr_matrix", matrix.shape
            else:
                file[name] = values
        file["obs/kind/codes"], file["obs/kind/categories"] = NUMBER.astype(np.int8), np.array(["cat", "dog"], "S3")
        file["var/_index"] = np.array([f"gene{i}" for i in range(6)], "S5")
        file["var"].attrs["_index"] = "_index"


def sparse(path):
    import scipy.sparse

    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(X))


def shards(path):
    path.mkdir()
    for i in range(3):
        np.save(path / f"shard-{i}.npy", X[10 * i : 10 * i + 10])


def npy_by_name(path):
    path.mkdir()
    np.save(path / "x.npy", X)
    np.save(path / "y.npy", NUMBER)


def hugging_face(path, column="vector"):
    """As Hugging Face's datasets 3 saves a data set to disk: a stream of Arrow, with the features in its schema."""
    import io

    import pyarrow as pa

    path.mkdir()
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    if column == "vector":
        values = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 6)
    else:
        files = []
        for image in IMAGES:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "png")
            files.append({"bytes": buffer.getvalue(), "path": None})
        values = pa.array(files, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    made = pa.table({column: values, "label": pa.array(NUMBER)})
    made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    with pa.OSFile(str(path / "data-00000-of-00001.arrow"), "wb") as out, pa.ipc.new_stream(out, made.schema) as stream:
        stream.write_table(made)
    (path / "state.json").write_text("{}")
    (path / "dataset_info.json").write_text("{}")


def split_tables(path):
    """As `DatasetDict.save_to_disk` divides a data set, here in Parquet."""
    for name, rows in (("train", slice(0, 27)), ("test", slice(27, N))):
        (path / name).mkdir(parents=True)
        parquet(path / name / "data.parquet", **{c: table()[c].to_numpy()[rows] for c in table().column_names})
    (path / "dataset_dict.json").write_text("{}")


def pictures(path, end="png", by_class=False, parts=False):
    for i, image in enumerate(IMAGES):
        folder = path
        if parts:
            folder /= "train" if i < 27 else "test"
        if by_class:
            folder /= KIND[i]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:02}.{end}")


def photos(path):
    path.mkdir()
    for i in range(N):
        Image.fromarray(np.full((8 + i, 12 + i % 3, 3), i, np.uint8)).save(path / f"{i:02}.jpg")


def mat73(path):
    import h5py

    with h5py.File(path, "w") as file:
        file["X"], file["y"] = X.T.astype(np.float64), NUMBER[None].astype(np.float64)


KINDS = [
    # name, writes it, how it is read, the examples, the classes
    ("a.npy", lambda path: np.save(path, X), {}, X, None),
    ("a.npy", lambda path: np.save(path, X.reshape(N, 3, 2)), {"layout": "flat"}, X, None),
    ("a.npy", lambda path: np.save(path, np.moveaxis(IMAGES, 3, 1)), {"layout": "channels-first"}, IMAGES, None),
    ("a.npz", lambda path: np.savez(path, x=X, y=KIND), {}, X, ("cat", "dog")),
    ("a.npz", lambda path: np.savez(path, train_x=X[:27], x_val=X[27:], y_train=NUMBER[:27]), {}, X, ()),
    (
        "a.npz",
        lambda path: np.savez(path, u=X, v=KIND, w=1),
        {"array": "u", "label": "v", "drop": ("w",)},
        X,
        ("cat", "dog"),
    ),
    ("a.npz", sparse, {}, X, None),
    ("shards", shards, {}, X, None),
    ("arrays", npy_by_name, {}, X, ()),
    ("a.csv", csv, {"label": "kind"}, ENCODED, ("cat", "dog")),
    ("a.csv", lambda path: csv(path, ";"), {"label": "kind"}, ENCODED, ("cat", "dog")),
    ("a.tsv", lambda path: csv(path, "\t"), {"drop": ("kind",)}, ENCODED, None),
    ("a.parquet", parquet, {"label": "kind"}, ENCODED, ("cat", "dog")),
    ("a.feather", feather, {"label": "kind"}, ENCODED, ("cat", "dog")),
    ("tables", tables, {"label": "kind"}, ENCODED, ("cat", "dog")),
    ("split", split_tables, {"label": "kind"}, ENCODED, ("cat", "dog")),
    ("a.h5", hdf5, {}, X, ("cat", "dog")),
    ("a.h5ad", h5ad, {"label": "kind"}, X, ("cat", "dog")),
    ("a.h5ad", lambda path: h5ad(path, True), {"label": "kind"}, X, ("cat", "dog")),
    ("a.h5ad", lambda path: h5ad(path, layer="counts"), {"array": "counts"}, X, None),
    ("a.mat", mat73, {}, X, ()),
    ("saved", hugging_face, {}, X, ("cat", "dog")),
    ("saved", lambda path: hugging_face(path, "image"), {}, IMAGES, ("cat", "dog")),
    *((f"{end}s", lambda path, end=end: pictures(path, end), {}, IMAGES, None) for end in ("png", "bmp", "tif")),
    ("webps", lambda path: pictures(path, "webp"), {}, None, None),
    ("jpgs", lambda path: pictures(path, "jpg"), {}, None, None),
    ("gifs", lambda path: pictures(path, "gif"), {"channels": "colour"}, None, None),
    ("classes", lambda path: pictures(path, by_class=True), {}, None, ("cat", "dog")),
    ("parts", lambda path: pictures(path, parts=True), {}, IMAGES, None),
    ("both", lambda path: pictures(path, by_class=True, parts=True), {}, None, ("cat", "dog")),
    ("photos", photos, {"size": (4, 6)}, None, None),
]


@pytest.mark.parametrize(("name", "write", "how", "values", "classes"), KINDS)
def test_a_kind_of_file_is_read_trained_on_and_scored(tmp_path, name, write, how, values, classes):
    path = tmp_path / name
    write(path)
    data = Data(str(path), **how)
    model = Autoencoder(MLPEncoder((4,)), Plain(2), MLPDecoder((4,)))
    trained = aejax.fit(Experiment(model, Loss(Gaussian()), data, batch_size=8, steps=1))
    found, dataset = read(path, data), load(data)
    if values is not None:
        np.testing.assert_array_equal(np.concatenate([part.x for part in found.parts.values()]), values)
    assert (dataset.train.label is None) == (classes is None)
    assert dataset.classes == (classes or ())
    assert len(dataset.train) == 24
    if classes is not None and values is not None:
        labels = np.concatenate([part.label for part in found.parts.values() if part.label is not None])
        np.testing.assert_array_equal(labels, NUMBER[: len(labels)])
    again = read_examples(str(path), "train", trained.experiment.data, trained.schema)
    assert np.isfinite(trained.score(again.x)).all()


@pytest.mark.parametrize(("name", "write", "how"), [kind[:3] for kind in KINDS if not kind[0].endswith(".mat")])
def test_packing_a_kind_of_file_keeps_all_of_it(tmp_path, name, write, how):
    path = tmp_path / name
    write(path)
    data = Data(str(path), **how)
    pack(str(path), tmp_path / "packed", data)
    found, packed = read(path, data), read(tmp_path / "packed")
    assert packed.schema == dataclasses.replace(found.schema, fill=())
    assert list(packed.parts) == list(found.parts)
    for part, whole in found.parts.items():
        np.testing.assert_array_equal(np.asarray(packed.parts[part].x), whole.x)
        np.testing.assert_array_equal(packed.parts[part].label, whole.label)


REFUSED = [
    # what is written, how it is read, the sentence
    ("a.pt", b"x", {}, "a.pt is a pickle, which may run any code .* save the array itself by numpy.save"),
    ("a.pth", b"x", {}, "a.pth is a pickle"),
    ("a.pkl", b"x", {}, "a.pkl is a pickle"),
    ("a.pickle", b"x", {}, "a.pickle is a pickle"),
    ("a.joblib", b"x", {}, "a.joblib is a pickle"),
    ("a.json", b"{}", {}, "a.json is JSON: save it as a table"),
    ("a.xlsx", b"x", {}, "a.xlsx is a workbook"),
    ("a.tar.gz", b"x", {}, "a.tar.gz is an archive: unpack it"),
    ("a.jpg", b"x", {}, "a.jpg cannot be read as an image"),
    ("a.xyz", b"x", {}, r"a.xyz is of no kind that is read: give one of \.npy"),
    ("a.csv", b'{"a": 1}', {}, "a.csv holds JSON"),
    ("a.csv", b"", {}, "a.csv is empty"),
    ("a.csv", b"a,b\n1,2\n3\n", {}, "a.csv cannot be read as a table"),
    ("a.csv", b"a,b\n1,x\n,y\n3,\n4,x\n", {}, r"2 missing values \(NaN\) in 'a' \(1\), 'b' \(1\), the"),
    ("a.csv", b"a,b\n1,2\n,3\n,4\n", {}, r"has 2 missing values \(NaN\) in 'a' \(2\), the first in example 1"),
    ("a.csv", b"a,b\n1,2\n", {"label": "c"}, "a.csv has no column 'c': it has a, b"),
    ("a.csv", b"a,b\n1,2\n", {"drop": ("c",)}, "a.csv has no column 'c'"),
    ("a.csv", b"a,b\n1,2\n", {"drop": ("a", "b")}, "no column left to train on"),
    ("a.csv", b"a,b\n1,2\n", {"size": (2, 2), "array": "x"}, "data.array has no meaning for .*a.csv, a table"),
    ("a.csv", b"a,b\n1,x\n2,y\n3,z\n4,u\n5,v\n", {}, "'b' holds text of 5 different values .* --data.drop b"),
    ("a.csv", b"a,b\n1,2021-01-01\n2,2021-01-02\n", {}, r"'b' holds date32\[day\], no numbers"),
    ("a.csv", b"a,y\n1,x\n2,\n", {}, "has 1 examples without a label"),
    ("a.csv", b"a,y\n1,x\n2,x\n", {"outlier": ("z",)}, "no label of .* is z: its labels are x"),
    ("a.csv", b"a,b\n1,2\n", {"outlier": ("z",)}, "has no labels among which z could be"),
    ("a.parquet", b"x", {}, "a.parquet cannot be read as a table"),
    ("a.feather", b"x", {}, "a.feather cannot be read as a table"),
    ("a.h5", b"x", {}, "a.h5 cannot be read as HDF5"),
    ("a.h5ad", b"x", {}, "a.h5ad cannot be read as HDF5"),
    (
        "a.npy",
        np.zeros((9, 3, 8, 8), np.uint8),
        {},
        "whose channels seem to come first: give --data.layout channels-first",
    ),
    ("a.npy", np.zeros((9, 1, 28, 28)), {}, "images of 28x28 with 1 channels, or channels-last for 1x28 with 28"),
    ("a.npy", np.zeros((9, 2, 3, 4, 1)), {}, "volumes .* trained on as vectors by --data.layout flat"),
    ("a.npy", np.array([[1, "a"]], object), {}, "Python objects, which are never unpickled"),
    ("a.npy", np.zeros((4, 2)), {"label": "y"}, "data.label has no meaning for .*a.npy, an array"),
    ("packed", None, {"layout": "flat"}, "data.layout has no meaning for .*packed, packed data"),
]


@pytest.mark.parametrize(("name", "content", "how", "why"), REFUSED)
def test_what_cannot_be_read_gets_one_sentence(tmp_path, name, content, how, why):
    path = tmp_path / name
    if content is None:
        np.save(tmp_path / "x.npy", X)
        pack(str(tmp_path / "x.npy"), path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=why) as caught:
        load(Data(str(path), **how))
    assert "\n" not in str(caught.value)


def test_kinds_of_data_do_not_mix_in_a_folder(tmp_path):
    pictures(tmp_path / "images")
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"holds labels.csv beside other data: give one kind"):
        read(tmp_path)
    split_tables(tmp_path / "split")
    parquet(tmp_path / "split" / "more.parquet")
    with pytest.raises(InputError, match=r"holds more.parquet beside files named after parts"):
        read(tmp_path / "split")


def test_a_layout_that_is_given_is_not_asked_about(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((9, 3, 8, 8), np.uint8))
    shape = load(Data(str(tmp_path / "a.npy"), layout="channels-last")).shape
    assert shape == (3, 8, 8)
    np.save(tmp_path / "a.npy", np.zeros((9, 8, 8, 13), np.uint8))
    assert load(Data(str(tmp_path / "a.npy"))).shape == (8, 8, 13)


def test_what_is_taken_for_granted_is_said(tmp_path, caplog):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(20, 50, 3)))
    load(Data(str(tmp_path / "a.npy")))
    assert "windows in time, --data.layout flat" in caplog.text
    assert "16 examples to train on; held out by a fixed seed: 2 for validation, 2 for test" in caplog.text
    caplog.clear()
    (tmp_path / "a.csv").write_text(",b,label\n" + "".join(f"{i},{i * i},{i % 2}\n" for i in range(20)))
    dataset = load(Data(str(tmp_path / "a.csv")))
    assert dataset.columns == ("b",)
    assert "the column 'label' is taken as labels" in caplog.text
    assert "the column '' numbers the rows and is left out" in caplog.text
    (tmp_path / "a.csv").write_text("1,2\n3,4\n5,6\n7,8\n")
    assert len(read(tmp_path / "a.csv").parts["train"]) == 4
    assert "holds numbers, not names" in str(read(tmp_path / "a.csv").notes)
    sparse(tmp_path / "a.npz")
    assert "30 x 6 values takes 0.00 GB" in str(read(tmp_path / "a.npz").notes)


def test_a_column_that_numbers_the_rows_is_no_value_but_for_a_run_that_was_trained_on_it(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("index,a,b\n" + "".join(f"{row},{row % 3},{row % 5}\n" for row in range(30)))
    found = read(path)
    assert found.schema.columns == ("a", "b")
    assert "the column 'index' numbers the rows and is left out" in found.notes
    dataset = load(Data(str(path)), known=Schema(columns=("index", "a", "b")))  # as version 0.1.0 read it
    assert dataset.train.x.shape == (24, 3)
    assert load_again(Data(str(path)), DataRecord.of(dataset)).train.x.shape == (24, 3)
    path.write_text(path.read_text().replace("\n7,", "\n70,"))
    assert read(path).schema.columns == ("index", "a", "b")


def test_a_run_that_was_trained_on_numbers_of_rows_finds_them_again_wherever_its_data_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "index,a,kind\n" + "".join(f"{row},{row % 3},{'odd' if row % 4 else 'plain'}\n" for row in range(N))
    )
    data = Data(str(path), label="kind")
    dataset = load(data, known=Schema(columns=("index", "a")))
    given = read_given(None, "train", data, DataRecord.of(dataset), anew={"outlier": ("odd",)}).examples
    np.testing.assert_array_equal(given.x, dataset.train.x)
    np.testing.assert_array_equal(given.label, 1 - dataset.train.label)
    bare = dataclasses.replace(data, label="", drop=("kind",))
    record = DataRecord.of(load(bare, known=Schema(columns=("index", "a"))))
    labelled = read_given(None, "train", bare, record, anew={"label": "kind"}).examples
    np.testing.assert_array_equal(labelled.label, dataset.train.label)
    with pytest.raises(InputError, match=r"a.csv has no column 'sort'"):
        read_given(None, "train", bare, record, anew={"label": "sort"})
    experiment = Experiment(
        Autoencoder(MLPEncoder(()), Plain(1), MLPDecoder(())), Loss(Gaussian()), data, batch_size=8, steps=1, name="a"
    )
    run = aejax.fit(experiment, dataset, folder=tmp_path, figures=False).run.path
    moved = dataclasses.replace(data, name=str(path.rename(tmp_path / "b.csv")))
    longer = dataclasses.replace(experiment, data=moved, steps=2)
    assert aejax.fit(longer, resume=run, figures=False).run.data.columns == ("index", "a")


def test_packing_says_what_it_leaves_out(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("index,a\n" + "".join(f"{row},{row % 3}\n" for row in range(30)))
    pack(str(tmp_path / "a.csv"), tmp_path / "packed")
    assert "a.csv: the column 'index' numbers the rows and is left out" in caplog.text


def test_a_table_without_rows_is_refused_though_a_column_would_number_them(tmp_path):
    parquet(tmp_path / "a.parquet", index=np.zeros(0, np.int64), a=np.zeros(0))
    with pytest.raises(InputError, match=r"has shape \(0, 1\): save at least one example"):
        read(tmp_path / "a.parquet")


def test_later_tables_are_read_by_name_with_the_levels_of_the_run(tmp_path):
    csv(tmp_path / "a.csv")
    data = Data(str(tmp_path / "a.csv"), label="kind")
    dataset = load(data)
    (tmp_path / "b.csv").write_text("shade,b,a,d,c\nlight,1,2,3,4\nlight,5,6,7,8\n")  # other order, one level, no label
    part = read_examples(str(tmp_path / "b.csv"), like=data, known=dataset.schema)
    np.testing.assert_array_equal(part.x, [[2, 1, 4, 3, 0, 1], [6, 5, 8, 7, 0, 1]])
    for content, why in (
        (
            "shade,b,a,d,c\nred,1,2,3,4\n",
            "'shade' holds 'red', which the run does not know: its levels are dark, light",
        ),
        ("shade,b,a,d\nlight,1,2,3\n", "lacks the columns c, which the run was trained on"),
        ("shade,b,a,d,c,e\nlight,1,2,3,4,5\n", "has the columns e, which the run was not trained on"),
        ("shade,b,a,d,c,kind\nlight,1,2,3,4,cow\n", "has the labels 'cow', which the run does not know"),
        ("shade,b,a,d,c\nlight,x,2,3,4\n", "'b' holds 'x' in example 0, where the run had numbers"),
    ):
        (tmp_path / "b.csv").write_text(content)
        with pytest.raises(InputError, match=why):
            read_examples(str(tmp_path / "b.csv"), like=data, known=dataset.schema)


def test_missing_values_become_the_mean_of_train_or_go(tmp_path):
    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    x[[3, 7], 1] = np.nan
    np.save(tmp_path / "a.npy", x)
    data = Data(str(tmp_path / "a.npy"), missing="mean")
    dataset = load(data)
    raw = read(tmp_path / "a.npy", data).parts["train"].x
    train = raw[np.isin(raw[:, 0], dataset.train.x[:, 0])]
    np.testing.assert_allclose(dataset.fill, np.nanmean(train, axis=0), rtol=1e-6)
    whole = np.concatenate([dataset.part(name).x for name in ("train", "validation", "test")])
    assert sorted(whole[np.isin(whole[:, 0], [6, 14])][:, 1]) == pytest.approx([dataset.fill[1]] * 2)
    later = read_examples(str(tmp_path / "a.npy"), like=data, known=dataset.schema)
    np.testing.assert_allclose(later.x[[3, 7], 1], dataset.fill[1])
    drop = dataclasses.replace(data, missing="drop")
    assert len(read(tmp_path / "a.npy", drop).parts["train"]) == 18
    with pytest.raises(InputError, match="2 missing values"):  # later rows keep their numbers
        read_examples(str(tmp_path / "a.npy"), like=drop)
    with pytest.raises(InputError, match=r"--data.missing drop needs all of .* at once"):
        pack(str(tmp_path / "a.npy"), tmp_path / "packed", drop)


def test_labels_that_mark_outliers_become_flags(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=KIND)
    dataset = load(Data(str(tmp_path / "a.npz"), outlier=("dog",)))
    assert dataset.classes == ("normal", "outlier")
    part = read(tmp_path / "a.npz", Data(outlier=("dog",))).parts["train"]
    np.testing.assert_array_equal(part.label, NUMBER)
    np.savez(tmp_path / "a.npz", x=X, y=np.arange(N) % 4)
    np.testing.assert_array_equal(
        read(tmp_path / "a.npz", Data(outlier=("1", "3"))).parts["train"].label, np.arange(N) % 2
    )


def test_own_data_hold_out_validation_unless_told_not_to(tmp_path):
    data = aejax.get("ae-keras").data
    assert data.validation == 0
    assert data.named("fashion_mnist").validation == 0
    assert data.named(str(tmp_path / "a.npy")).validation == 0.1
    assert Data(validation=0.3).named(str(tmp_path / "a.npy")).validation == 0.3


@pytest.mark.parametrize("start", [0, 700_000])
def test_packing_names_a_row_of_the_whole_file_and_warns_once(tmp_path, caplog, start):
    x = np.zeros((800_000, 2), np.int64)
    x[:, 0] = 100
    np.save(tmp_path / "a.npy", x)
    pack(str(tmp_path / "a.npy"), tmp_path / "packed")
    assert len(re.findall("save grey levels as uint8", caplog.text)) == 1
    x = x.astype(np.float32)
    x[start, 1] = np.nan
    np.save(tmp_path / "a.npy", x)
    with pytest.raises(InputError, match=f"the first in example {start}, column 1:"):
        pack(str(tmp_path / "a.npy"), tmp_path / "other")


def arrays():
    import jax.numpy as jnp
    import pandas as pd
    import polars as pl
    import scipy.sparse

    class Tensor:
        """Is like PyTorch's: an array only once it is detached and on the host."""

        def detach(self):
            return self

        def cpu(self):
            return X

    frame = pd.DataFrame(X, columns=list("abcdef"))
    return [
        X,
        X.astype(">f4"),
        jnp.asarray(X),
        X.tolist(),
        Tensor(),
        scipy.sparse.csr_matrix(X),
        frame,
        pl.from_pandas(frame),
    ]


@pytest.mark.parametrize("which", range(8))
def test_arrays_of_any_library_make_the_same_data_set(which):
    x = arrays()[which]
    dataset = Dataset.of(x, KIND)
    whole = Dataset.of(X, KIND)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(dataset.part(part).x, whole.part(part).x)
        np.testing.assert_array_equal(dataset.part(part).label, whole.part(part).label)
    assert dataset.classes == ("cat", "dog")


def test_parts_and_columns_are_taken_as_given():
    import pandas as pd

    frame = pd.DataFrame({"u": X[:, 0], "kind": KIND, "shade": SHADE})
    dataset = Dataset.of(frame, "kind", validation=frame[:5], test=(frame[5:9].drop(columns="kind"), None))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (N, 5, 4)
    assert dataset.columns == ("u", "shade=dark", "shade=light")
    assert len(Dataset.of(X, validation=0).validation) == 0
    assert len(Dataset.of(X, validation=0.5, test=X[:3]).validation) == 15


@pytest.mark.parametrize(
    ("x", "labels", "why"),
    [
        ([[1, 2], [3]], None, "arrays cannot be made an array .* give rows of equal length"),
        (X * np.nan, None, "180 missing values"),
        (np.zeros((4, 3, 8, 8)), None, "channels seem to come first"),
        (X, KIND[:4], r"labels of shape \(4,\) for 30 examples"),
        (["a", "b"], None, "values of type <U1"),
        (X[:1], None, "too few"),
    ],
)
def test_arrays_that_cannot_be_used_get_the_sentence_of_a_file(x, labels, why):
    with pytest.raises(InputError, match=why):
        Dataset.of(x, labels)


def test_a_run_takes_plain_arrays_everywhere(tmp_path):
    import pandas as pd

    model = Autoencoder(MLPEncoder((4,)), Plain(2), MLPDecoder((4,)))
    experiment = Experiment(model, Loss(Gaussian()), Data("mnist", 0.0), batch_size=8, steps=1)
    trained = aejax.fit(experiment, (X, KIND), folder=tmp_path, figures=False)
    assert trained.schema.classes == ("cat", "dog")
    assert any(row["split"] == "validation" for row in trained.history)
    again = aejax.load(trained.run.path)
    assert again.schema == trained.schema
    assert again.evaluate(X) == trained.evaluate((X.tolist(), KIND))
    np.testing.assert_array_equal(again.encode(pd.DataFrame(X)), trained.encode(X))
    assert trained.sample(3, like=X).shape == (3, 6)
    assert again.experiment.data.name == "arrays"
    with pytest.raises(InputError, match="trained on arrays given in Python"):
        load(again.experiment.data)
