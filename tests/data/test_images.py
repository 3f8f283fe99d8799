import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from aejax.core import InputError
from aejax.data import Data, _images, load
from aejax.data.files import read


def picture(file, shape=(4, 6), value=7):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(file)


def test_grey_images_by_sorted_name(tmp_path):
    for name, value in (("b.png", 2), ("a.PNG", 1), ("c.jpg", 3)):
        picture(tmp_path / name, value=value)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    part = read(tmp_path).parts["train"]
    assert part.x.shape == (3, 4, 6, 1)
    assert part.x.dtype == np.uint8
    assert part.x[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert part.label is None


def test_subfolders_are_labels_by_sorted_name(tmp_path):
    for name, value in (("cat/1.png", 1), ("cat/2.png", 2), ("dog/0.png", 3)):
        picture(tmp_path / name, (4, 6, 3), value)
    (tmp_path / "aardvark").mkdir()
    part = read(tmp_path).parts["train"]
    assert part.x.shape == (3, 4, 6, 3)
    assert part.x[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert part.label.tolist() == [0, 0, 1]
    assert part.label.dtype == np.int32


def test_a_folder_is_a_data_set(tmp_path):
    for i in range(20):
        picture(tmp_path / f"{i:02}.png", value=i)
    dataset = load(Data(str(tmp_path)))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (16, 2, 2)


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)])
def test_every_8_bit_mode_is_grey_or_colour(tmp_path, mode, channels):
    Image.new(mode, (6, 4)).save(tmp_path / "a.png")
    assert read(tmp_path).parts["train"].x.shape == (1, 4, 6, channels)


def test_the_first_odd_image_is_named(tmp_path):
    for name, shape in (("a.png", (4, 6)), ("b.png", (4, 6)), ("c.png", (6, 4)), ("d.png", (9, 9))):
        picture(tmp_path / name, shape)
    with pytest.raises(
        InputError, match=r"c\.png has shape \(6, 4, 1\) where a\.png has \(4, 6, 1\): give --data.size 4 6"
    ):
        read(tmp_path)
    assert read(tmp_path, Data(size=(3, 5))).parts["train"].x.shape == (4, 3, 5, 1)


def test_grey_and_colour_do_not_mix(tmp_path):
    picture(tmp_path / "a.png", (4, 6))
    picture(tmp_path / "b.png", (4, 6, 3))
    with pytest.raises(
        InputError, match=r"b\.png has shape \(4, 6, 3\) where a\.png has \(4, 6, 1\): give --data.channels"
    ):
        read(tmp_path)
    assert read(tmp_path, Data(channels="colour")).parts["train"].x.shape == (2, 4, 6, 3)
    assert read(tmp_path, Data(channels="grey")).parts["train"].x.shape == (2, 4, 6, 1)


@pytest.mark.parametrize("end", ["png", "tif"])
def test_16_bits_are_not_silently_lost(tmp_path, end):
    Image.fromarray(np.full((4, 6), 4000, np.uint16)).save(tmp_path / f"a.{end}")
    with pytest.raises(InputError, match=r"a\.\w+ has more than 8 bits"):
        read(tmp_path)


def test_16_bits_of_colour_are_not_silently_lost(tmp_path):
    """Pillow opens such a file with 8 bits and says nothing."""
    rows = b"".join(bytes(1) + np.full((6, 3), 4000, ">u2").tobytes() for _ in range(4))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 4, 16, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png has more than 8 bits"):
        read(tmp_path)


@pytest.mark.parametrize("end", ["jpg", "png", "webp", "tif"])
def test_an_image_is_turned_as_its_camera_was(tmp_path, end):
    values = np.zeros((8, 16, 3), np.uint8)
    values[:, 8:] = 255
    image = Image.fromarray(values)
    exif = image.getexif()
    exif[274] = 6  # shown by turning it to the right
    image.save(tmp_path / f"a.{end}", exif=exif)
    (found,) = read(tmp_path).parts["train"].x
    assert found.shape == (16, 8, 3)
    assert found[0].max() < 60
    assert found[-1].min() > 195


