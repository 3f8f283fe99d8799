"""What has no meaning is refused before training: values outside a domain, batches of one, classes that never come."""

import dataclasses

import numpy as np
import pytest

import aejax
from aejax.core import Examples, InputError
from aejax.data import Binarise, Data, Dataset, Standardise, StaticBinarise
from aejax.losses import Gaussian, Loss
from aejax.models import MLPDecoder


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
