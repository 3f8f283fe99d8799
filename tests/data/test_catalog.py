import io
import sys
from types import MappingProxyType

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from aejax.core import InputError
from aejax.data import FACTORS, Data, _tfds, cache, load, pack, prepare
from aejax.data._remote import quiet
from aejax.data.factors import Factors

FEATURES = tfds.features


class _Tiny(tfds.core.GeneratorBasedBuilder):
    """Data sets that need neither a download nor TensorFlow."""

    VERSION = tfds.core.Version("1.0.0")
    features = None
    supervised = None
    splits = MappingProxyType({"train": 20, "test": 10})

    def _info(self):
        features = FEATURES.FeaturesDict(self.features())
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=self.supervised)

    def _split_generators(self, dl_manager):
        return {name: ((i, self.example(i)) for i in range(n)) for name, n in self.splits.items()}

    def _generate_examples(self):
        raise NotImplementedError


class AejaxTinyImages(_Tiny):
    supervised = ("image", "label")

    def features(self):
        return {
            "image": FEATURES.Image(shape=(4, 6, 1)),
            "label": FEATURES.ClassLabel(num_classes=30),
            "mask": FEATURES.Image(shape=(2, 2, 1)),
        }

    def example(self, i):
        return {"image": png((4, 6), i), "label": i, "mask": png((2, 2), 200)}


class AejaxTinyVectors(_Tiny):
    splits = MappingProxyType({"everything": 20})

    def features(self):
        return {"v": FEATURES.Tensor(shape=(5,), dtype=np.float64), "n": FEATURES.Scalar(dtype=np.int64)}

    def example(self, i):
        return {"v": np.full(5, i / 4), "n": i}


class AejaxTinyFactors(AejaxTinyImages):
    supervised = None

    def features(self):
        labels = {"a": 4, "b": 5, "c": 3}
        image = FEATURES.Image(shape=(4, 6, 1))
        return {"image": image} | {key: FEATURES.ClassLabel(num_classes=n) for key, n in labels.items()}

    def example(self, i):
        return {"image": png((4, 6), i), "a": i % 4, "b": i % 5, "c": i % 3}


class AejaxTinyDsprites(_Tiny):
    """What TFDS has of dSprites: black and white images, and an integer and a float of each factor."""

    splits = MappingProxyType({"train": 24})

    def features(self):
        sizes = FACTORS["tfds:dsprites"].sizes
        labels = {key: FEATURES.ClassLabel(num_classes=n) for key, n in sizes.items()}
        values = {key.replace("label", "value"): FEATURES.Tensor(shape=(), dtype=np.float32) for key in sizes}
        return {"image": FEATURES.Image(shape=(64, 64, 1)), "id": FEATURES.Text()} | labels | values

    def example(self, i):
        labels = {key: i % n for key, n in FACTORS["tfds:dsprites"].sizes.items()}
        values = {key.replace("label", "value"): float(value) for key, value in labels.items()}
        image = np.zeros((64, 64), np.uint8)
        image[:, i] = 1
        return {"image": png((64, 64), image), "id": f"{i:06}"} | labels | values


class AejaxTinyText(_Tiny):
    def features(self):
        return {"text": FEATURES.Text(), "label": FEATURES.ClassLabel(num_classes=2)}

    def example(self, i):
        pytest.fail("was prepared for nothing")


class AejaxTinyRagged(AejaxTinyText):
    def features(self):
        return {"image": FEATURES.Image(shape=(None, None, 3))}


class AejaxTinyArrays(AejaxTinyImages):
    """TFDS encodes images that come as arrays with TensorFlow."""

    def example(self, i):
        return {"image": np.zeros((4, 6, 1), np.uint8), "label": i, "mask": np.zeros((2, 2, 1), np.uint8)}


class AejaxTinyBroken(AejaxTinyVectors):
    def example(self, i):
        raise RuntimeError("the site\nhas moved")


class AejaxTinyOddSplits(AejaxTinyVectors):
    splits = MappingProxyType({"left": 2, "right": 2})


def png(shape, value):
    buffer = io.BytesIO()
    Image.fromarray(np.full(shape, value, np.uint8)).save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def test_images_with_labels_and_their_own_test_part(capfd):
    dataset = load(Data("tfds:aejax_tiny_images"))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (18, 2, 10)
    assert dataset.shape == (4, 6, 1)
    for part in (dataset.train, dataset.validation, dataset.test):
        assert part.x.dtype == np.uint8
        assert part.label.dtype == np.int32
        np.testing.assert_array_equal(part.x, np.broadcast_to(part.label[:, None, None, None], part.x.shape))
    labels = np.concatenate([dataset.train.label, dataset.validation.label])
    assert sorted(labels) == list(range(20))
    assert capfd.readouterr() == ("", "")


def test_vectors_in_a_single_split_are_cut_in_three():
    dataset = load(Data("tfds:aejax_tiny_vectors"))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (16, 2, 2)
    assert dataset.train.x.dtype == np.float32
    assert dataset.train.label is None
    values = np.concatenate([dataset.part(name).x[:, 0] for name in ("train", "validation", "test")])
    assert sorted(values) == [i / 4 for i in range(20)]


def test_labels_that_are_known_factors_become_one_number_that_gives_them_back(monkeypatch):
    factors = Factors({"b": 5, "a": 4})
    monkeypatch.setitem(FACTORS, "tfds:aejax_tiny_factors", factors)
    test = load(Data("tfds:aejax_tiny_factors")).test
    assert test.label.dtype == np.int32
    expected = [[i % 5, i % 4] for i in test.x[:, 0, 0, 0]]
    np.testing.assert_array_equal(factors.values(test.label), expected)


