import dataclasses

import numpy as np
import pytest

import aejax
from aejax.core import Examples, spread
from aejax.data import Dataset, scaled
from aejax.losses import KL, Gaussian, Loss, Reconstruction
from aejax.models import ConditionalAutoencoder, GaussianLatent, MLPDecoder, MLPEncoder
from aejax.sweeps import _thumbnails
from aejax.trained import Trained


@pytest.mark.slow
def test_a_strip_has_the_examples_and_what_the_model_makes_of_them(tiny):
    model = ConditionalAutoencoder(MLPEncoder((4,)), GaussianLatent(2), MLPDecoder(), classes=3)
    loss = Loss(terms={"reconstruction": Reconstruction(), "kl": KL()})
    trained = aejax.fit(dataclasses.replace(tiny.experiment, model=model, loss=loss, epochs=1), dataset=tiny.dataset)
    test = tiny.dataset.test
    rows = _thumbnails.read_thumbnails(_thumbnails.thumbnails(trained, test))
    assert set(rows) == {"original", "reconstruction", "sample"}
    assert {row.shape for row in rows.values()} == {(_thumbnails.COUNT, 4, 4, 1)}
    np.testing.assert_allclose(rows["original"], scaled(test.at_most(8).x), atol=1e-6)
    np.testing.assert_allclose(
        rows["reconstruction"], trained.reconstruct(test.x, test.label)[spread(10, 8, test.label)], atol=0.5 / 255
    )


def test_vectors_have_no_strip(tiny):
    vectors = Trained(tiny.experiment, (6,), tiny.experiment.data.preprocess, state=None)
    assert _thumbnails.thumbnails(vectors, Examples(np.zeros((3, 6), np.uint8))) is None


@pytest.mark.slow
def test_pictures_of_data_from_minus_one_keep_their_dark_half(tiny):
    x = np.random.default_rng(0).uniform(-1, 1, (40, 4, 4, 1)).astype(np.float32)
    part = Examples(x)
    experiment = dataclasses.replace(tiny.experiment, loss=Loss(Gaussian()), epochs=1)
    trained = aejax.fit(experiment, dataset=Dataset("signed", part, part, part))
    rows = _thumbnails.read_thumbnails(_thumbnails.thumbnails(trained, part))
    np.testing.assert_allclose(2 * rows["original"] - 1, part.at_most(8).x, atol=1.01 / 255)
