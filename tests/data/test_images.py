import numpy as np
import pytest
from PIL import Image

from aejax.core import InputError
from aejax.data import Data, load
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
    with pytest.raises(InputError, match=r"c\.png has shape \(6, 4, 1\) where a\.png has \(4, 6, 1\)"):
        read(tmp_path)


def test_grey_and_colour_do_not_mix(tmp_path):
    picture(tmp_path / "a.png", (4, 6))
    picture(tmp_path / "b.png", (4, 6, 3))
    with pytest.raises(InputError, match=r"b\.png has shape \(4, 6, 3\) where a\.png has \(4, 6, 1\)"):
        read(tmp_path)


def test_16_bits_are_not_silently_lost(tmp_path):
    Image.fromarray(np.full((4, 6), 4000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png has more than 8 bits"):
        read(tmp_path)


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
