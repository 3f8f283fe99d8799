"""What has no meaning is refused before training: values outside a domain, batches of one, classes that never come."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax.core import Examples, InputError, known_subclasses
from aejax.data import Binarise, Data, Dataset, Standardise, StaticBinarise
from aejax.losses import Gaussian, Loss
from aejax.models import Decoder, Encoder, MLPDecoder


def numbers(tiny):
    part = Examples(tiny.dataset.train.x.astype(np.float32) / 50)
    return Dataset("numbers", part, part, part)


@pytest.mark.parametrize("preprocess", [Binarise(), StaticBinarise()])
def test_what_is_drawn_as_black_or_white_lies_between_them(tiny, preprocess):
    gaussian = dataclasses.replace(tiny.experiment, loss=Loss(Gaussian()), data=Data("x", preprocess=preprocess))
    gaussian.resolve(tiny.dataset)
    name = type(preprocess).__name__
    with pytest.raises(InputError, match=rf"{name} needs values in \[0, 1\], but .* numbers run from"):
        gaussian.resolve(numbers(tiny))


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda x: x, "run from 0 to 255: save grey levels as uint8, which are divided by 255, or use --loss.l"),
        (lambda x: x + 0.5, "run from 0.5 to 255.5: scale the data, or use --loss.likelihood gaussian"),
        (lambda x: x - 1, "run from -1 to 254: scale the data, or use"),
    ],
)
def test_numbers_that_may_be_grey_levels_are_refused_with_what_to_do(tiny, change, advice):
    levels = np.arange(256, dtype=np.float32).reshape(16, 4, 4, 1)
    part = Examples(change(levels))
    with pytest.raises(InputError, match=advice):
        dataclasses.replace(tiny.experiment, batch_size=8).resolve(Dataset("levels", part, part, part))


def test_pseudo_inputs_stand_for_data_in_their_own_domain(tiny):
    vamp = dataclasses.replace(aejax.get("vamp-mnist"), batch_size=8, data=Data("x"))
    vamp.resolve(tiny.dataset)
    free = dataclasses.replace(vamp, loss=dataclasses.replace(vamp.loss, likelihood=Gaussian()))
    free.resolve(tiny.dataset)
    with pytest.raises(InputError, match=r"VampPrior needs values in \[0, 1\], but .*mixture-prior"):
        free.resolve(numbers(tiny))
    with pytest.raises(InputError, match=r"VampPrior needs values in \[0, 1\], which Standardise does not give"):
        dataclasses.replace(free, data=Data("x", preprocess=Standardise())).resolve(tiny.dataset)


def test_a_batch_of_one_is_not_normalised(tiny):
    model = tiny.experiment.model.clone(decoder=MLPDecoder((8,), norm="batch"))
    normed = dataclasses.replace(tiny.experiment, model=model)
    normed.resolve(tiny.dataset)
    alone = dataclasses.replace(normed, batch_size=1)
    with pytest.raises(InputError, match="batch_size is 1, but MLPDecoder normalises"):
        alone.resolve(tiny.dataset)
    dataclasses.replace(alone, model=model.clone(decoder=MLPDecoder((8,), norm="layer"))).resolve(tiny.dataset)


def test_classes_that_the_data_do_not_have_are_said(tiny, caplog):
    of_ten = dataclasses.replace(aejax.get("cvae-mnist"), data=Data("tiny"), batch_size=8)
    dataclasses.replace(of_ten, model=of_ten.model.clone(classes=3)).resolve(tiny.dataset)
    assert not caplog.messages
    of_ten.resolve(tiny.dataset)
    (said,) = caplog.messages
    assert "model.classes is 10, but the training part of tiny has 3 classes (0, 1, 2)" in said
    assert said.endswith("--model.classes 3")


BLOCKS = [cls for kind in (Encoder, Decoder) for cls in known_subclasses(kind) if cls.__module__.startswith("aejax.")]


@pytest.mark.parametrize("cls", BLOCKS, ids=lambda cls: cls.__name__)
def test_a_part_of_images_says_that_it_is_one(cls):
    rows = jnp.zeros((2, 6))
    arguments = (rows, True) if issubclass(cls, Encoder) else (rows, (6,), True)
    assert cls.of_images == ("needs images" in refusal(cls(), arguments))


def refusal(part, arguments):
    """Why a part does not take arguments; nothing where it takes them. One that is called in steps says its places."""
    try:
        if not callable(part):
            part.places(arguments[1])
        jax.eval_shape(lambda key: part.init({"params": key, "dropout": key}, *arguments), jax.random.key(0))
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["ae-conv", "vae-conv", "vae-photos", "mae-photos"])
def test_of_rows_it_is_said_first_that_they_are_no_images(name):
    """Before what is to be said of their values, which another model would not mend."""
    part = Examples(np.linspace(-3, 3, 60, dtype=np.float32).reshape(20, 3))
    with pytest.raises(InputError, match=r"^t.csv holds rows of 3 numbers, but \w+ needs images: choose .*ae-tabular"):
        dataclasses.replace(aejax.get(name), batch_size=4).resolve(Dataset("t.csv", part, part, part))


def test_colours_that_are_made_0_and_1_are_said_once(tiny, caplog):
    colours = Examples(np.repeat(tiny.dataset.train.x, 3, axis=-1))
    dataset = Dataset("photos", colours, colours, colours)
    binary = dataclasses.replace(tiny.experiment, data=Data("photos", preprocess=Binarise()))
    for _ in range(2):
        binary.resolve(dataset)
    (said,) = caplog.messages
    assert said.startswith("photos holds images in colour, of which binarise makes each value 0 or 1")
    assert "vae-photos" in said
    tiny.experiment.resolve(dataset)
    binary.resolve(tiny.dataset)
    assert len(caplog.messages) == 1