def test_the_centre_is_kept_and_the_shorter_side_fits(tmp_path):
    values = np.zeros((10, 40, 3), np.uint8)
    values[:, 15:25] = 200
    Image.fromarray(values).save(tmp_path / "a.png")
    (found,) = read(tmp_path, Data(size=(10, 10))).parts["train"].x
    np.testing.assert_array_equal(found, np.full((10, 10, 3), 200))
    (found,) = read(tmp_path, Data(size=(5, 20))).parts["train"].x
    assert found.shape == (5, 20, 3)
    assert found[:, 8:12].min() > 190
    assert found[:, :5].max() < 10


def test_the_first_frame_counts(tmp_path):
    frames = [Image.fromarray(np.full((4, 6, 3), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read(tmp_path, Data(channels="colour")).parts["train"].x.max() == 10


def test_what_tools_leave_behind_is_no_class_and_is_named_once(tmp_path, caplog):
    picture(tmp_path / "cat" / "a.png")
    picture(tmp_path / "dog" / "a.png")
    for name in (".ipynb_checkpoints", "__MACOSX"):
        picture(tmp_path / name / "a.png")
    for name in (".DS_Store", "cat/Thumbs.db", "dog/Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    found = read(tmp_path)
    assert found.schema.classes == ("cat", "dog")
    assert found.notes == ("skipped: .ipynb_checkpoints, __MACOSX, .DS_Store, notes.txt, Thumbs.db",)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Test"])
def test_folders_named_after_parts_are_parts(tmp_path, name):
    for folder in ("train/dog", "train/cat", f"{name}/dog"):
        picture(tmp_path / folder / "a.png")
    found = read(tmp_path)
    other = "test" if name == "Test" else "validation"
    assert {part: examples.label.tolist() for part, examples in found.parts.items()} == {"train": [0, 1], other: [1]}
    picture(tmp_path / "cow" / "a.png")
    with pytest.raises(InputError, match=r"holds parts .* beside cow"):
        read(tmp_path)


def test_images_too_deep_are_refused(tmp_path):
    picture(tmp_path / "cat" / "big" / "a.png")
    with pytest.raises(InputError, match="big holds images below the folder of a class"):
        read(tmp_path)


def test_decoded_pixels_are_kept_until_a_file_changes(tmp_path, monkeypatch):
    for i in range(4):
        picture(tmp_path / "images" / f"{i}.png", value=i)
    monkeypatch.setattr(_images, "_KEPT", range(2, 100))
    monkeypatch.setenv("AEJAX_CACHE", str(tmp_path / "cache"))
    first = read(tmp_path / "images").parts["train"].x
    kept = list((tmp_path / "cache").iterdir())
    assert len(kept) == 1
    decoded = []
    decode = _images.Images.__getitem__
    monkeypatch.setattr(_images.Images, "__getitem__", lambda self, which: decoded.append(1) or decode(self, which))
    np.testing.assert_array_equal(read(tmp_path / "images").parts["train"].x, first)
    assert not decoded
    picture(tmp_path / "images" / "2.png", value=99)
    changed = read(tmp_path / "images").parts["train"].x
    assert changed[2].max() == 99
    assert decoded
    assert read(tmp_path / "images", Data(size=(2, 2))).parts["train"].x.shape == (4, 2, 2, 1)
    assert list((tmp_path / "cache").iterdir()) == kept


@pytest.mark.parametrize("keep", [0, 10, 60, -30])
def test_a_damaged_image_is_named(tmp_path, keep):
    picture(tmp_path / "a.png")
    noise = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.png")
    content = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(content[:keep])
    with pytest.raises(InputError, match=r"b\.png cannot be read as an image"):
        read(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no images \(\.png, "):
        load(Data(str(tmp_path)))


def test_images_beside_subfolders_are_refused(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "cat" / "b.png")
    with pytest.raises(InputError, match=r"both beside and in subfolders: move a\.png"):
        read(tmp_path)