def test_of_several_labels_that_are_no_factors_the_first_is_used():
    test = load(Data("tfds:aejax_tiny_factors")).test
    np.testing.assert_array_equal(test.label, test.x[:, 0, 0, 0] % 4)


def test_the_factors_of_dsprites_are_named_and_sized_as_tfds_has_them():
    features = tfds.builder("dsprites", data_dir=cache.cache_folder()).info.features
    assert {key: features[key].num_classes for key in FACTORS["tfds:dsprites"].sizes} == FACTORS["tfds:dsprites"].sizes
    assert features["image"].shape == (64, 64, 1)


def test_dsprites_prepared_elsewhere_gives_white_sprites_and_their_factors(monkeypatch, tmp_path):
    name, factors = "tfds:aejax_tiny_dsprites", FACTORS["tfds:dsprites"]
    monkeypatch.setitem(FACTORS, name, factors)
    builder = tfds.builder("aejax_tiny_dsprites", data_dir=tmp_path / "elsewhere", file_format="array_record")
    with quiet():
        builder.download_and_prepare()
    monkeypatch.setattr(AejaxTinyDsprites, "example", lambda self, i: pytest.fail("was prepared again"))
    prepare(name, tmp_path / "elsewhere")
    versioned = f"{name}:{AejaxTinyDsprites.VERSION}"
    prepare(versioned, tmp_path / "elsewhere")
    train = load(Data(name, validation=0.0)).train
    np.testing.assert_array_equal(load(Data(versioned, validation=0.0)).train.label, train.label)
    assert train.x.dtype == np.uint8
    number = train.x[:, 0, :, 0].argmax(axis=1)
    assert (train.x == np.where(np.arange(64)[None, None, :, None] == number[:, None, None, None], 255, 0)).all()
    np.testing.assert_array_equal(factors.values(train.label), number[:, None] % list(factors.sizes.values()))


def test_the_names_of_classes_come_with_the_data(monkeypatch, tmp_path):
    features = AejaxTinyImages.features
    names = [f"class {i}" for i in range(30)]
    monkeypatch.setattr(
        AejaxTinyImages, "features", lambda self: features(self) | {"label": FEATURES.ClassLabel(names=names)}
    )
    monkeypatch.setattr(AejaxTinyImages, "VERSION", tfds.core.Version("2.0.0"))
    for _ in range(2):  # of TFDS, and of the cache
        dataset = load(Data("tfds:aejax_tiny_images:2.0.0"))
        assert dataset.classes == tuple(names)
    pack("tfds:aejax_tiny_images:2.0.0", tmp_path / "packed")
    assert load(Data(str(tmp_path / "packed"))).classes == tuple(names)
    assert load(Data("tfds:aejax_tiny_factors")).classes == ()  # whose labels are numbers


def test_what_is_prepared_needs_tfds_no_more(monkeypatch):
    first = load(Data("tfds:aejax_tiny_images:1.0.0"))
    monkeypatch.setattr(_tfds, "read", lambda *args: pytest.fail("TFDS was asked again"))
    np.testing.assert_array_equal(load(Data("tfds:aejax_tiny_images:1.0.0")).train.x, first.train.x)
    assert prepare("tfds:aejax_tiny_images:1.0.0") == cache.path("tfds:aejax_tiny_images:1.0.0")


def test_packed_they_are_the_same_data_set_and_were_never_whole_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(_tfds, "_CHUNK", 7)
    decode, most = _tfds.Split.decode, []
    monkeypatch.setattr(_tfds.Split, "decode", lambda *args: most.append(len(args[1])) or decode(*args))
    assert pack("tfds:aejax_tiny_images", tmp_path / "packed") == {"train": 20, "test": 10}
    assert max(most) == 7
    packed, direct = load(Data(str(tmp_path / "packed"))), load(Data("tfds:aejax_tiny_images"))
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(packed.part(part).x, direct.part(part).x)
        np.testing.assert_array_equal(packed.part(part).label, direct.part(part).label)


def test_what_is_larger_than_memory_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(_tfds.os, "sysconf", {"SC_PHYS_PAGES": 1, "SC_PAGE_SIZE": 30 * 24 - 1}.get)
    with pytest.raises(
        InputError, match=r"takes 720 bytes, more than .* run `aejax data pack tfds:aejax_tiny_images DIR`"
    ):
        load(Data("tfds:aejax_tiny_images"))


def test_an_unknown_name_gets_its_nearest():
    with pytest.raises(InputError, match=r"TFDS has no data set named 'mnits': did you mean mnist"):
        load(Data("tfds:mnits"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("aejax_tiny_text", "holds text, label: aejax needs an image or a vector"),
        ("aejax_tiny_ragged", r"differ in size \(their shape is \(None, None, 3\)\): make them one size"),
        ("aejax_tiny_odd_splits", "has the splits left, right: aejax needs one named train"),
        ("aejax_tiny_broken", "could not prepare aejax_tiny_broken .*the site has moved"),
        ("aejax_tiny_images/nope", "could not prepare aejax_tiny_images/nope"),
        ("aejax_tiny_images:9.9.9", "could not prepare aejax_tiny_images:9.9.9"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(name, why):
    with pytest.raises(InputError, match=why) as caught:
        load(Data(f"tfds:{name}"))
    assert "\n" not in str(caught.value)
    assert cache.read(f"tfds:{name}") is None


def test_what_tfds_prepares_with_tensorflow_only_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if it were not installed
    with pytest.raises(InputError, match=r'`pip install "aejax\[tensorflow\]"`'):
        load(Data("tfds:aejax_tiny_arrays"))


def test_without_network_one_sentence_says_what_to_do():
    with pytest.raises(InputError, match=r"cs.toronto.edu does not answer: run `aejax data prepare tfds:cifar10"):
        load(Data("tfds:cifar10"))
